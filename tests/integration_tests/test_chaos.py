"""Random faults: every call ends in an answer or a typed error, and nothing is left behind.

`CHAOS_CALLS=20000` runs as many calls as the promise names.
"""

from __future__ import annotations

import os

from chaos import LIMIT_S, MOST_ATTEMPTS, Report, run_chaos
from loopback import in_new_process

# Deadlines are kept to a tenth of a second on a machine that is not busy with other tests.
LATE_S = 2.0
GROWTH = 0.05


def _run(calls: str) -> Report:
    return run_chaos(int(calls))


def test_every_call_ends_in_an_answer_or_a_typed_error_and_leaves_nothing_behind() -> None:
    calls = int(os.environ.get("CHAOS_CALLS", "1500"))
    report = in_new_process(_run, str(calls))
    assert report.calls == calls
    assert report.wrong == []
    assert report.most_attempts == MOST_ATTEMPTS
    assert report.longest_s < LIMIT_S + LATE_S
    assert report.growth < GROWTH
    assert report.descriptors_after == report.descriptors_before
    assert report.outcomes["answer"] > 0.9 * calls
