"""Prompts out of the LangSmith hub, fetched by LangSmith's own client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.checks import shown
from langchain_tamma_openai.errors import ConfigurationError, PromptError
from langchain_tamma_openai.prompts.model import Prompt

if TYPE_CHECKING:
    from langsmith import Client

_IDENTIFIER = re.compile(r"(?:[^\s/:@]+/)?(?P<name>[^\s/:@]+)(?::[^\s/:@]+)?")
_OWN_FIELDS = frozenset({"id", "name", "description", "category", "version", "variables"})


def pull(identifier: str, client: Client | None, options: dict[str, Any]) -> Prompt:
    """Fetch a prompt.

    Args:
        identifier: `name`, `owner/name` or `owner/name:commit`.
        client: The client; one is made, and closed, when there is none.
        options: Fields of the prompt, and options of `Client.pull_prompt`.

    Raises:
        PromptError: It cannot be fetched, or is no system prompt.
    """
    from langchain_tamma_openai.prompts.langchain_forms import from_langchain

    found = _IDENTIFIER.fullmatch(identifier) if isinstance(identifier, str) else None
    if found is None:
        raise PromptError(
            f"hub prompt: got {shown(identifier)}, must be 'name', 'owner/name' or "
            "'owner/name:commit'",
            param="identifier",
        )
    fields = {key: value for key, value in options.items() if key in _OWN_FIELDS}
    for_client = {key: value for key, value in options.items() if key not in _OWN_FIELDS}
    if for_client.get("include_model"):
        raise PromptError("include_model: a system prompt has no model; leave it out")
    form = _fetch(identifier, client, for_client)
    about = {"id": found["name"], "description": _origin(identifier, form)}
    return from_langchain(form, {**about, **fields})


def _fetch(identifier: str, client: Client | None, options: dict[str, Any]) -> object:
    try:
        with _client(client) as hub:
            if client is None and "skip_cache" in signature(hub.pull_prompt).parameters:
                options = {"skip_cache": True, **options}  # all clients share one cache
            return hub.pull_prompt(identifier, **options)
    except ConfigurationError:
        raise
    except Exception as exc:  # the client raises its own errors, requests' and ValueError
        raise PromptError(
            f"hub prompt {identifier}: could not be fetched ({type(exc).__name__}: {exc})",
            code="hub",
            param="identifier",
        ) from exc


@contextmanager
def _client(client: Client | None) -> Iterator[Client]:
    if client is not None:
        yield client
        return
    try:
        from langsmith import Client as HubClient
    except ImportError:
        raise ConfigurationError(
            "pulling from the LangSmith hub needs its client: pip install langsmith"
        ) from None
    own = HubClient(auto_batch_tracing=False)
    try:
        yield own
    finally:
        getattr(own, "close", own.session.close)()  # older clients have no close of their own


def _origin(identifier: str, form: object) -> str:
    """Say where the prompt comes from, with the commit that was served."""
    commit = (getattr(form, "metadata", None) or {}).get("lc_hub_commit_hash")
    base = identifier.partition(":")[0]
    return f"LangSmith hub: {base}:{commit}" if commit else f"LangSmith hub: {identifier}"
