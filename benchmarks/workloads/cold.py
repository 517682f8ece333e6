"""What only a fresh process can show: the import, and the import and the first call together."""

from __future__ import annotations

from typing import Final

from workloads import Bench, Operation, check_text


def _import(bench: Bench) -> Operation:
    return bench.library.load


def _first_call(bench: Bench) -> Operation:
    def first_call() -> None:
        bench.library.load()
        check_text(bench.client().invoke(), 20)

    return first_call


CASES: Final = {"import": _import, "first-call": _first_call}
