"""Where a ledger is, as the caller names it; nothing is opened here."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NoReturn

from langchain_tamma_openai.checks import safe_url, shown
from langchain_tamma_openai.errors import ConfigurationError

MEMORY: Final = "memory"
_FILE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_POSTGRES_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
_SQLITE_SCHEMES = ("sqlite", "sqlite+pysqlite")
_CHOICES = "'memory', 'sqlite:///usage.db' or 'postgresql+psycopg://user@host/database'"


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """The checked form of `store`.

    Attributes:
        kind: Which kind of store it is.
        url: Its URL, perhaps with a password: not for showing.
        shown: Its URL without secrets.
        path: The file of SQLite.
    """

    kind: Literal["memory", "sqlite", "postgresql"]
    url: str
    shown: str
    path: Path | None = None

    @property
    def spill_stem(self) -> str:
        """Name that the spill files of this store begin with, and those of no other do."""
        if self.path is not None:
            return self.path.name
        return f"usage-{hashlib.sha256(self.shown.encode()).hexdigest()[:12]}"


def parse_store(store: object) -> StoreLocation:
    """Read where the ledger is.

    Args:
        store: "memory", a URL of SQLite or PostgreSQL, or the path of an SQLite file.

    Raises:
        ConfigurationError: It is none of them, or a path where no file can be. A password in it is
            never shown.
    """
    if isinstance(store, os.PathLike):
        return _file(Path(os.fspath(store)))
    return _read(store) if isinstance(store, str) else _refuse(store, f"must be {_CHOICES}")


def _read(store: str) -> StoreLocation:
    if store in {MEMORY, f"{MEMORY}://"}:
        return StoreLocation(MEMORY, MEMORY, MEMORY)
    scheme, separator, rest = store.partition("://")
    if not separator and Path(store).suffix in _FILE_SUFFIXES:
        return _file(Path(store))
    if separator and scheme in _SQLITE_SCHEMES:
        return _sqlite(store, rest)
    if separator and scheme in _POSTGRES_SCHEMES and rest:
        url = f"postgresql+psycopg://{rest}"
        return StoreLocation("postgresql", url, safe_url(url))
    return _refuse(safe_url(store), f"must be {_CHOICES}")


def _sqlite(store: str, rest: str) -> StoreLocation:
    path = rest[1:]
    if not rest.startswith("/"):
        _refuse(store, "needs three slashes before a relative path and four before an absolute one")
    if path in {"", ":memory:"} or path.startswith("file:") or "?" in path:
        _refuse(store, "must name a file; for a ledger that lives in memory pass 'memory'")
    return _file(Path(path))


def _file(path: Path) -> StoreLocation:
    path = Path(os.path.abspath(path))  # noqa: PTH100 - keeps symbolic links, which resolve() does not
    if path.is_dir():
        _refuse(str(path), "is a directory; name a file in it")
    if not path.parent.is_dir():
        _refuse(str(path), f"its directory {path.parent} does not exist; make it first")
    url = f"sqlite:///{path}"
    return StoreLocation("sqlite", url, url, path)


def _refuse(store: object, problem: str) -> NoReturn:
    raise ConfigurationError(f"store: got {shown(store)}, {problem}", param="store")
