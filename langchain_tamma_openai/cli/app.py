"""The program: its commands, each loaded when it is called, and what ends a call."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, cast

import typer
from typer.core import TyperGroup

from langchain_tamma_openai._version import __version__
from langchain_tamma_openai.cli import _errors

PROGRAM = "tamma-openai"

Table = Mapping[str, "str | Table"]
"""Names of commands: the module that holds one, or the table of a group, as in
`"usage": {"summary": "usage_summary"}`."""

USAGE: Table = {
    "summary": "usage_summary",
    "records": "usage_records",
    "tail": "usage_tail",
    "export": "usage_export",
    "reconcile": "usage_reconcile",
    "report": "usage_report",
    "serve": "usage_serve",
}
COMMANDS: Table = {
    "batch": "batch",
    "budget": {"show": "budget_show", "set": "budget_set"},
    "chat": "chat",
    "demo": "demo",
    "doctor": "doctor",
    "estimate": "estimate",
    "models": "models",
    "prompts": {
        "list": "prompts_list",
        "show": "prompts_show",
        "render": "prompts_render",
        "check": "prompts_check",
    },
    "usage": USAGE,
}
_GROUPS: Mapping[str, str] = {
    "budget": "What budgets hold, and how to change them.",
    "prompts": "System prompts: list, show, render and check them.",
    "usage": "What was used, and what it cost: ask the ledger.",
}


class LazyGroup(TyperGroup):
    """A group whose commands are loaded when they are asked for."""

    table: ClassVar[Table] = {}

    def list_commands(self, ctx: object) -> list[str]:
        """Name the commands in the order of the table."""
        del ctx
        return [name for name, found in self.table.items() if found]

    def get_command(self, ctx: object, cmd_name: str) -> TyperGroup | None:
        """Load a command; None where there is none of that name."""
        del ctx
        found = self.table.get(cmd_name)
        if not found:
            return None
        app = _command(cmd_name, found) if isinstance(found, str) else _group(cmd_name, found)
        return cast("TyperGroup", typer.main.get_command(app))


def _group(name: str, table: Table) -> typer.Typer:
    kind = type("Group", (LazyGroup,), {"table": table})
    app = _typer(cls=kind, no_args_is_help=True, name=name)
    app.callback(help=_GROUPS.get(name))(_nothing)
    return app


def _command(name: str, home: str) -> typer.Typer:
    module = importlib.import_module(f"langchain_tamma_openai.cli.{home}")
    app = _typer(name=name)
    app.command(name)(module.command)
    return app


def _typer(**settings: object) -> typer.Typer:
    # Boxes and colours are for people; a pipe gets plain text.
    markup = "rich" if sys.stdout.isatty() else None
    return typer.Typer(add_completion=False, rich_markup_mode=markup, **settings)  # type: ignore[arg-type]


def _nothing() -> None:
    """Take no options."""


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - Typer's contract
    if wanted:
        print(f"{PROGRAM} {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback does it
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """ChatTammaOpenAI: the OpenAI chat model for LangChain that knows what it cost."""
    if debug:
        cast("_errors.Ending", context.obj).debug = True


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments after the program's name; those of the process when None.

    Returns:
        The exit status: 0 done, 1 failed with a message, 2 wrong arguments, 130 stopped by Ctrl-C,
        141 where the reader went away. Commands may have others of their own.
    """
    kind = type("Program", (LazyGroup,), {"table": COMMANDS})
    app = _typer(cls=kind, no_args_is_help=True, name=PROGRAM)
    app.callback()(_root)
    program = typer.main.get_command(app)
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = itertools.takewhile(lambda word: word != "--", arguments)
    with _errors.Ending(as_json="--json" in options) as ending:
        # Typer's own `main` would end the process itself, each kind of ending in a way of its own.
        with program.make_context(PROGRAM, arguments, obj=ending) as context:
            status = program.invoke(context)
        ending.status = status if isinstance(status, int) else 0
    return ending.status
