"""Budgets in SQLite or PostgreSQL, shared by threads, processes and machines.

Amounts are kept as decimal text: SQLite has no decimals, and sums must be exact. Each step is one
short transaction that locks the one line it changes (SQLite: the file).
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from langchain_tamma_openai.checks import safe_url
from langchain_tamma_openai.redact import redact_secrets
from langchain_tamma_openai.usage.budget_amounts import Amounts, Bound, BudgetLimits
from langchain_tamma_openai.usage.budget_sqlite import SqliteStep, limit_id
from langchain_tamma_openai.usage.budget_state import (
    EVERY_LINE,
    Held,
    HeldState,
    Line,
    LineKey,
    Transaction,
)
from langchain_tamma_openai.usage.budget_windows import Span, moment_of

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor

T = TypeVar("T")

SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 5
_MOST_CONNECTIONS = 8
_PG_SETTINGS = (
    f"SET lock_timeout = '{BUSY_TIMEOUT_S}s'",
    # A process that stands still in the midst of a step must not hold up all others for ever.
    f"SET idle_in_transaction_session_timeout = '{BUSY_TIMEOUT_S}s'",
)
_CREATION_LOCK = 0x7A3B_B0D6
"""Any number that nobody else uses; PostgreSQL's CREATE IF NOT EXISTS can fail in a race."""

_CHANGING = (
    "spent_usd",
    "spent_tokens",
    "reserved_usd",
    "reserved_tokens",
    "unpriced_calls",
    "marks",
    "earliest_expiry_s",
)

_metadata = sa.MetaData()
_VERSION = sa.Table(
    "tamma_budget_schema", _metadata, sa.Column("version", sa.Integer, primary_key=True)
)
_LINES = sa.Table(
    "tamma_budget_lines",
    _metadata,
    sa.Column("line_id", sa.String(64), primary_key=True),
    sa.Column("budget", sa.Text, nullable=False, index=True),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("starts_at", sa.Text),
    sa.Column("ends_at", sa.Text),
    sa.Column("ends_at_s", sa.Double),
    sa.Column("spent_usd", sa.Text, nullable=False),
    sa.Column("spent_tokens", sa.BigInteger, nullable=False),
    sa.Column("reserved_usd", sa.Text, nullable=False),
    sa.Column("reserved_tokens", sa.BigInteger, nullable=False),
    sa.Column("unpriced_calls", sa.BigInteger, nullable=False),
    sa.Column("marks", sa.Text, nullable=False),
    sa.Column("earliest_expiry_s", sa.Double),
)
_RESERVATIONS = sa.Table(
    "tamma_budget_reservations",
    _metadata,
    sa.Column("reservation_id", sa.String(64), primary_key=True),
    sa.Column("line_id", sa.String(64), nullable=False, index=True),
    sa.Column("usd", sa.Text),
    sa.Column("tokens", sa.BigInteger),
    sa.Column("expires_at_s", sa.Double, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
)
_LIMITS = sa.Table(
    "tamma_budget_limits",
    _metadata,
    sa.Column("limit_id", sa.String(64), primary_key=True),
    sa.Column("budget", sa.Text, nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("limit_usd", sa.Text),
    sa.Column("limit_tokens", sa.BigInteger),
)


class SqlStore:
    """Lines in a database."""

    is_local = False

    def __init__(self, url: str) -> None:
        """Open the database and create its tables where they are missing.

        Args:
            url: ``sqlite:///file`` or ``postgresql+psycopg://...``.

        Raises:
            ConfigurationError: The URL cannot be read, or the driver is not installed.
            StorageError: The database cannot be reached, or not written to.
        """
        self._name = safe_url(url)
        self._url = _read_url(url, self._name)
        self._begin()
        try:
            self._create()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        self._engine = _engine(self._url)
        self._is_sqlite = self._engine.dialect.name == "sqlite"
        # SQLite lets one connection write; threads that wait here need not poll its lock.
        self._turn: AbstractContextManager[object] = (
            threading.Lock() if self._is_sqlite else nullcontext()
        )
        self._held: _Held | None = None
        self._closer = weakref.finalize(self, self._engine.dispose)

    def after_fork(self) -> None:
        """Open connections of our own; ending the parent's would touch what both share."""
        self._closer.detach()
        _inherited.extend((self._engine, self._held))
        self._begin()

    def close(self) -> None:
        """Close connections; the next step opens new ones."""
        with self._turn:
            self._let_go()
        self._engine.dispose()

    def names(self) -> list[tuple[str, str]]:
        """Give budget and scope of all lines and limits that are kept."""
        kept = sa.union(
            sa.select(_LINES.c.budget, _LINES.c.scope), sa.select(_LIMITS.c.budget, _LIMITS.c.scope)
        )
        with _translated(self._name), self._turn:
            self._let_go()  # there is one connection to an SQLite file
            return self._names(kept)

    def _names(self, kept: sa.CompoundSelect[tuple[str, str]]) -> list[tuple[str, str]]:
        with self._engine.begin() as connection:
            return [(row.budget, row.scope) for row in connection.execute(kept)]

    def run(self, job: Callable[[Transaction], T]) -> T:
        """Do a step in one transaction."""
        if self._is_sqlite:
            return self._run_in_sqlite(job)
        with _translated(self._name), self._engine.begin() as connection:
            return job(_PostgresStep(connection))

    def _run_in_sqlite(self, job: Callable[[Transaction], T]) -> T:
        with _translated(self._name), self._turn:
            if self._held is None:
                self._held = _Held(self._engine)
            step = self._held.step
            try:
                step.begin()
                result = job(step)
                step.commit()
            except BaseException:
                self._let_go()  # which rolls back
                raise
            return result

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.connection.close()

    def _create(self) -> None:
        with _translated(self._name), self._turn, self._engine.begin() as connection:
            if not self._is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATION_LOCK)))
            _metadata.create_all(connection)
            found = connection.scalar(sa.select(_VERSION.c.version))
            if found is None:
                connection.execute(_VERSION.insert().values(version=SCHEMA_VERSION))
            else:  # write something, to learn now whether that is allowed
                connection.execute(_VERSION.update().values(version=_VERSION.c.version))
        if found is not None and found != SCHEMA_VERSION:
            from langchain_tamma_openai.errors import StorageError

            raise StorageError(
                f"The budgets at {self._name} were written by another version of this package "
                f"(schema {found}, this one knows {SCHEMA_VERSION}); use one version everywhere"
            )


