"""Tables of the ledger and the steps from one version of them to the next.

A run is a row of `tamma_usage_runs`, an HTTP attempt one of `tamma_usage_attempts`, a tag of a run
one of `tamma_usage_tags`. Times are whole microseconds since 1970 in UTC. In SQLite, which has no
decimals, amounts are text, and beside it split into integers that it can add; triggers keep their
sums by hour in `tamma_usage_hourly`, so that no way of inserting or deleting a run misses them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
    Uuid,
    func,
    inspect,
    select,
)
from sqlalchemy.schema import SchemaItem

from langchain_tamma_openai.errors import StorageError
from langchain_tamma_openai.usage.record_codec import (
    ATTEMPT_TEXTS,
    COST_FIELDS,
    RUN_TEXTS,
    TOKEN_FIELDS,
)
from langchain_tamma_openai.usage.store.measures import ODD, SPLIT_NAMES
from langchain_tamma_openai.usage.store.rollup import PREFIX, create_hourly_sums
from langchain_tamma_openai.usage.store.rows import ATTEMPT_STATES
from langchain_tamma_openai.usage.summary import AMOUNT_NAMES

_VERSIONS = Table(f"{PREFIX}schema_version", MetaData(), Column("version", Integer, nullable=False))
_LOCK_KEY = 0x7461_6D6D_6175  # any number that no other program is likely to lock


class LedgerTables:
    """The tables as one kind of database has them."""

    def __init__(self, *, has_decimals: bool) -> None:
        """Describe the tables.

        Args:
            has_decimals: Whether the database has exact decimals, as PostgreSQL does.
        """
        self.has_decimals = has_decimals
        self.metadata = MetaData()
        self.sequence = Sequence(f"{PREFIX}seq", metadata=self.metadata, data_type=BigInteger)
        self.runs = self._runs()
        self.attempts = self._attempts()
        self.tags = Table(
            f"{PREFIX}tags",
            self.metadata,
            Column("tag", Text, nullable=False),
            Column("seq", BigInteger, nullable=False),
            PrimaryKeyConstraint("tag", "seq"),
            Index(f"{PREFIX}tags_by_run", "seq"),
            sqlite_with_rowid=False,
        )

    def _runs(self) -> Table:
        split: list[SchemaItem] = [_integer(name) for name in SPLIT_NAMES] + [_flag(ODD)]
        return Table(
            f"{PREFIX}runs",
            self.metadata,
            Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
            Column("run_id", _uuid(), nullable=False, unique=True),
            Column("parent_run_id", _uuid()),
            Column("root_run_id", _uuid()),
            Column("started_us", BigInteger, nullable=False),
            Column("status", Text, nullable=False),
            Column("latency_s", Double, nullable=False),
            Column("latency_us", BigInteger, nullable=False),
            Column("time_to_first_token_s", Double),
            _integer("first_token_us"),
            _flag("streamed"),
            _flag("cache_hit"),
            _flag("estimated"),
            Column("attempts", BigInteger, nullable=False),
            *(Column(name, Text) for name in RUN_TEXTS),
            *self._usage(),
            Column("tags", Text, nullable=False),
            Column("metadata", Text, nullable=False),
            *([] if self.has_decimals else split),
            Index(f"{PREFIX}runs_by_start", "started_us"),
            Index(f"{PREFIX}runs_by_user", "user_id", "started_us"),
            Index(f"{PREFIX}runs_by_organization", "organization_id", "started_us"),
        )

    def _attempts(self) -> Table:
        return Table(
            f"{PREFIX}attempts",
            self.metadata,
            Column("seq", BigInteger, nullable=False),
            Column("position", Integer, nullable=False),
            Column("started_us", BigInteger, nullable=False),
            *(Column(name, Text, nullable=False) for name in ATTEMPT_STATES),
            Column("number", BigInteger, nullable=False),
            Column("latency_s", Double, nullable=False),
            Column("time_to_first_token_s", Double),
            _integer("status_code"),
            *(Column(name, Text) for name in ATTEMPT_TEXTS),
            *self._usage(),
            PrimaryKeyConstraint("seq", "position"),
            sqlite_with_rowid=False,
        )

    def _usage(self) -> list[SchemaItem]:
        amount = Numeric() if self.has_decimals else Text()
        types = {name: Text() for name in COST_FIELDS} | dict.fromkeys(AMOUNT_NAMES, amount)
        return [
            *(_integer(name) for name in TOKEN_FIELDS),
            *(Column(n, Boolean() if n == "cost_estimated" else t) for n, t in types.items()),
            Column("cost_parts", Text),
        ]


@cache
def ledger_tables(*, has_decimals: bool) -> LedgerTables:
    """Describe the tables, once for each kind of database."""
    return LedgerTables(has_decimals=has_decimals)


def _integer(name: str) -> Column[int]:
    return Column(name, BigInteger)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _uuid() -> Uuid[str]:
    """Ids are UUIDs where the database has them, and their text where it does not."""
    return Uuid(as_uuid=False).with_variant(Text(), "sqlite")


def migrate(connection: Connection) -> None:
    """Bring the tables to the version of this package, inside the caller's transaction.

    Args:
        connection: In a transaction; in SQLite one that may write, so that no other is in one.

    Raises:
        StorageError: The tables are of a later version.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})")
    _VERSIONS.create(connection, checkfirst=True)
    for version in range(schema_version(connection) + 1, len(_STEPS) + 1):
        _STEPS[version - 1](connection)
        connection.execute(_VERSIONS.delete())
        connection.execute(_VERSIONS.insert().values(version=version))


def is_current(connection: Connection) -> bool:
    """Tell whether the tables are of the version of this package.

    Raises:
        StorageError: They are of a later version.
    """
    return has_ledger(connection) and schema_version(connection) == len(_STEPS)


def has_ledger(connection: Connection) -> bool:
    """Tell whether the tables are there, of whatever version."""
    return inspect(connection).has_table(_VERSIONS.name)


def schema_version(connection: Connection) -> int:
    """Give the version of the tables; 0 when there are none.

    Raises:
        StorageError: It is later than this package.
    """
    version = connection.scalar(select(func.max(_VERSIONS.c.version))) or 0
    if version > len(_STEPS):
        raise StorageError(
            f"The usage ledger has schema version {version}, and this version of "
            f"langchain-tamma-openai knows up to {len(_STEPS)}: upgrade the package, or use "
            "another database",
            code="schema_too_new",
        )
    return int(version)


def _create_tables(connection: Connection) -> None:
    has_decimals = connection.dialect.name != "sqlite"
    ledger_tables(has_decimals=has_decimals).metadata.create_all(connection)


_STEPS: tuple[Callable[[Connection], None], ...] = (_create_tables, create_hourly_sums)
"""A step, once released, never changes: what comes later is a step of its own."""
