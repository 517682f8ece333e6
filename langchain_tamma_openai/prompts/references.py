"""Ids of prompts, and references such as `support`, `support@3` and `support@latest`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn

from langchain_tamma_openai.checks import shown
from langchain_tamma_openai.errors import PromptError

ID_RULE = (
    "1 to 100 letters (a-z, A-Z), digits, dots, hyphens and underscores, "
    "with a letter or digit first and last"
)
MAX_VERSION = 2**31 - 1
LATEST = "latest"
_ID = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?"
_ID_ALONE = re.compile(_ID)
_REFERENCE = re.compile(rf"(?P<id>{_ID})(?:@(?P<version>\S*))?")
_VERSION = re.compile(r"[1-9][0-9]{0,9}")


@dataclass(frozen=True, slots=True)
class Reference:
    """Which prompt is meant.

    Attributes:
        id: Id of the prompt.
        version: One version, or None for the latest.
    """

    id: str
    version: int | None = None

    def __str__(self) -> str:
        """Write it as it is read."""
        return self.id if self.version is None else f"{self.id}@{self.version}"


def is_prompt_id(value: object) -> bool:
    """Whether a value can be the id of a prompt; such an id is safe as part of a file name.

    Args:
        value: Anything.
    """
    return isinstance(value, str) and _ID_ALONE.fullmatch(value) is not None


def looks_like_reference(text: str) -> bool:
    """Whether a text is one word that reads as `id` or `id@something`, and not as a prompt.

    Args:
        text: What stands where either a reference or a prompt may stand.
    """
    return _REFERENCE.fullmatch(text) is not None


def parse_reference(text: object) -> Reference:
    """Read a reference.

    Args:
        text: `id`, `id@version` or `id@latest`.

    Raises:
        PromptError: It is none of these.
    """
    found = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise PromptError(
            f"prompt: got {shown(text)}, must be an id such as 'support' or an id and a version "
            f"such as 'support@3'; an id has {ID_RULE}",
            param="prompt",
        )
    version = found["version"]
    if version is None or version == LATEST:
        return Reference(found["id"])
    if _VERSION.fullmatch(version) is None or int(version) > MAX_VERSION:
        raise PromptError(
            f"prompt: got {shown(text)}, but a version is a whole number of at least 1, or "
            f"'latest'; write {found['id']}@1, or {found['id']} for the latest",
            param="prompt",
        )
    return Reference(found["id"], int(version))


def refuse_unknown(reference: Reference, known: Iterable[str], versions: Iterable[int]) -> NoReturn:
    """Say that there is no such prompt, and what there is.

    Args:
        reference: What was asked for.
        known: All ids.
        versions: The versions of this id; empty when there are none.

    Raises:
        PromptError: Always.
    """
    numbers = ", ".join(map(str, versions))
    if numbers:
        raise PromptError(
            f"prompt {reference}: there is no such version; {reference.id} has: {numbers}",
            param="prompt",
        )
    ids = sorted(known)
    close = get_close_matches(reference.id, ids, n=3, cutoff=0.5)
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    else:
        hint = f"known ids are {', '.join(ids[:20])}" if ids else "the registry is empty"
    raise PromptError(
        f"prompt {reference}: there is none with this id; {hint}", param="prompt", code="not_found"
    )
