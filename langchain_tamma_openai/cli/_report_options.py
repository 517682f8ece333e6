"""Options that `usage report` and `usage serve` share."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_tamma_openai.cli._errors import wrong_argument

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.budget_windows import BudgetWindow
    from langchain_tamma_openai.usage.report.figures import TimeStep

_STEPS = ("hour", "day", "month")

Title = Annotated[str, typer.Option("--title", metavar="TEXT", help="Of the page.")]
Top = Annotated[
    int,
    typer.Option(
        "--top",
        "-n",
        min=1,
        max=50,
        metavar="N",
        help="Models, users, organizations and tags told apart; the rest are others.",
    ),
]
Step = Annotated[
    str | None,
    typer.Option("--step", metavar="STEP", help=f"{', '.join(_STEPS)}. Default: by the range."),
]
BudgetUsd = Annotated[
    str | None,
    typer.Option("--budget-usd", metavar="USD", help="A budget: its burn-down and forecast."),
]
Window = Annotated[
    str,
    typer.Option(
        "--budget-window",
        metavar="WINDOW",
        help="How long it lasts: day, month, `7d`, `12h`, or ever.",
    ),
]


def time_step(text: str | None) -> TimeStep | None:
    """Read what a point in time stands for.

    Args:
        text: As typed.

    Raises:
        CommandError: It is no such step.
    """
    if text is not None and text not in _STEPS:
        raise wrong_argument("--step", text, ", ".join(_STEPS))
    return text  # type: ignore[return-value]  # one of them


def budget_usd(text: str | None) -> Decimal | None:
    """Read a budget.

    Args:
        text: As typed.

    Raises:
        CommandError: It is no amount above 0.
    """
    if text is None:
        return None
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(0)
    if not (amount.is_finite() and amount > 0):
        raise wrong_argument("--budget-usd", text, "an amount in US dollars above 0")
    return amount


def budget_window(text: str) -> BudgetWindow:
    """Read how long a budget lasts.

    Args:
        text: As typed.

    Raises:
        CommandError: It is no length.
    """
    import re
    from datetime import timedelta

    if text in {"day", "month", "ever"}:
        return None if text == "ever" else "day" if text == "day" else "month"
    found = re.fullmatch(r"([1-9]\d{0,3})([hdw])", text.lower())
    if found is None:
        raise wrong_argument(
            "--budget-window", text, "day, month, ever, or a length such as `12h`, `7d` or `2w`"
        )
    unit = {"h": "hours", "d": "days", "w": "weeks"}[found[2]]
    return timedelta(**{unit: int(found[1])})
