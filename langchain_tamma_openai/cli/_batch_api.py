"""`tamma-openai batch --batch-api`: a file through the Batch API, at half the price."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from langchain_tamma_openai.batch_run.files import STANDARD, BatchInput, beside
from langchain_tamma_openai.batch_run.lines import BatchLine
from langchain_tamma_openai.batch_run.problems import BadLine, BatchInputError
from langchain_tamma_openai.batch_run.results import BatchResult as LineResult
from langchain_tamma_openai.batch_run.results import bad_line_result, error_result
from langchain_tamma_openai.cli import _options, _output
from langchain_tamma_openai.cli._batch_running import refusals
from langchain_tamma_openai.cli._errors import FAILED, WRONG_ARGUMENTS, CommandError
from langchain_tamma_openai.pricing_cost import add_usd
from langchain_tamma_openai.whole_files import replaced, sync_directory

if TYPE_CHECKING:
    from langchain_tamma_openai import (
        BatchJob,
        BatchResult,
        BatchStatus,
        ChatTammaOpenAI,
        UsageTracker,
    )
    from langchain_tamma_openai.batch_run.asking import Api

_SAY_EVERY_S = 10.0
_POLL_VARIABLE = "TAMMA_OPENAI_BATCH_POLL_S"
_POLL_S = 5.0

Model = Callable[["UsageTracker | None"], "ChatTammaOpenAI"]
"""Makes the model that is asked, with the ledger it writes to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What was typed.

    Attributes:
        source: The input; None where a job is named.
        output: The output; None for none.
        api: The API for lines that do not name one.
        on_bad_line: "fail", "skip" or "record".
        store: The ledger.
        submit_only: Whether to leave the job to itself once the API has it.
        resume: A job to go on with.
        cancel: A job to cancel.
        dry_run: Whether to price the input and send nothing.
        quiet: Whether to say nothing on the way.
        json: Whether the end is told for programs.
        refused: Options that were given and mean nothing here.
    """

    source: str | None = None
    output: str | None = None
    api: Api | None = None
    on_bad_line: str = "fail"
    store: str | None = None
    submit_only: bool = False
    resume: str | None = None
    cancel: str | None = None
    dry_run: bool = False
    quiet: bool = False
    json: bool = False
    refused: Sequence[str] = ()


def run(wishes: Wishes, model: Model) -> int:
    """Do what was typed.

    Args:
        wishes: What was typed.
        model: Makes the model.

    Returns:
        The exit status.

    Raises:
        CommandError: It cannot be done.
    """
    _check(wishes)
    with _ledger(wishes.store) as tracker, refusals():
        llm = model(tracker)
        if wishes.dry_run:
            return _price(wishes, llm)
        if wishes.cancel is not None:
            return _cancel(wishes, llm)
        if wishes.resume is not None:
            return _finish(wishes, _job(wishes.resume, llm), [])
        return _submit(wishes, llm)


def _check(wishes: Wishes) -> None:
    if wishes.refused:
        raise CommandError(
            f"{wishes.refused[0]}: means nothing with --batch-api; leave it out", WRONG_ARGUMENTS
        )
    if wishes.resume is not None and wishes.cancel is not None:
        raise CommandError("--resume and --cancel: give one of them", WRONG_ARGUMENTS)
    named = wishes.resume is not None or wishes.cancel is not None
    if named and (wishes.source is not None or wishes.submit_only or wishes.dry_run):
        raise CommandError(
            "--resume and --cancel name a job that is submitted; leave INPUT, --submit-only and "
            "--dry-run out",
            WRONG_ARGUMENTS,
        )
    if not named and wishes.source is None:
        raise CommandError("INPUT: is missing; name a file, or - for stdin", WRONG_ARGUMENTS)
    writes = not (wishes.submit_only or wishes.cancel is not None or wishes.dry_run)
    if writes and wishes.output is None:
        raise CommandError("--output: is missing; name a file, or - for stdout", WRONG_ARGUMENTS)


@contextmanager
def _ledger(store: str | None) -> Iterator[UsageTracker | None]:
    if not store:
        yield None
        return
    from langchain_tamma_openai import UsageTracker

    # In batches: what the job came to can be fetched again, so that no record waits for the disk.
    with UsageTracker(_options.store_location(store).url) as tracker:
        yield tracker


# --- submitting ---


@dataclass(frozen=True, slots=True)
class _Lines:
    """The input, read once.

    Attributes:
        good: Lines that can be asked.
        bad: Lines that cannot.
        sha256: Of all its bytes.
    """

    good: list[BatchLine]
    bad: list[BadLine]
    sha256: str


def _read(wishes: Wishes) -> _Lines:
    """Read the input.

    Raises:
        BatchInputError: Lines cannot be asked, and none of them is to be left out.
    """
    source = BatchInput(str(wishes.source))
    try:
        facts = source.facts()
        if facts.bad_count and wishes.on_bad_line == "fail":
            raise BatchInputError(facts.bad, facts.bad_count, source.name)
        found = list(source.read())
    finally:
        source.close()
    good = [line for line in found if isinstance(line, BatchLine)]
    bad = [line for line in found if isinstance(line, BadLine)]
    return _Lines(good, bad, facts.sha256)


def _submit(wishes: Wishes, llm: ChatTammaOpenAI) -> int:
    from langchain_tamma_openai.batches.from_file import submit_lines
    from langchain_tamma_openai.batches.store import BatchStore

    lines, store = _read(wishes), BatchStore()
    job_id = _job_id(wishes.output, lines.sha256)
    if job_id is None or store.find(job_id) is None:
        _check_free(wishes.output)
    job = submit_lines(llm, lines.good, api=wishes.api, job_id=job_id, journal=store)
    _say(wishes, f"job {job.id}: {len(job):,} requests, submitted as {', '.join(job.batch_ids)}")
    if not wishes.submit_only:
        return _finish(wishes, job, lines.bad if wishes.on_bad_line == "record" else [])
    if wishes.json:
        _output.print_json({"job_id": job.id, "batch_ids": job.batch_ids, "requests": len(job)})
    else:
        print(job.id)
    return 0


def _job_id(output: str | None, sha256: str) -> str | None:
    """Name the job of an input and an output, so that the same command goes on with it."""
    if output is None or output == STANDARD:
        return None
    text = f"{Path(output).resolve()}\n{sha256}"
    return f"cli-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def _check_free(output: str | None) -> None:
    if output is None or output == STANDARD:
        return
    path = Path(output)
    if (path.exists() and path.stat().st_size) or beside(path, "journal").exists():
        raise CommandError(
            f"--output: {output} has results of something else; name another file, or remove it "
            "with its .journal"
        )


def _price(wishes: Wishes, llm: ChatTammaOpenAI) -> int:
    from langchain_tamma_openai.batch_run.asking import Asker
    from langchain_tamma_openai.batch_run.estimate import BatchEstimate
    from langchain_tamma_openai.chat_models.observing import calculator
    from langchain_tamma_openai.cli._batch_words import priced_words

    lines = _read(wishes)
    estimate = BatchEstimate(total=len(lines.good), bad_count=len(lines.bad))
    asker, prices = Asker(llm, wishes.api), calculator(llm.price_overrides)
    for line in lines.good:
        estimate.add(prices.estimate_payload(asker.payload(line), batch=True))
    if wishes.json:
        _output.print_json(asdict(estimate))
    else:
        print("\n".join(priced_words(estimate)))
    return 0


def _job(job_id: str, llm: ChatTammaOpenAI) -> BatchJob:
    from langchain_tamma_openai import BatchJob
    from langchain_tamma_openai.errors import NotFoundError

    try:
        return BatchJob.load(job_id, llm)
    except NotFoundError as error:
        raise CommandError(error.message) from None


def _cancel(wishes: Wishes, llm: ChatTammaOpenAI) -> int:
    job = _job(str(wishes.cancel), llm)
    status = job.cancel()
    if wishes.json:
        _output.print_json({"job_id": job.id, **_progress(status)})
    else:
        print(
            f"job {job.id} is {status.state.value}: {_counts(status)}; "
            f"--resume {job.id} fetches what was answered"
        )
    return 0


# --- waiting and fetching ---


def _finish(wishes: Wishes, job: BatchJob, bad: Sequence[BadLine]) -> int:
    """Wait for the end of a job, and write what it came to."""
    teller = _Teller(wishes)
    try:
        status = job.wait(poll_interval_s=_poll_s(), on_progress=teller.take)
    except KeyboardInterrupt:
        _say(wishes, f"job {job.id} goes on without us; --resume {job.id} fetches it")
        raise
    job.keeps_responses = True
    found = job.outcomes()
    results = sorted([*_results(job, found), *map(bad_line_result, bad)], key=lambda one: one.line)
    _write(str(wishes.output), results)
    failed = sum(1 for each in results if each.error is not None)
    cost_usd: Decimal | None = Decimal(0)
    for each in found:
        cost_usd = add_usd(cost_usd, each.cost_usd)
    exit_status = FAILED if failed else 0
    _say(
        wishes,
        f"{len(results) - failed:,} of {len(results):,} lines answered"
        f"{f', {failed:,} failed' if failed else ''}; {_output.dollars(cost_usd)} at the price of "
        "the Batch API",
    )
    if wishes.json:
        _tell_programs(wishes, job, status, cost_usd, exit_status)
    return exit_status


def _results(job: BatchJob, found: Sequence[BatchResult]) -> Iterator[LineResult]:
    origins = job.origins
    for each in found:
        known = origins[each.index] if each.index < len(origins) else None
        line, name = (each.index + 1, each.custom_id) if known is None else known
        yield _result(each, line, name)


def _result(found: BatchResult, line: int, name: str | None) -> LineResult:
    message = found.message
    model = None if message is None else message.response_metadata.get("model_name")
    attempts = 0 if found.status_code is None else 1
    spent: dict[str, Any] = {
        "response": dict(found.response) if found.response else None,
        "tokens": found.tokens,
        "cost_usd": found.cost_usd,
        "attempts": attempts,
    }
    if found.error is None:
        text = None if message is None else str(message.text)
        return LineResult(line, name, text=text, model=model, **spent)
    model = model or getattr(found.error, "model", None)
    failed = error_result(found.error, None, None, model, line=line, custom_id=name, asked_before=0)
    return replace(failed, **spent)


def _write(output: str, results: Sequence[LineResult]) -> None:
    """Write all results, or leave the output as it was."""
    if output == STANDARD:
        sys.stdout.flush()
        _write_into(getattr(sys.stdout, "buffer", None), results)
        return
    path = Path(output)
    with replaced(path) as file:
        _write_into(file, results)
    sync_directory(path.absolute().parent)


def _write_into(file: IO[bytes] | None, results: Sequence[LineResult]) -> None:
    for each in results:
        if file is None:
            print(each.to_json().decode(), end="")
        else:
            file.write(each.to_json())
    if file is not None:
        file.flush()


def _tell_programs(
    wishes: Wishes, job: BatchJob, status: BatchStatus, cost_usd: Decimal | None, exit_status: int
) -> None:
    told = {
        "job_id": job.id,
        "batch_ids": job.batch_ids,
        **_progress(status),
        "cost_usd": cost_usd,
        "output": wishes.output,
        "exit_status": exit_status,
    }
    if wishes.output == STANDARD:
        _output.note(_output.json_text(told))
    else:
        _output.print_json(told)


class _Teller:
    """Says how far a job is, now and then."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._said_s = float("-inf")
        self._last = ""

    def take(self, status: BatchStatus) -> None:
        """Say it where it has changed, or where nothing was said for a while."""
        now_s = time.monotonic()
        words = f"{status.state.value}: {_counts(status)}"
        if words != self._last or now_s - self._said_s >= _SAY_EVERY_S:
            self._last, self._said_s = words, now_s
            _say(self._wishes, words)


def _counts(status: BatchStatus) -> str:
    failed = f", {status.failed:,} failed" if status.failed else ""
    return f"{status.completed:,} of {status.total:,} answered{failed}"


def _progress(status: BatchStatus) -> dict[str, object]:
    return {
        "state": status.state.value,
        "requests": status.total,
        "completed": status.completed,
        "failed": status.failed,
        "expires_at": status.expires_at,
    }


def _say(wishes: Wishes, text: str) -> None:
    if not wishes.quiet:
        _output.note(text)


def _poll_s() -> float:
    """Read how long the first pause is; tests are less patient than people."""
    try:
        return max(0.001, float(os.environ.get(_POLL_VARIABLE, _POLL_S)))
    except ValueError:
        return _POLL_S
