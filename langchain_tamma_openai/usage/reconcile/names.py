"""Names of models, tiers and kinds of tokens as both sides mean them."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache

BATCH = "batch"
STANDARD = "default"
TIERS = (STANDARD, "flex", "priority", BATCH)
ALL = "all"
"""The kind of tokens of an amount that is not split by kind."""

_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_STANDARD = frozenset({"", "default", "auto", "standard", "none", "null"})
_SAME = {"fast": "priority"}
_PARTS = re.compile(r"\s*[,|;]\s*|\s+-\s+")
_WORDS = re.compile(r"[a-z0-9]+")
_FILLERS = frozenset({"tokens", "token", "text", "uncached", "api", "usage", "model", "regular"})
_TIER_WORDS = {"batch": BATCH, "flex": "flex", "priority": "priority", "fast": "priority"}
_KIND_WORDS = frozenset(
    {"input", "output", "cached", "cache", "write", "writes", "audio", "reasoning", "prompt"}
    | {"completion", "read", "creation", "default", "standard"}
)


@lru_cache(maxsize=4096)
def model_of(name: str | None) -> str | None:
    """Name a model without its date: `gpt-4o` for `gpt-4o-2024-08-06`.

    Args:
        name: As either side has it. A fine-tuned model keeps its whole name.
    """
    text = (name or "").strip()
    if not text:
        return None
    return text if text.startswith("ft:") else _DATE.sub("", text.lower())


def tier_of(name: str | None) -> str:
    """Name a tier; the Batch API counts as one.

    Args:
        name: As either side has it.
    """
    text = (name or "").strip().lower()
    return STANDARD if text in _STANDARD else _SAME.get(text, text)


@dataclass(frozen=True, slots=True)
class LineItem:
    """What an amount is for.

    Attributes:
        model: Name of the model, without its date.
        kind: "input", "cached_input", "cache_write", "input_audio", "output", "output_audio", or
            "all" where it is not split.
        tier: The tier that it names; None when it names none.
    """

    model: str
    kind: str
    tier: str | None = None


def read_line_item(text: str, known: AbstractSet[str]) -> LineItem | None:
    """Read a line item such as "gpt-4o-2024-08-06, cached input"; None when it is a fee of its own.

    Args:
        text: As the provider writes it.
        known: Names of models that the ledger has.
    """
    first, *rest = _PARTS.split(text.strip())
    model, more = _model_in(first, known)
    if model is None:
        return None
    words = [word for part in (*more, *rest) for word in _WORDS.findall(part.lower())]
    tiers = [_TIER_WORDS[word] for word in words if word in _TIER_WORDS]
    left = set(words) - _TIER_WORDS.keys() - _FILLERS
    if left - _KIND_WORDS:
        return None
    return LineItem(model, _kind(left), tiers[0] if tiers else None)


def _model_in(text: str, known: AbstractSet[str]) -> tuple[str | None, list[str]]:
    """Find the model's name at the beginning of a text, and the words behind it."""
    words = text.split()
    for number in range(len(words), 0, -1):
        name = model_of("-".join(words[:number]))
        if name is not None and (name in known or is_listed(name)):
            return name, words[number:]
    return None, []


@lru_cache(maxsize=4096)
def is_listed(name: str) -> bool:
    """Whether OpenAI has such a model.

    Args:
        name: Without a date.
    """
    from langchain_tamma_openai.models import ModelCatalog

    return ModelCatalog().get(name).known


def _kind(words: AbstractSet[str]) -> str:
    is_output = bool(words & {"output", "completion", "reasoning"})
    if "audio" in words:
        return "output_audio" if is_output else "input_audio"
    if words & {"write", "writes", "creation"}:
        return "cache_write"
    if words & {"cached", "cache"}:
        return "cached_input"
    if is_output:
        return "output"
    return "input" if words & {"input", "prompt"} else ALL
