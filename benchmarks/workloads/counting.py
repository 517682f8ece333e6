"""Counting the tokens of a long text; a new text each time, since counts may be remembered."""

from __future__ import annotations

import itertools
import random
from typing import Final

from workloads import Bench, Operation

_CHARS: Final = 1_000_000
_WORDS: Final = (
    *("the", "of", "and", "answer", "tokens,", "model", "request", "streaming", "costs", "128"),
    *("budget.", "(which", "however", "naïve", "internationalisation", "Zürich", "\n\nthen"),
    *("日本", "async def", "return None;", "3.14", "don't"),
)


def _text() -> str:
    words = random.Random(7).choices(_WORDS, k=_CHARS // 4)  # noqa: S311 - prose, no secret
    return " ".join(words)[:_CHARS]


def _count(bench: Bench) -> Operation:
    counter, text = bench.client().counter(), _text()
    numbers = itertools.count()
    assert counter(text) > 100_000

    def count() -> int:
        return counter(f"{next(numbers)} {text}")

    return count


CASES: Final = {"count": _count}
