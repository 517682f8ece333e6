"""Names of models, tiers and kinds of tokens as both sides mean them."""

from __future__ import annotations

import re
from functools import lru_cache

BATCH = "batch"
STANDARD = "default"
_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_STANDARD = frozenset({"", "default", "auto", "standard", "none", "null"})
_SAME = {"fast": "priority"}


@lru_cache(maxsize=4096)
def model_of(name: str | None) -> str | None:
    """Name a model without its date: `gpt-4o` for `gpt-4o-2024-08-06`.

    Args:
        name: As either side has it. A fine-tuned model keeps its whole name.
    """
    text = (name or "").strip()
    if not text:
        return None
    return text if text.startswith("ft:") else _DATE.sub("", text)


def tier_of(name: str | None, *, batch: bool | None = None) -> str:
    """Name a tier; the Batch API counts as one.

    Args:
        name: As either side has it.
        batch: Whether it went through the Batch API, where that is told apart.
    """
    text = (name or "").strip().lower()
    if batch or text == BATCH:
        return BATCH
    return STANDARD if text in _STANDARD else _SAME.get(text, text)
