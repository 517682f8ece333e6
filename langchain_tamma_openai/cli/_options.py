"""Options that several commands share, and what they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from langchain_tamma_openai.cli._errors import (
    FAILED,
    WRONG_ARGUMENTS,
    CommandError,
    wrong_argument,
)

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from langchain_tamma_openai import ChatTammaOpenAI, UsageTracker
    from langchain_tamma_openai.usage.store.location import StoreLocation

STORE_VARIABLE = "TAMMA_OPENAI_STORE"

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar=STORE_VARIABLE,
        metavar="URL",
        help="The ledger: sqlite:///usage.db, the path of a file, or postgresql+psycopg://...",
    ),
]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="NAME", help="Default: OPENAI_MODEL, else gpt-6-luna."),
]
BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="Root of the API. Default: OPENAI_BASE_URL."),
]


def chat_model(model: str | None, base_url: str | None, **others: object) -> ChatTammaOpenAI:
    """Make the model that a command asks.

    Args:
        model: Its name; None for the environment's.
        base_url: Root of the API; None for the environment's.
        others: Further arguments; None leaves one out.

    Raises:
        ConfigurationError: An argument or the environment is wrong; there is no key.
    """
    from langchain_tamma_openai import ChatTammaOpenAI

    check_base_url(base_url)
    given = {"model": model, "base_url": base_url, **others}
    llm = ChatTammaOpenAI(**{name: value for name, value in given.items() if value is not None})
    _ = llm.root_client  # a missing key is said now, and not in the middle
    return llm


def check_base_url(base_url: str | None) -> None:
    """Refuse what is no URL before anything else is done.

    Args:
        base_url: What was typed; None for none.

    Raises:
        CommandError: It is none.
    """
    from langchain_tamma_openai import checks
    from langchain_tamma_openai.errors import ConfigurationError

    try:
        checks.check_base_url(base_url, "--base-url")
    except ConfigurationError as error:
        raise CommandError(str(error), WRONG_ARGUMENTS) from None


def ledger(store: str | None) -> UsageTracker:
    """Open the ledger that a command asks; asking never makes a new one.

    Args:
        store: What `--store` or the environment says.

    Raises:
        CommandError: None is named, or there is no such file.
        StorageError: It cannot be used.
    """
    from langchain_tamma_openai import UsageTracker

    return UsageTracker(existing_ledger(store).url)


def existing_ledger(store: str | None) -> StoreLocation:
    """Find the ledger that a command asks; asking never puts one into another's database.

    Args:
        store: What `--store` or the environment says.

    Raises:
        CommandError: None is named, it cannot be read, or there is no ledger in it.
    """
    location = existing_store(store)
    if not may_hold_ledger(location):
        name = location.path or location.shown
        raise CommandError(f"{name}: holds no ledger; name another with --store")
    return location


def may_hold_ledger(location: StoreLocation) -> bool:
    """Whether a database has the tables; what cannot be opened is told by whoever opens it.

    Args:
        location: Where it is.
    """
    if location.kind == "memory":
        return True
    return _has_tables(location) if location.path is None else _file_has_tables(location.path)


def _has_tables(location: StoreLocation) -> bool:
    from langchain_tamma_openai.errors import TammaError

    try:
        from sqlalchemy.exc import SQLAlchemyError

        from langchain_tamma_openai.usage.store.engine import make_engine
        from langchain_tamma_openai.usage.store.schema import has_ledger
    except ImportError:
        return True
    try:
        with make_engine(location, busy_timeout_s=1.0, is_durable=False).connect() as database:
            return has_ledger(database)
    except (SQLAlchemyError, TammaError):
        return True


def _file_has_tables(path: Path) -> bool:
    import sqlite3
    from contextlib import closing

    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return any(name.startswith("tamma_usage_") for (name,) in found)
    except sqlite3.Error:
        return True


def existing_store(store: str | None) -> StoreLocation:
    """Find the database that a command asks; asking never makes a new one.

    Args:
        store: What `--store` or the environment says.

    Raises:
        CommandError: None is named, it cannot be read, or there is no such file.
    """
    location = store_location(store)
    if location.path is not None and not location.path.exists():
        raise CommandError(f"{location.path}: there is no such file; name another with --store")
    return location


def store_location(store: str | None) -> StoreLocation:
    """Read where a database is, which need not exist yet.

    Args:
        store: What `--store` or the environment says.

    Raises:
        CommandError: None is named, or it cannot be read.
    """
    from langchain_tamma_openai.errors import ConfigurationError
    from langchain_tamma_openai.usage.store.location import parse_store

    if not store:
        raise CommandError(
            f"no store is named: pass --store sqlite:///usage.db, or set {STORE_VARIABLE}",
            WRONG_ARGUMENTS,
        )
    try:
        location = parse_store(store)
    except ConfigurationError as error:
        status = FAILED if "does not exist" in str(error) else WRONG_ARGUMENTS
        raise CommandError(f"--{error}", status) from None
    if location.kind == "memory":
        raise wrong_argument("--store", store, "a file or a database; memory ends with its program")
    return location


def spare_ledger(location: StoreLocation, target: Path | None) -> None:
    """Refuse to put a file in the place of the ledger that it is made from.

    Args:
        location: The ledger.
        target: The file; None for standard output.

    Raises:
        CommandError: They are the same file.
    """
    if target is None or location.path is None or not target.exists():
        return
    if target.samefile(location.path):
        raise CommandError(f"{target}: is the ledger itself; write to another file")


def moment(text: str | None, name: str) -> datetime | None:
    """Read a time: ISO 8601, or `7d`, `12h`, `30m` ago, or `today`, `yesterday`, `month`.

    Args:
        text: What was typed; None for none.
        name: The option.

    Returns:
        In UTC.

    Raises:
        CommandError: It is no time.
    """
    from langchain_tamma_openai.cli._moments import parse_moment

    return None if text is None else parse_moment(text, name)


def readable_file(path: Path) -> Path:
    """Check that a file can be read.

    Args:
        path: What was typed.

    Raises:
        CommandError: There is none, or it is a directory.
    """
    if not path.exists():
        raise CommandError(f"{path}: there is no such file")
    if path.is_dir():
        raise CommandError(f"{path}: is a directory; name a file in it")
    return path
