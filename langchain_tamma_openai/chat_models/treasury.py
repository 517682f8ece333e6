"""The budgets of a model, as one governor of its calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

from langchain_tamma_openai.resilience.bounds import refuse
from langchain_tamma_openai.usage.budget import Budget, areserve_at, desks_of, reserve_at
from langchain_tamma_openai.usage.budget_amounts import Bound
from langchain_tamma_openai.usage.budget_reserving import Request

if TYPE_CHECKING:
    from langchain_tamma_openai.resilience.governors import Need
    from langchain_tamma_openai.usage.budget import BudgetReservation, BudgetStatus

_USUAL_WAIT_S = 30.0


class BudgetTreasury:
    """Reserves with all budgets of a model, or with none."""

    def __init__(self, budgets: Iterable[Budget]) -> None:
        """Keep the budgets.

        Args:
            budgets: All that hold for the model.

        Raises:
            ConfigurationError: Two of them are the same budget.
        """
        self._budgets = tuple(budgets)
        self._desks = desks_of(self._budgets)
        self.is_scoped = any(budget.scope for budget in self._budgets)
        self.is_local = all(budget.is_local for budget in self._budgets)

    @classmethod
    def of(cls, value: object) -> Self:
        """Read what a user gave as `budget`: one, or several.

        Args:
            value: The setting.

        Raises:
            ConfigurationError: It is neither, or two of them are the same budget.
        """
        budgets = [value] if isinstance(value, Budget) else value
        if not isinstance(budgets, list | tuple) or not budgets:
            return refuse("budget", value, "a Budget, or a list of them")
        for budget in budgets:
            if not isinstance(budget, Budget):
                return refuse("budget", budget, "a Budget, or a list of them")
        return cls(budgets)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The budgets."""
        return self._budgets

    def statuses(self) -> list[BudgetStatus]:
        """Describe the budgets that hold for every call, whoever it is for."""
        return [budget.status() for budget in self._budgets if not budget.scope]

    def reserve(self, need: Need) -> BudgetReservation:
        """Reserve the most that a request can cost.

        Args:
            need: The request.

        Raises:
            BudgetExceededError: There is not enough left.
        """
        return reserve_at(self._desks, _request(need))

    async def areserve(self, need: Need) -> BudgetReservation:
        """Reserve the most that a request can cost; see `reserve`."""
        return await areserve_at(self._desks, _request(need))


def _request(need: Need) -> Request:
    """Wait as long as each budget does, and no longer than the call may."""
    left_s = need.left_s
    wait_s = None if left_s is None or left_s >= _USUAL_WAIT_S else left_s
    return Request(Bound(need.upper_usd, need.upper_tokens), need.labels, wait_s)
