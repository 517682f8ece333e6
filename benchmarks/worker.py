"""One contestant in one process: reads cases from its input, writes measurements to its output.

A line in is `{"case": "stream", "repeat": 5}`; a line out is `{"cpu_s": ..., "wall_s": ...}`, per
operation, `{"unsupported": "why"}` or `{"failed": "how"}`. CPU time is that of the whole process,
all threads, user and system. With a case among its arguments a worker measures that once, with the
growth of its peak memory, and ends.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from libraries import UnsupportedError, get_library
from workloads import Bench, Operation, prepare

# Linux counts in kB, macOS in bytes.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def measure(operation: Operation, repeat: int, settle: Callable[[], None]) -> dict[str, float]:
    """Run `operation` `repeat` times, with what it left to other threads, and give the mean of one.

    Args:
        operation: The work.
        repeat: How often.
        settle: Waits until nothing is left to do in the background.
    """
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(repeat):
        operation()
    settle()
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_s": cpu_s / repeat, "wall_s": wall_s / repeat}


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


def _measure_fresh(bench: Bench, case: str) -> dict[str, float]:
    operation = prepare(bench, case)
    before = _peak_bytes()
    measured = measure(operation, 1, bench.settle)
    return {**measured, "peak_bytes": _peak_bytes() - before}


def _serve_cases(bench: Bench) -> None:
    ready: dict[str, Operation] = {}
    for line in sys.stdin:
        order = json.loads(line)
        name = order["case"]
        try:
            if name not in ready:
                ready[name] = prepare(bench, name)
                ready[name]()
                bench.settle()
            _print(measure(ready[name], order["repeat"], bench.settle))
        except UnsupportedError as reason:
            _print({"unsupported": str(reason)})
        except Exception as error:  # noqa: BLE001 - one that fails must not end an hour's run
            _print({"failed": f"{type(error).__name__}: {error}"[:200]})


def _print(line: object) -> None:
    print(json.dumps(line), flush=True)


def main() -> None:
    """`worker.py CONTESTANT URL [CASE]`."""
    with asyncio.Runner() as runner:
        bench = Bench(get_library(sys.argv[1]), sys.argv[2], runner)
        if len(sys.argv) > 3:
            try:
                _print(_measure_fresh(bench, sys.argv[3]))
            except UnsupportedError as reason:
                _print({"unsupported": str(reason)})
        else:
            _serve_cases(bench)
        runner.run(bench.aclose())


if __name__ == "__main__":
    main()
