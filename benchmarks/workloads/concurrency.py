"""Many calls and many streams at the same time in one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from workloads import Bench, Operation, check_text

_STREAMS: Final = 200
_CHUNKS: Final = 100


def _calls(number: int) -> Callable[[Bench], Operation]:
    def prepared(bench: Bench) -> Operation:
        client = bench.client()

        async def many() -> None:
            for text in await asyncio.gather(*[client.ainvoke() for _ in range(number)]):
                check_text(text, 20)

        return lambda: bench.run(many)

    return prepared


def _streams(bench: Bench) -> Operation:
    client = bench.client("completions", f"chunks-{_CHUNKS}/")
    check_text(str(bench.run(client.astream)), _CHUNKS)

    async def many() -> None:
        for text in await asyncio.gather(*[client.astream() for _ in range(_STREAMS)]):
            check_text(text, _CHUNKS)

    return lambda: bench.run(many)


CASES: Final = {
    "concurrent": _calls(100),
    "concurrent-1000": _calls(1000),
    "concurrent-streams": _streams,
}
