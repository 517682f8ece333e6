"""The steps of a budget in SQLite, as statements of its driver: each call pays for two of them.

What a step has read stays known for as long as no one else has written to the file, which SQLite
tells; the transaction makes sure that nobody does while the step goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias, cast

from langchain_tamma_openai.usage.budget_amounts import Amounts, Bound, BudgetLimits
from langchain_tamma_openai.usage.budget_state import EVERY_LINE, Held, HeldState, Line, LineKey
from langchain_tamma_openai.usage.budget_windows import Span, moment_of

if TYPE_CHECKING:
    import sqlite3

Value: TypeAlias = str | int | float | None
Row: TypeAlias = Mapping[str, object]

_MOST_KNOWN = 2048

_VERSION = "PRAGMA data_version"
_FIND = (
    "SELECT spent_usd, spent_tokens, reserved_usd, reserved_tokens, unpriced_calls, marks, "
    "earliest_expiry_s FROM tamma_budget_lines WHERE line_id = ?"
)
_CREATE = (
    "INSERT INTO tamma_budget_lines (line_id, budget, scope, starts_at, ends_at, ends_at_s, "
    "spent_usd, spent_tokens, reserved_usd, reserved_tokens, unpriced_calls, marks) "
    "VALUES (?, ?, ?, ?, ?, ?, '0', 0, '0', 0, 0, '[]') ON CONFLICT DO NOTHING"
)
_SAVE = (
    "UPDATE tamma_budget_lines SET spent_usd = ?, spent_tokens = ?, reserved_usd = ?, "
    "reserved_tokens = ?, unpriced_calls = ?, marks = ?, earliest_expiry_s = ? WHERE line_id = ?"
)
_KEYS = (
    "SELECT scope, starts_at, ends_at FROM tamma_budget_lines "
    "WHERE budget = ? AND (ends_at_s IS NULL OR ends_at_s > ?) ORDER BY line_id"
)
_FIND_HELD = (
    "SELECT reservation_id, line_id, usd, tokens, expires_at_s, state "
    "FROM tamma_budget_reservations WHERE reservation_id = ?"
)
_OVERDUE = (
    "SELECT reservation_id, line_id, usd, tokens, expires_at_s, state "
    "FROM tamma_budget_reservations "
    "WHERE line_id = ? AND state = 'live' AND expires_at_s <= ?"
)
_NEXT_EXPIRY = (
    "SELECT min(expires_at_s) FROM tamma_budget_reservations WHERE line_id = ? AND state = 'live'"
)
_HOLD = (
    "INSERT OR REPLACE INTO tamma_budget_reservations "
    "(reservation_id, line_id, usd, tokens, expires_at_s, state) VALUES (?, ?, ?, ?, ?, ?)"
)
_DROP = "DELETE FROM tamma_budget_reservations WHERE reservation_id = ?"
_FORGET_ABANDONED = "DELETE FROM tamma_budget_reservations WHERE line_id = ? AND state != 'live'"
_FIND_LIMITS = "SELECT limit_usd, limit_tokens FROM tamma_budget_limits WHERE limit_id = ?"
_KEEP_LIMITS = (
    "INSERT OR REPLACE INTO tamma_budget_limits (limit_id, budget, scope, limit_usd, limit_tokens)"
    " VALUES (?, ?, ?, ?, ?)"
)
_FORGET_LIMITS = "DELETE FROM tamma_budget_limits WHERE limit_id = ?"
_ENDED = (
    "SELECT line_id FROM tamma_budget_lines WHERE budget = ? AND ends_at_s < ? AND line_id NOT IN "
    "(SELECT line_id FROM tamma_budget_reservations WHERE state = 'live')"
)
_FORGET = (
    "DELETE FROM tamma_budget_reservations WHERE line_id = ?",
    "DELETE FROM tamma_budget_lines WHERE line_id = ?",
)


class SqliteStep:
    """The steps of one connection, one after the other; see `budget_state.Transaction`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Know nothing yet.

        Args:
            connection: In no transaction; nobody else uses it.
        """
        self._run = connection.execute
        self._version: object = None
        self._lines: dict[str, Line] = {}
        self._held: dict[str, Held] = {}
        self._limits: dict[str, BudgetLimits | None] = {}

    def begin(self) -> None:
        """Begin a step; nobody else can write until it is over.

        Raises:
            sqlite3.Error: Somebody writes for too long, or the file cannot be used.
        """
        self._run("BEGIN IMMEDIATE")
        version = self._run(_VERSION).fetchone()
        known = len(self._lines) + len(self._held) + len(self._limits)
        if version != self._version or known > _MOST_KNOWN:
            self._forget()
            self._version = version

    def commit(self) -> None:
        """Keep what the step has done.

        Raises:
            sqlite3.Error: It cannot be kept.
        """
        self._run("COMMIT")

    def _forget(self) -> None:
        self._lines.clear()
        self._held.clear()
        self._limits.clear()

    def find(self, key: LineKey) -> Line | None:
        """Give a line that no one else changes until the step is over; None for a new one."""
        line = self._lines.get(key.ident)
        if line is None:
            row = self._run(_FIND, (key.ident,)).fetchone()
            if row is None:
                return None
            line = self._lines[key.ident] = _line_of(key, row)
        return line

    def create(self, key: LineKey) -> Line:
        """Begin a line."""
        starts_at, ends_at = key.span.starts_at, key.span.ends_at
        values = (
            key.ident,
            key.budget,
            key.scope,
            None if starts_at is None else starts_at.isoformat(),
            None if ends_at is None else ends_at.isoformat(),
            None if ends_at is None else ends_at.timestamp(),
        )
        self._run(_CREATE, values)
        return self.find(key) or Line(key)

    def save(self, line: Line) -> None:
        """Keep a line."""
        ident = line.key.ident
        spent, reserved = line.spent, line.reserved
        values = (
            format(spent.usd, "f"),
            spent.tokens,
            format(reserved.usd, "f"),
            reserved.tokens,
            line.unpriced_calls,
            _marks_text(line.marks),
            line.earliest_expiry_s,
            ident,
        )
        self._run(_SAVE, values)
        self._lines[ident] = line

    def keys(self, budget: str, now_s: float) -> list[LineKey]:
        """Name all lines of a budget whose windows have not ended."""
        return [
            LineKey(budget, scope, Span(moment_of(starts_at), moment_of(ends_at)))
            for scope, starts_at, ends_at in self._run(_KEYS, (budget, now_s))
        ]

    def held(self, ident: str) -> Held | None:
        """Find a reservation; None when it is settled or forgotten."""
        if (held := self._held.get(ident)) is not None:
            return held
        row = self._run(_FIND_HELD, (ident,)).fetchone()
        return None if row is None else _held_of(row)

    def overdue(self, line: str, now_s: float) -> list[Held]:
        """Give the live reservations of a line that have expired."""
        return [_held_of(row) for row in self._run(_OVERDUE, (line, now_s)).fetchall()]

    def next_expiry_s(self, line: str) -> float | None:
        """Say when the next live reservation of a line expires."""
        found: float | None = self._run(_NEXT_EXPIRY, (line,)).fetchone()[0]
        return found

    def hold(self, held: Held) -> None:
        """Keep a reservation, new or changed."""
        usd = None if held.bound.usd is None else format(held.bound.usd, "f")
        values = (
            held.ident,
            held.line,
            usd,
            held.bound.tokens,
            held.expires_at_s,
            held.state.value,
        )
        self._run(_HOLD, values)
        self._held[held.ident] = held

    def drop(self, ident: str) -> None:
        """Forget a reservation."""
        self._run(_DROP, (ident,))
        self._held.pop(ident, None)

    def forget_abandoned(self, line: str) -> None:
        """Forget the reservations of a line that are not live."""
        self._run(_FORGET_ABANDONED, (line,))
        self._held.clear()

    def limits(self, budget: str, scope: str) -> tuple[BudgetLimits | None, BudgetLimits | None]:
        """Give the limits kept for one line and for all lines of a budget."""
        return self._limits_of(budget, scope), self._limits_of(budget, EVERY_LINE)

    def _limits_of(self, budget: str, scope: str) -> BudgetLimits | None:
        ident = limit_id(budget, scope)
        if ident not in self._limits:
            row = self._run(_FIND_LIMITS, (ident,)).fetchone()
            self._limits[ident] = None if row is None else BudgetLimits(_usd(row[0]), row[1])
        return self._limits[ident]

    def keep_limits(self, budget: str, scope: str, limits: BudgetLimits | None) -> None:
        """Keep limits, or forget them."""
        ident = limit_id(budget, scope)
        if limits is None:
            self._run(_FORGET_LIMITS, (ident,))
        else:
            usd = None if limits.usd is None else format(limits.usd, "f")
            self._run(_KEEP_LIMITS, (ident, budget, scope, usd, limits.tokens))
        self._limits[ident] = limits

    def forget_ended(self, budget: str, before_s: float) -> None:
        """Forget lines whose windows ended before, unless calls are under way there."""
        for (ident,) in self._run(_ENDED, (budget, before_s)).fetchall():
            for statement in _FORGET:
                self._run(statement, (ident,))
            self._forget()


@lru_cache(maxsize=1024)
def limit_id(budget: str, scope: str) -> str:
    """Name the limits of a line, or of all lines of a budget.

    Args:
        budget: The budget.
        scope: The line's labels as JSON, or `EVERY_LINE`.
    """
    return LineKey(budget, scope, Span()).ident


@lru_cache(maxsize=1024)
def _marks_text(marks: frozenset[str]) -> str:
    return json.dumps(sorted(marks))


def _line_of(key: LineKey, row: tuple[Value, ...]) -> Line:
    spent_usd, spent_tokens, reserved_usd, reserved_tokens, unpriced, marks, expiry_s = row
    return Line(
        key,
        Amounts(Decimal(str(spent_usd)), cast("int", spent_tokens)),
        Amounts(Decimal(str(reserved_usd)), cast("int", reserved_tokens)),
        cast("int", unpriced),
        frozenset(json.loads(str(marks))),
        cast("float | None", expiry_s),
    )


def _held_of(row: tuple[Value, ...]) -> Held:
    ident, line, usd, tokens, expires_at_s, state = row
    bound = Bound(_usd(usd), cast("int | None", tokens))
    return Held(str(ident), str(line), bound, cast("float", expires_at_s), HeldState(str(state)))


def _usd(text: Value) -> Decimal | None:
    return None if text is None else Decimal(str(text))
