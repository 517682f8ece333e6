"""Connections to SQLite and PostgreSQL, and their errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.errors import ConfigurationError, StorageError
from langchain_tamma_openai.redact import redact_secrets

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Connection, Engine

    from langchain_tamma_openai.usage.store.location import StoreLocation

CAN_WRITE = "tamma_can_write"
_CONNECT_TIMEOUT_S = 5
# A server that is gone without a word is noticed after about half a minute.
_KEEPALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


class RecordRefusedError(StorageError):
    """A record can never be stored as it is, however often it is tried."""

    default_code = "record_refused"


def make_engine(location: StoreLocation, *, busy_timeout_s: float, is_durable: bool) -> Engine:
    """Describe the connections; none is opened yet.

    Args:
        location: Where the database is.
        busy_timeout_s: Seconds to wait for another writer of an SQLite file.
        is_durable: Whether what is committed must survive a power cut as well as a crash.

    Raises:
        ConfigurationError: A package is missing, or the URL cannot be read.
    """
    if location.kind == "sqlite":
        return _sqlite_engine(location, busy_timeout_s, is_durable=is_durable)
    return _postgres_engine(location)


def _sqlite_engine(location: StoreLocation, busy_timeout_s: float, *, is_durable: bool) -> Engine:
    from sqlalchemy import URL, NullPool, create_engine, event

    engine = create_engine(
        URL.create("sqlite", database=str(location.path)),
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
    )

    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where `begin` says so
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
        connection.execute("PRAGMA cache_size = -8000")

    def begin(connection: Connection) -> None:
        can_write = connection.get_execution_options().get(CAN_WRITE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if can_write else "BEGIN")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    return engine


def _postgres_engine(location: StoreLocation) -> Engine:
    from sqlalchemy import NullPool, create_engine, make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(location.url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            f"store: {location.shown!r} cannot be read; it must look like "
            "'postgresql+psycopg://user:password@host:5432/database'",
            param="store",
        ) from None
    defaults: dict[str, Any] = {"connect_timeout": _CONNECT_TIMEOUT_S, **_KEEPALIVE}
    arguments = {name: value for name, value in defaults.items() if name not in url.query}
    try:
        return create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=arguments)
    except ImportError as exc:
        raise missing_package(location) from exc


def missing_package(location: StoreLocation) -> ConfigurationError:
    """Say what to install for a store.

    Args:
        location: The store.
    """
    extra, packages = (
        ("sql", "SQLAlchemy")
        if location.kind == "sqlite"
        else ("postgres", "SQLAlchemy and psycopg")
    )
    return ConfigurationError(
        f"store: {location.shown!r} needs {packages}; install with "
        f"pip install 'langchain-tamma-openai[{extra}]'",
        code="missing_package",
        param="store",
    )


@contextmanager
def storage_errors(location: StoreLocation) -> Iterator[None]:
    """Turn the errors of databases into ours.

    Args:
        location: Where the database is, for the message.

    Raises:
        StorageError: The database cannot be used now.
        RecordRefusedError: It can, but not with these values.
    """
    from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

    try:
        yield
    except (DataError, IntegrityError) as exc:
        raise RecordRefusedError(_problem(location, exc)) from exc
    except SQLAlchemyError as exc:
        raise StorageError(_problem(location, exc)) from exc


def _problem(location: StoreLocation, exc: Exception) -> str:
    cause = getattr(exc, "orig", None) or exc
    text = redact_secrets(" ".join(str(cause).split()))
    hints = {
        "locked": "another program holds it; raise busy_timeout_s",
        "full": "free some space",
        "readonly": "check the permissions of the file and its directory",
        "unable to open": "check the permissions of the file and its directory",
        "not a database": "the file is something else; name another one",
    }
    hint = next((way for word, way in hints.items() if word in text), None)
    if location.kind == "postgresql":
        hint = "check the address, the account and that the server runs"
    return f"The usage ledger {location.shown} failed: {text}" + (f"; {hint}" if hint else "")
