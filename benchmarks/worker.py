"""One library in one process: reads cases from its input, writes measurements to its output.

A line in is `{"case": "stream", "repeat": 5}`; a line out is `{"cpu_s": ..., "wall_s": ...}`, per
operation. CPU time is that of the whole process, all threads, user and system.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent))

from libraries import Client, Library, get_library

CONCURRENT_CALLS: Final = 100
EXPECTED_START: Final = "token token "


@dataclass(frozen=True, slots=True)
class Measurement:
    """Seconds per operation."""

    cpu_s: float
    wall_s: float


def measure(operation: Callable[[], object], repeat: int) -> Measurement:
    """Run `operation` `repeat` times and give the mean of one."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(repeat):
        operation()
    return Measurement(
        cpu_s=(time.process_time() - cpu) / repeat, wall_s=(time.perf_counter() - wall) / repeat
    )


class Cases:
    """Every case that runs in a warm process, by name."""

    def __init__(self, library: Library, url: str, runner: asyncio.Runner) -> None:
        """Connect and check that the library reads the canned answer as it should."""
        self._library = library
        self._url = f"{url}/v1"
        self._runner = runner
        self._short = library.connect(self._url)
        self._long = library.connect(f"{url}/chunks-500/v1")
        _check(self._short.invoke(), 20)
        _check(self._long.stream(), 500)
        runner.run(self._check_async())

    async def _check_async(self) -> None:
        _check(await self._short.ainvoke(), 20)
        _check(await self._long.astream(), 500)

    def get(self, name: str) -> Callable[[], object]:
        """The operation to measure."""
        table: dict[str, Callable[[], object]] = {
            "construct": lambda: self._library.construct(self._url),
            "invoke": self._short.invoke,
            "stream": self._long.stream,
            "astream": lambda: self._run(self._long.astream),
            "concurrent": lambda: self._run(self._many),
        }
        return table[name]

    def _run(self, call: Callable[[], Awaitable[object]]) -> None:
        async def main() -> None:
            await call()

        self._runner.run(main())

    async def _many(self) -> None:
        await asyncio.gather(*[self._short.ainvoke() for _ in range(CONCURRENT_CALLS)])

    async def aclose(self) -> None:
        """Close both clients."""
        await self._short.aclose()
        await self._long.aclose()


def _check(text: str, words: int) -> None:
    assert text.startswith(EXPECTED_START), text[:40]
    assert len(text) == words * len("token "), len(text)


def measure_cold(library: Library, case: str, url: str) -> Measurement:
    """Measure what only a fresh process can show: `import`, or import and first call together."""

    def first_call() -> None:
        library.load()
        client: Client = library.connect(f"{url}/v1")
        _check(client.invoke(), 20)

    return measure(library.load if case == "import" else first_call, 1)


def _print(measurement: Measurement) -> None:
    print(json.dumps({"cpu_s": measurement.cpu_s, "wall_s": measurement.wall_s}), flush=True)


def _serve_cases(library: Library, url: str) -> None:
    with asyncio.Runner() as runner:
        cases = Cases(library, url, runner)
        for line in sys.stdin:
            order = json.loads(line)
            _print(measure(cases.get(order["case"]), order["repeat"]))
        runner.run(cases.aclose())


def main() -> None:
    """`worker.py LIBRARY URL [COLD_CASE]`."""
    library, url = get_library(sys.argv[1]), sys.argv[2]
    if len(sys.argv) > 3:
        _print(measure_cold(library, sys.argv[3], url))
    else:
        _serve_cases(library, url)


if __name__ == "__main__":
    main()
