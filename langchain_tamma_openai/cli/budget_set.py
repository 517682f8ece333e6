"""`tamma-openai budget set`: change a limit while programs run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_tamma_openai.cli import _budgets, _options, _output
from langchain_tamma_openai.cli._errors import WRONG_ARGUMENTS, CommandError, wrong_argument

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.budget_amounts import Keep
    from langchain_tamma_openai.usage.budget_listing import StoredBudget, StoredBudgets

_NONE = "none"


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The budget's name.")],
    store: _budgets.Store = None,
    limit_usd: Annotated[
        str | None,
        typer.Option("--limit-usd", metavar="USD", help="Limit in dollars; `none` for no such."),
    ] = None,
    limit_tokens: Annotated[
        str | None,
        typer.Option("--limit-tokens", metavar="N", help="Limit in tokens; `none` for no such."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            "-l",
            metavar="NAME=VALUE",
            help="Whose limit, such as user_id=u1; without it, that of all without their own.",
        ),
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Return to the limits that the programs have.")
    ] = False,
    window: _budgets.Window = None,
    scope: Annotated[
        str | None,
        typer.Option(
            "--scope",
            metavar="NAMES",
            help="Names of labels, parted by commas; with --window, it defines a new budget.",
        ),
    ] = None,
    json: _options.Json = False,
) -> None:
    """Change a limit while programs run; they obey with their next call.

    The limit is kept in the store, over what the programs' own code says, until --clear. It holds
    for every program whose Budget has this store, name, window and scope. A budget that no program
    has opened yet is defined by --window and --scope.
    """
    is_new = window is not None
    location = _options.store_location(store) if is_new else _options.existing_store(store)
    if clear is (limit_usd is not None or limit_tokens is not None):
        raise CommandError(
            "give --limit-usd or --limit-tokens, or else --clear alone", WRONG_ARGUMENTS
        )
    labels = _labels(label or ())
    from langchain_tamma_openai.usage.budget_listing import stored_budgets

    with stored_budgets(location.url, create=is_new) as budgets:
        budget = _find(budgets, name, window, scope, location.shown)
        with _wrong_arguments():
            if clear:
                budget.clear_limit(**labels)
            else:
                budget.set_limit(_usd(limit_usd), _tokens(limit_tokens), **labels)
        changed = next(one for one in budgets.all() if _is_same(one, budget))
    if json:
        _output.print_json(_budgets.as_json(changed))
    else:
        _budgets.print_budgets([changed])


@contextmanager
def _wrong_arguments() -> Iterator[None]:
    """Tell a wrong amount or label as what it is: something typed wrong."""
    from langchain_tamma_openai.errors import InvalidParameterError

    try:
        yield
    except InvalidParameterError as error:
        raise CommandError(error.message, WRONG_ARGUMENTS) from None


def _is_same(one: StoredBudget, other: StoredBudget) -> bool:
    return (one.name, one.window, one.scope) == (other.name, other.window, other.scope)


def _find(
    budgets: StoredBudgets, name: str, window: str | None, scope: str | None, place: str
) -> StoredBudget:
    every = budgets.all()
    found = [one for one in every if _budgets.fits(one, name, window, scope)]
    if len(found) > 1:
        names = "; ".join(map(_budgets.title, found))
        raise CommandError(f"several budgets are called {name}: {names}; add --window or --scope")
    if found:
        return found[0]
    if window is None:
        hint = "; to define it before its program does, pass --window and, if it has one, --scope"
        raise CommandError(_budgets.no_such(name, every, place) + hint)
    return budgets.define(name, _budgets.read_window(window), _budgets.names(scope or ""))


def _usd(text: str | None) -> str | None:
    return "keep" if text is None else None if text == _NONE else text


def _tokens(text: str | None) -> int | Keep | None:
    if text is None:
        return "keep"
    if text == _NONE:
        return None
    try:
        return int(text.replace("_", "").replace(",", ""))
    except ValueError:
        raise wrong_argument("--limit-tokens", text, "a whole number, or none") from None


def _labels(pairs: Sequence[str]) -> dict[str, object]:
    labels: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise wrong_argument("--label", pair, "NAME=VALUE, such as user_id=u1")
        labels[name] = value.split(",") if name == "tags" else value
    return labels
