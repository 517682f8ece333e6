"""What the commands about budgets share: how one is found, described and printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_tamma_openai.cli import _options, _output
from langchain_tamma_openai.cli._errors import wrong_argument

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.budget_info import BudgetStatus
    from langchain_tamma_openai.usage.budget_listing import StoredBudget
    from langchain_tamma_openai.usage.budget_windows import BudgetWindow

Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar=_options.STORE_VARIABLE,
        metavar="URL",
        help="Where the budgets are: sqlite:///budget.db, a path, or postgresql+psycopg://...",
    ),
]
Window = Annotated[
    str | None,
    typer.Option(
        "--window",
        "-w",
        metavar="NAME",
        help="Only budgets of this window: day, month, ever, or seconds as in 3600s.",
    ),
]

_HEADS = ("budget", "window", "of", "unit", "limit", "spent", "reserved", "left", "ends")


def title(budget: StoredBudget) -> str:
    """Name a budget so that it is told from others of its name.

    Args:
        budget: The budget.
    """
    from langchain_tamma_openai.usage.budget_windows import window_name

    labels = f" by {', '.join(budget.scope)}" if budget.scope else ""
    return f"{budget.name} ({window_name(budget.window)}{labels})"


def fits(
    budget: StoredBudget, name: str | None, window: str | None, scope: str | None = None
) -> bool:
    """Whether a budget is meant; None leaves a question open.

    Args:
        budget: The budget.
        name: Its name.
        window: Its window, as typed.
        scope: Names of its labels, as typed.

    Raises:
        CommandError: There is no such window.
    """
    return (
        name in {None, budget.name}
        and (window is None or budget.window == read_window(window))
        and (scope is None or budget.scope == names(scope))
    )


def names(text: str) -> tuple[str, ...]:
    """Read names of labels.

    Args:
        text: Names parted by commas.
    """
    return tuple(name.strip() for name in text.split(",") if name.strip())


def read_window(text: str) -> BudgetWindow:
    """Read the window of a budget.

    Args:
        text: What was typed.

    Raises:
        CommandError: It is none.
    """
    from langchain_tamma_openai.errors import ConfigurationError
    from langchain_tamma_openai.usage import budget_windows

    try:
        return budget_windows.read_window(text)
    except ConfigurationError:
        raise wrong_argument("--window", text, "day, month, ever or seconds as 3600s") from None


def no_such(name: str, every: Sequence[StoredBudget], place: str) -> str:
    """Say that there is no budget of a name.

    Args:
        name: What was typed.
        every: Those that there are.
        place: The store, without secrets.
    """
    known = "; ".join(map(title, every)) or "none"
    return f"{name}: {place} holds no such budget; it holds {known}"


def as_json(budget: StoredBudget) -> dict[str, object]:
    """Give a budget as plain values.

    Args:
        budget: The budget.
    """
    from langchain_tamma_openai.usage.budget_windows import window_name

    return {
        "name": budget.name,
        "window": window_name(budget.window),
        "scope": list(budget.scope),
        "declared": _limits(budget.declared),
        "changed": _limits(budget.changed),
        "lines": [_line(line) for line in budget.lines],
    }


def _limits(limits: object) -> dict[str, object] | None:
    if limits is None:
        return None
    return {
        "limit_usd": getattr(limits, "usd", None),
        "limit_tokens": getattr(limits, "tokens", None),
    }


def _line(line: BudgetStatus) -> dict[str, object]:
    left = {"remaining_usd": line.remaining_usd, "remaining_tokens": line.remaining_tokens}
    return {**asdict(line), **left}


def print_budgets(budgets: Iterable[StoredBudget]) -> None:
    """Print a line for each line of each budget, and one for those without any.

    Args:
        budgets: The budgets.
    """
    rows = [row for budget in budgets for row in _rows(budget)]
    _output.print_table(_HEADS, rows, right=_HEADS[4:-1])


def _rows(budget: StoredBudget) -> Iterator[Sequence[object]]:
    """Give a row for each line and unit that has a limit or was spent."""
    from langchain_tamma_openai.usage.budget_windows import window_name

    start = [budget.name, window_name(budget.window)]
    limits = budget.changed or budget.declared
    if budget.scope or not budget.lines:
        who = f"each {', '.join(budget.scope)}" if budget.scope else None
        usd, tokens = (limits.usd, limits.tokens) if limits else (None, None)
        if usd is not None or tokens is None:
            yield [*start, who, "usd", usd, None, None, None, None]
        if tokens is not None:
            yield [*start, who, "tokens", tokens, None, None, None, None]
    for line in budget.lines:
        who = ", ".join(f"{name}={_told(value)}" for name, value in line.scope.items()) or None
        for cells in _amounts(line):
            yield [*start, who, *cells, _ends(line)]


def _amounts(line: BudgetStatus) -> Iterator[Sequence[object]]:
    has_tokens = line.limit_tokens is not None or line.spent_tokens or line.reserved_tokens
    if line.limit_usd is not None or line.spent_usd or line.reserved_usd or not has_tokens:
        yield "usd", line.limit_usd, line.spent_usd, line.reserved_usd, line.remaining_usd
    if has_tokens:
        spent, reserved = line.spent_tokens, line.reserved_tokens
        yield "tokens", line.limit_tokens, spent, reserved, line.remaining_tokens


def _ends(line: BudgetStatus) -> str | None:
    return None if line.resets_at is None else f"{line.resets_at:%Y-%m-%dT%H:%M:%SZ}"


def _told(value: object) -> str:
    return "(none)" if value is None else str(value)
