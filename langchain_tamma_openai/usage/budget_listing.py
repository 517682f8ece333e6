"""The budgets of a store, as somebody sees them whose program does not spend from them."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langchain_tamma_openai.usage.budget_accounts import Accounts
from langchain_tamma_openai.usage.budget_amounts import KEEP, BudgetLimits, Keep, Usd
from langchain_tamma_openai.usage.budget_info import BudgetStatus
from langchain_tamma_openai.usage.budget_reserving import Desk
from langchain_tamma_openai.usage.budget_state import (
    DECLARED,
    EVERY_LINE,
    Line,
    LineKey,
    Terms,
    limits_of,
)
from langchain_tamma_openai.usage.budget_store import not_installed
from langchain_tamma_openai.usage.budget_windows import (
    BudgetWindow,
    read_window,
    span_at,
    window_name,
)

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.budget_sql import SqlStore


@dataclass(frozen=True, slots=True)
class StoredBudget:
    """One budget of a store.

    Attributes:
        name: Its name.
        window: How long spending adds up.
        scope: Names of the labels that each have a limit of their own.
        declared: The limits that the program gave it that opened it last; None where none is known.
        changed: The limits that `set_limit` put over them for all lines; None where there are none.
        lines: Where something was spent, or has limits of its own, in the present window.
    """

    name: str
    window: BudgetWindow
    scope: tuple[str, ...]
    declared: BudgetLimits | None
    changed: BudgetLimits | None
    lines: tuple[BudgetStatus, ...]
    _desk: Desk = field(repr=False)

    def set_limit(
        self,
        limit_usd: Usd | Keep | None = KEEP,
        limit_tokens: int | Keep | None = KEEP,
        **labels: object,
    ) -> None:
        """Change a limit; programs that use the budget obey with their next call.

        Args:
            limit_usd: Limit in dollars; None for no such limit. Left out, it stays.
            limit_tokens: Limit in tokens; None for no such limit. Left out, it stays.
            **labels: Whose limit it is; without any, it is that of all lines without their own.

        Raises:
            InvalidParameterError: A wrong amount or label, or no limit would be left.
            StorageError: The store cannot be reached.
        """
        self._desk.change_limits(labels, limit_usd, limit_tokens)

    def clear_limit(self, **labels: object) -> None:
        """Return to the limits that were in force before `set_limit`.

        Args:
            **labels: Whose limit it is; as for `set_limit`.

        Raises:
            InvalidParameterError: A label that is not in the scope.
            StorageError: The store cannot be reached.
        """
        self._desk.clear_limits(labels)


class StoredBudgets:
    """What a database keeps of budgets. Looking changes nothing: no reservation is settled."""

    def __init__(self, store: SqlStore | None) -> None:
        """Look into a store; None for one that keeps no budgets."""
        self._store = store

    def all(self) -> list[StoredBudget]:
        """Give all budgets by name.

        Raises:
            StorageError: The store cannot be reached.
        """
        if self._store is None:
            return []
        scopes: defaultdict[str, set[str]] = defaultdict(set)
        for ident, scope in self._store.names():
            scopes[ident].add(scope)
        return [self._look(ident, sorted(scopes[ident])) for ident in sorted(scopes)]

    def define(
        self, name: str, window: BudgetWindow = None, scope: Sequence[str] = ()
    ) -> StoredBudget:
        """Give the budget of this name, window and scope, known or not.

        Args:
            name: Its name.
            window: Its window.
            scope: Names of its labels.

        Raises:
            StorageError: The store cannot be reached.
        """
        ident = json.dumps([name, window_name(window), list(scope)])
        return self._look(ident, [])

    def _look(self, ident: str, scopes: Sequence[str]) -> StoredBudget:
        assert self._store is not None  # noqa: S101 - `define` is for stores that were made
        name, window_text, labels = json.loads(ident)
        window = read_window(window_text)
        declared, changed = self._store.run(lambda step: step.limits(ident, DECLARED))
        accounts = Accounts(self._store, Terms(declared or BudgetLimits()), lambda _: None)
        desk = Desk(name, ident, "", window, tuple(labels), "raise", 0.0, accounts)
        span = span_at(window, time.time())
        own = [scope for scope in scopes if scope not in {DECLARED, EVERY_LINE}]
        found = (self._line(desk, LineKey(ident, scope, span)) for scope in own)
        lines = tuple(status for status in found if status is not None)
        return StoredBudget(name, window, tuple(labels), declared, changed, lines, desk)

    def _line(self, desk: Desk, key: LineKey) -> BudgetStatus | None:
        """Describe a line as it is; None where it is only of an earlier window."""
        assert self._store is not None  # noqa: S101 - as above
        line, limits, own = self._store.run(
            lambda step: (
                step.find(key),
                limits_of(step, desk.accounts.terms, key),
                step.limits(key.budget, key.scope)[0],
            )
        )
        return None if line is None and own is None else desk.status(line or Line(key), limits)


@contextmanager
def stored_budgets(url: str, *, create: bool = False) -> Iterator[StoredBudgets]:
    """Look into a database for the length of a block.

    Args:
        url: ``sqlite:///file`` or ``postgresql+psycopg://user@host/database``.
        create: Whether to make the tables of budgets where they are missing.

    Raises:
        ConfigurationError: A package for it is not installed.
        StorageError: It cannot be reached, or not written to.
    """
    try:
        from langchain_tamma_openai.usage.budget_sql import SqlStore, holds_budgets
    except ModuleNotFoundError as missing:
        raise not_installed("sql", missing) from missing
    store = SqlStore(url) if create or holds_budgets(url) else None
    try:
        yield StoredBudgets(store)
    finally:
        if store is not None:
            store.close()
