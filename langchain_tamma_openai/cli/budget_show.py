"""`tamma-openai budget show`: what the budgets of a store hold."""

from __future__ import annotations

from typing import Annotated

import typer

from langchain_tamma_openai.cli import _budgets, _options, _output
from langchain_tamma_openai.cli._errors import CommandError


def command(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only budgets of this name.")
    ] = None,
    store: _budgets.Store = None,
    window: _budgets.Window = None,
    json: _options.Json = False,
) -> None:
    """Show the budgets of a store: limit, spent, reserved and left, and when the window ends.

    A budget with a scope has a line for each user, organization or other label that has spent, or
    has a limit of its own. Looking changes nothing, not even for reservations of dead programs.
    """
    from langchain_tamma_openai.usage.budget_listing import stored_budgets

    location = _options.existing_store(store)
    with stored_budgets(location.url) as budgets:
        every = budgets.all()
    found = [one for one in every if _budgets.fits(one, name, window)]
    if name is not None and not found:
        raise CommandError(_budgets.no_such(name, every, location.shown))
    if json:
        _output.print_json([_budgets.as_json(budget) for budget in found])
    elif found:
        _budgets.print_budgets(found)
    else:
        _output.note(f"{location.shown} holds no budgets")
