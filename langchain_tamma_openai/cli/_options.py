"""Options that several commands share, and what they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from langchain_tamma_openai.cli._errors import CommandError, wrong_argument

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from langchain_tamma_openai import ChatTammaOpenAI, UsageTracker

STORE_VARIABLE = "TAMMA_OPENAI_STORE"

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar=STORE_VARIABLE,
        metavar="URL",
        help="The ledger: sqlite:///usage.db, the path of a file, or postgresql+psycopg://...",
    ),
]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="NAME", help="Default: OPENAI_MODEL, else gpt-6-luna."),
]
BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="Root of the API. Default: OPENAI_BASE_URL."),
]


def chat_model(model: str | None, base_url: str | None, **others: object) -> ChatTammaOpenAI:
    """Make the model that a command asks.

    Args:
        model: Its name; None for the environment's.
        base_url: Root of the API; None for the environment's.
        others: Further arguments; None leaves one out.

    Raises:
        ConfigurationError: An argument or the environment is wrong; there is no key.
    """
    from langchain_tamma_openai import ChatTammaOpenAI

    given = {"model": model, "base_url": base_url, **others}
    llm = ChatTammaOpenAI(**{name: value for name, value in given.items() if value is not None})
    _ = llm.root_client  # a missing key is said now, and not in the middle
    return llm


def ledger(store: str | None) -> UsageTracker:
    """Open the ledger that a command asks; asking never makes a new one.

    Args:
        store: What `--store` or the environment says.

    Raises:
        CommandError: None is named, or there is no such file.
        StorageError: It cannot be used.
    """
    from langchain_tamma_openai import UsageTracker
    from langchain_tamma_openai.usage.store.location import parse_store

    if store is None:
        raise CommandError(
            f"no ledger is named: pass --store sqlite:///usage.db, or set {STORE_VARIABLE}", 2
        )
    location = parse_store(store)
    if location.kind == "memory":
        raise wrong_argument("--store", store, "a file or a database; memory ends with its program")
    if location.path is not None and not location.path.exists():
        raise CommandError(f"{location.path}: there is no such ledger; name another with --store")
    return UsageTracker(store)


def moment(text: str | None, name: str) -> datetime | None:
    """Read a time: ISO 8601, or `7d`, `12h`, `30m` ago, or `today`, `yesterday`, `month`.

    Args:
        text: What was typed; None for none.
        name: The option.

    Returns:
        In UTC.

    Raises:
        CommandError: It is no time.
    """
    from langchain_tamma_openai.cli._moments import parse_moment

    return None if text is None else parse_moment(text, name)


def readable_file(path: Path) -> Path:
    """Check that a file can be read.

    Args:
        path: What was typed.

    Raises:
        CommandError: There is none, or it is a directory.
    """
    if not path.exists():
        raise CommandError(f"{path}: there is no such file")
    if path.is_dir():
        raise CommandError(f"{path}: is a directory")
    return path