class _Held:
    """The one connection to an SQLite file, and the steps it takes."""

    def __init__(self, engine: Engine) -> None:
        self.connection = engine.raw_connection()
        self.step = SqliteStep(cast("sqlite3.Connection", self.connection.driver_connection))


def holds_budgets(url: str) -> bool:
    """Whether a database has the tables of budgets; nothing is made there.

    Args:
        url: As for `SqlStore`.

    Raises:
        ConfigurationError: The URL cannot be read, or the driver is not installed.
        StorageError: The database cannot be reached.
    """
    engine = _engine(_read_url(url, safe_url(url)))
    try:
        with _translated(safe_url(url)):
            return sa.inspect(engine).has_table(_LINES.name)
    finally:
        engine.dispose()


@contextmanager
def _translated(name: str) -> Iterator[None]:
    from langchain_tamma_openai.errors import StorageError

    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as exc:
        raise StorageError(
            f"The budgets at {name} cannot be used ({_reason(exc)}); start the database "
            "there, see that it can be written to, or correct the URL in store="
        ) from exc


def _read_url(text: str, name: str) -> URL:
    from langchain_tamma_openai.errors import ConfigurationError

    try:
        url = sa.make_url(text)
    except (ArgumentError, ValueError) as exc:
        raise ConfigurationError(
            f"store: got {name}, which cannot be read as a database URL; pass "
            "'sqlite:///file' or 'postgresql+psycopg://user@host/database'",
            param="store",
        ) from exc
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(
            url,
            poolclass=sa.QueuePool,
            pool_size=1,
            max_overflow=0,
            connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        )
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_immediate)
        return engine
    timeout = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_TIMEOUT_S}
    try:
        engine = sa.create_engine(
            url,
            pool_size=_MOST_CONNECTIONS,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args=timeout,
            isolation_level="READ COMMITTED",
        )
    except ModuleNotFoundError as missing:
        from langchain_tamma_openai.errors import ConfigurationError

        raise ConfigurationError(
            f"store: PostgreSQL needs the package {missing.name!r}, which is not installed; run: "
            "pip install 'langchain-tamma-openai[postgres]'",
            param="store",
        ) from missing
    sa.event.listen(engine, "connect", _prepare_postgres)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_immediate` says
    cursor = connection.cursor()
    _choose_wal(cursor)
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _choose_wal(cursor: DBAPICursor) -> None:
    """Switch to WAL, which SQLite refuses at once while another process does the same."""
    until_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until_s:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _prepare_postgres(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    for setting in _PG_SETTINGS:
        cursor.execute(setting)
    cursor.close()
    connection.commit()


def _reason(exc: Exception) -> str:
    cause = getattr(exc, "orig", None) or exc
    text = " ".join(str(cause).split())
    return f"{type(cause).__name__}: {redact_secrets(text)[:300]}"


# The statements of every call are built once: building them takes longer than running them.
_line: sa.BindParameter[str] = sa.bindparam("line")
_ident: sa.BindParameter[str] = sa.bindparam("ident")
_now_s: sa.BindParameter[float] = sa.bindparam("now_s")
_is_live = sa.and_(_RESERVATIONS.c.line_id == _line, _RESERVATIONS.c.state == HeldState.LIVE.value)
_FIND = sa.select(_LINES).where(_LINES.c.line_id == _line).with_for_update()
_SAVE = (
    _LINES.update()
    .where(_LINES.c.line_id == _line)
    .values({name: sa.bindparam(name) for name in _CHANGING})
)
_KEYS = (
    sa.select(_LINES.c.scope, _LINES.c.starts_at, _LINES.c.ends_at)
    .where(
        _LINES.c.budget == sa.bindparam("budget"),
        sa.or_(_LINES.c.ends_at_s.is_(None), _LINES.c.ends_at_s > _now_s),
    )
    .order_by(_LINES.c.line_id)
)
_HELD = sa.select(_RESERVATIONS).where(_RESERVATIONS.c.reservation_id == _ident)
_OVERDUE = sa.select(_RESERVATIONS).where(_is_live, _RESERVATIONS.c.expires_at_s <= _now_s)
_NEXT_EXPIRY = sa.select(sa.func.min(_RESERVATIONS.c.expires_at_s)).where(_is_live)
_DROP = _RESERVATIONS.delete().where(_RESERVATIONS.c.reservation_id == _ident)
_FORGET_ABANDONED = _RESERVATIONS.delete().where(
    _RESERVATIONS.c.line_id == _line, _RESERVATIONS.c.state != HeldState.LIVE.value
)
_FIND_LIMITS = sa.select(_LIMITS).where(
    _LIMITS.c.limit_id.in_([sa.bindparam("own"), sa.bindparam("common")])
)
_FORGET_LIMITS = _LIMITS.delete().where(_LIMITS.c.limit_id == _ident)
_ENDED = (
    sa.select(_LINES.c.line_id)
    .where(
        _LINES.c.budget == sa.bindparam("budget"),
        _LINES.c.ends_at_s < _now_s,
        _LINES.c.line_id.not_in(
            sa.select(_RESERVATIONS.c.line_id).where(_RESERVATIONS.c.state == HeldState.LIVE.value)
        ),
    )
    # Another process may be doing the same; what it has locked, it forgets.
    .with_for_update(skip_locked=True)
)


def _upsert(table: sa.Table, key: str) -> postgresql.Insert:
    insert = postgresql.insert(table)
    new = {column.name: column for column in insert.excluded if column.name != key}
    return insert.on_conflict_do_update(index_elements=[key], set_=new)


_CREATE = postgresql.insert(_LINES).on_conflict_do_nothing()
_HOLD = _upsert(_RESERVATIONS, "reservation_id")
_KEEP_LIMITS = _upsert(_LIMITS, "limit_id")


class _PostgresStep:
    """The steps of one transaction in PostgreSQL; those in SQLite are in `budget_sqlite`."""

    def __init__(self, connection: Connection) -> None:
        self._run = connection.execute

    def find(self, key: LineKey) -> Line | None:
        row = self._run(_FIND, {"line": key.ident}).mappings().first()
        return None if row is None else _line_of(key, row)

    def create(self, key: LineKey) -> Line:
        fresh = Line(key)
        self._run(_CREATE, {**_identity_row(key), **_line_row(fresh)})
        return self.find(key) or fresh

    def save(self, line: Line) -> None:
        self._run(_SAVE, {"line": line.key.ident, **_line_row(line)})

    def keys(self, budget: str, now_s: float) -> list[LineKey]:
        return [
            LineKey(budget, row.scope, Span(moment_of(row.starts_at), moment_of(row.ends_at)))
            for row in self._run(_KEYS, {"budget": budget, "now_s": now_s})
        ]

    def held(self, ident: str) -> Held | None:
        row = self._run(_HELD, {"ident": ident}).mappings().first()
        return None if row is None else _held_of(row)

    def overdue(self, line: str, now_s: float) -> list[Held]:
        rows = self._run(_OVERDUE, {"line": line, "now_s": now_s}).mappings()
        return [_held_of(row) for row in rows]

    def next_expiry_s(self, line: str) -> float | None:
        found: float | None = self._run(_NEXT_EXPIRY, {"line": line}).scalar()
        return found

    def hold(self, held: Held) -> None:
        values = {
            "reservation_id": held.ident,
            "line_id": held.line,
            "usd": None if held.bound.usd is None else _text(held.bound.usd),
            "tokens": held.bound.tokens,
            "expires_at_s": held.expires_at_s,
            "state": held.state.value,
        }
        self._run(_HOLD, values)

    def drop(self, ident: str) -> None:
        self._run(_DROP, {"ident": ident})

    def forget_abandoned(self, line: str) -> None:
        self._run(_FORGET_ABANDONED, {"line": line})

    def limits(self, budget: str, scope: str) -> tuple[BudgetLimits | None, BudgetLimits | None]:
        own, common = limit_id(budget, scope), limit_id(budget, EVERY_LINE)
        rows = self._run(_FIND_LIMITS, {"own": own, "common": common})
        found = {row.limit_id: _limits_of(row) for row in rows}
        return found.get(own), found.get(common)

    def keep_limits(self, budget: str, scope: str, limits: BudgetLimits | None) -> None:
        ident = limit_id(budget, scope)
        if limits is None:
            self._run(_FORGET_LIMITS, {"ident": ident})
            return
        values = {
            "limit_id": ident,
            "budget": budget,
            "scope": scope,
            "limit_usd": None if limits.usd is None else _text(limits.usd),
            "limit_tokens": limits.tokens,
        }
        self._run(_KEEP_LIMITS, values)

    def forget_ended(self, budget: str, before_s: float) -> None:
        idents = self._run(_ENDED, {"budget": budget, "now_s": before_s}).scalars().all()
        if idents:
            table = _RESERVATIONS
            self._run(table.delete().where(table.c.line_id.in_(idents)))
            self._run(_LINES.delete().where(_LINES.c.line_id.in_(idents)))


def _identity_row(key: LineKey) -> dict[str, object]:
    ends_at = key.span.ends_at
    return {
        "line_id": key.ident,
        "budget": key.budget,
        "scope": key.scope,
        "starts_at": None if key.span.starts_at is None else key.span.starts_at.isoformat(),
        "ends_at": None if ends_at is None else ends_at.isoformat(),
        "ends_at_s": None if ends_at is None else ends_at.timestamp(),
    }


def _line_row(line: Line) -> dict[str, object]:
    return {
        "spent_usd": _text(line.spent.usd),
        "spent_tokens": line.spent.tokens,
        "reserved_usd": _text(line.reserved.usd),
        "reserved_tokens": line.reserved.tokens,
        "unpriced_calls": line.unpriced_calls,
        "marks": json.dumps(sorted(line.marks)),
        "earliest_expiry_s": line.earliest_expiry_s,
    }


def _line_of(key: LineKey, row: sa.RowMapping) -> Line:
    return Line(
        key,
        spent=Amounts(Decimal(row["spent_usd"]), row["spent_tokens"]),
        reserved=Amounts(Decimal(row["reserved_usd"]), row["reserved_tokens"]),
        unpriced_calls=row["unpriced_calls"],
        marks=frozenset(json.loads(row["marks"])),
        earliest_expiry_s=row["earliest_expiry_s"],
    )


def _held_of(row: sa.RowMapping) -> Held:
    usd = row["usd"]
    bound = Bound(None if usd is None else Decimal(usd), row["tokens"])
    state = HeldState(row["state"])
    return Held(row["reservation_id"], row["line_id"], bound, row["expires_at_s"], state)


def _limits_of(row: sa.Row[tuple[object, ...]]) -> BudgetLimits:
    usd = row.limit_usd
    return BudgetLimits(None if usd is None else Decimal(usd), row.limit_tokens)


def _text(amount: Decimal) -> str:
    return format(amount, "f")


_inherited: list[object] = []
