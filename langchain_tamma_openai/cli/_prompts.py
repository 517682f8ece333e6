"""What the commands about prompts share: their options, and the registry that these describe."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from langchain_tamma_openai.cli import _options
from langchain_tamma_openai.cli._errors import CommandError, wrong_argument

if TYPE_CHECKING:
    from langchain_tamma_openai import PromptRegistry
    from langchain_tamma_openai.prompts.model import Prompt

STDIN = "-"

Paths = Annotated[
    list[Path] | None,
    typer.Option(
        "--path",
        "-p",
        metavar="PATH",
        help="A file (.json, .yaml) or directory of prompts to load. May be repeated.",
    ),
]
NoBuiltins = Annotated[
    bool, typer.Option("--no-builtins", help="Leave out the prompts of the package.")
]
Variables = Annotated[
    list[str] | None,
    typer.Option(
        "--var",
        "-v",
        metavar="NAME=VALUE",
        help="Value of a variable; NAME=@FILE takes the text of a file. May be repeated.",
    ),
]
JsonVariables = Annotated[
    str | None,
    typer.Option(
        "--vars", metavar="JSON", help="Values as a JSON object, as @FILE with one, or - for stdin."
    ),
]


def registry(paths: Sequence[Path] | None, *, builtins: bool = True) -> PromptRegistry:
    """Load the prompts that a command is about.

    Args:
        paths: Files and directories, the later over the earlier.
        builtins: Whether the prompts of the package are among them.

    Raises:
        CommandError: A path does not exist.
        PromptError: A file is wrong; all problems are named.
    """
    from langchain_tamma_openai import PromptRegistry

    prompts = PromptRegistry(builtins=builtins)
    for path in paths or ():
        prompts.load(existing(path))
    return prompts


def existing(path: Path) -> Path:
    """Refuse a path where nothing is.

    Args:
        path: What was typed.

    Raises:
        CommandError: There is no such file or directory.
    """
    if not path.exists():
        raise CommandError(f"{path}: there is no such file or directory")
    return path


def variables(pairs: Sequence[str] | None, text: str | None) -> dict[str, object]:
    """Read the values of variables; `--var` comes over `--vars`.

    Args:
        pairs: Of `--var`.
        text: Of `--vars`.

    Raises:
        CommandError: A pair has no name, or the JSON is no object.
        OSError: A file cannot be read.
    """
    together = {} if text is None else _object(text)
    return {**together, **dict(map(_pair, pairs or ()))}


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name.strip() or not equals:
        raise wrong_argument("--var", text, "NAME=VALUE")
    return name.strip(), _text(value[1:]) if value.startswith("@") else value


def _object(text: str) -> Mapping[str, object]:
    try:
        found = json.loads(_text(text) if text == STDIN else _text_or_file(text))
    except (json.JSONDecodeError, RecursionError) as error:
        raise wrong_argument("--vars", text, f"a JSON object ({error})") from None
    if not isinstance(found, dict):
        raise wrong_argument("--vars", text, 'a JSON object such as {"name": "value"}')
    return cast("Mapping[str, object]", found)


def _text_or_file(text: str) -> str:
    return _text(text[1:]) if text.startswith("@") else text


def _text(name: str) -> str:
    try:
        if name == STDIN:
            return sys.stdin.read()
        return _options.readable_file(Path(name)).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        place = "standard input" if name == STDIN else name
        raise CommandError(f"{place}: is not UTF-8 text; save it as UTF-8") from None


def as_json(prompt: Prompt) -> dict[str, object]:
    """Give a prompt as plain values, with its hash.

    Args:
        prompt: The prompt.
    """
    from langchain_tamma_openai.prompts.fields import fields_of

    always = ("id", "version", "name", "description", "category")
    fields = {name: getattr(prompt, name) for name in always}
    variables = [asdict(one) for one in prompt.variables.values()]
    return {**fields, **fields_of(prompt), "variables": variables, "hash": prompt.hash}
