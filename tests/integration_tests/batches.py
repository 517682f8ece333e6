"""Batches in processes of their own, that may be killed, against a server that counts."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from itertools import cycle
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

from loopback import (
    USAGE,
    LoopbackServer,
    Reply,
    Request,
    completion,
    environment,
    json_reply,
)

from langchain_tamma_openai import CostCalculator
from langchain_tamma_openai.__main__ import main

Json = dict[str, Any]

# Prices and tokens are loaded here once, and not in each of the processes that are made below.
CostCalculator().upper_bound(
    {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "a"}]}
)

LINE_USD = Decimal("0.0000013")
"""Price of one answer of the server: 3 tokens in at $0.10 and 2 out at $0.50 a million."""


def pausing(*pauses_s: float) -> Callable[[Request], Reply]:
    """Make a script that answers with the last message, after one pause after another."""
    turns = cycle(pauses_s)

    def script(request: Request) -> Reply:
        return json_reply(completion(f"answer to {request.text}"), delay_s=next(turns))

    return script


def write_lines(path: Path, lines: Sequence[object]) -> Path:
    """Write JSON lines."""
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def task(name: str, **body: object) -> Json:
    """A line of the Batch API."""
    messages = [{"role": "user", "content": name}]
    return {
        "custom_id": name,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "gpt-6-luna", "messages": messages, **body},
    }


def read_lines(path: Path) -> list[Json]:
    """Read whole JSON lines; a torn last one is left out."""
    if not path.exists():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [json.loads(line) for line in whole.splitlines()]


@dataclass
class Batch:
    """One process of `tamma-openai batch`.

    Attributes:
        process: The process.
        output: Where its results go.
        stdout: File of what it prints.
        stderr: File of what it says.
    """

    process: BaseProcess
    output: Path
    stdout: Path
    stderr: Path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self.process.is_alive():
            self.process.kill()
        self.process.join(30)
        self.process.close()

    def kill_at(self, results: int, then_s: float = 0.0) -> bool:
        """Kill it when the output has so many results; False when it has ended before."""
        if not self.reaches(results):
            return False
        time.sleep(then_s)
        self.process.kill()
        self.process.join(30)
        return self.process.exitcode == -signal.SIGKILL

    def reaches(self, results: int, within_s: float = 120.0) -> bool:
        """Wait until the output has so many results; False when the process ends before."""
        end_s = time.monotonic() + within_s
        while self.process.is_alive() and time.monotonic() < end_s:
            if self.output.exists() and self.output.read_bytes().count(b"\n") >= results:
                return True
            time.sleep(0.005)
        return False

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        assert self.process.pid
        os.kill(self.process.pid, signal.SIGINT)

    def end(self, within_s: float = 120.0) -> int | None:
        """Wait for its end; its exit status."""
        self.process.join(within_s)
        return self.process.exitcode

    @property
    def told(self) -> str:
        """What it said so far."""
        return self.stderr.read_text()

    @property
    def summary(self) -> Json:
        """What it printed with `--json`."""
        found: Json = json.loads(self.stdout.read_text())
        return found


def begin(source: Path, output: Path, url: str, *options: str) -> Batch:
    """Begin `tamma-openai batch` in a process of its own."""
    number = sum(1 for _ in output.parent.glob("stderr*"))
    stdout, stderr = (output.parent / f"{name}{number}" for name in ("stdout", "stderr"))
    argv = ["batch", str(source), "-o", str(output), "--base-url", url, *options]
    process = _context().Process(target=_run, args=(argv, str(stdout), str(stderr)))
    process.start()
    return Batch(process, output, stdout, stderr)


@cache
def _context() -> ForkServerContext:
    """Give a source of processes that need not import everything anew."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["batches"])
    # Python 3.11 does not give the server its parent's path.
    with environment(PYTHONPATH=os.pathsep.join(sys.path)):
        forkserver.ensure_running()
    return context


def _run(argv: list[str], stdout: str, stderr: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for path, descriptor in ((stdout, 1), (stderr, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.environ.update({"OPENAI_API_KEY": "sk-test", "NO_PROXY": "127.0.0.1"})
    sys.exit(main(argv))


def seen(server: LoopbackServer) -> Counter[str]:
    """How often each text was asked."""
    return Counter(request.text for request in server.requests)


def spent(server: LoopbackServer) -> Decimal:
    """What all requests cost that the server has seen, answered or not."""
    assert USAGE["total_tokens"] == 5
    return LINE_USD * len(server.requests)
