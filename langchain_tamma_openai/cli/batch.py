"""`tamma-openai batch`: many requests from a file into a file, through interruptions."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_tamma_openai.cli import _options
from langchain_tamma_openai.cli._errors import WRONG_ARGUMENTS, CommandError, wrong_argument

if TYPE_CHECKING:
    from langchain_tamma_openai import Budget, ChatTammaOpenAI, OpenAIRateLimiter, UsageTracker

STANDARD = "-"
RETRIES = 5
CONCURRENCY = 16


class Api(StrEnum):
    """The two APIs."""

    RESPONSES = "responses"
    CHAT = "chat"


class OnBadLine(StrEnum):
    """What happens when lines cannot be asked."""

    FAIL = "fail"
    SKIP = "skip"
    RECORD = "record"


class InFlight(StrEnum):
    """What happens to lines that were sent, outcome unknown."""

    ASK = "ask"
    SKIP = "skip"


def command(
    source: Annotated[
        Path | None, typer.Argument(metavar="INPUT", help="JSON lines; - for stdin.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Results, one for each line; - for stdout."
        ),
    ] = None,
    model: _options.Model = None,
    system: Annotated[
        str | None,
        typer.Option(
            "--system",
            metavar="PROMPT",
            help="System prompt for lines with a text or messages: a text, or the id of one.",
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", min=1, help="Longest answer, for lines that do not say."),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", min=0, max=2, help="For lines that do not say."),
    ] = None,
    api: Annotated[
        Api | None, typer.Option("--api", help="For lines that do not name one.")
    ] = None,
    base_url: _options.BaseUrl = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-c", min=1, help="Requests under way at once.")
    ] = CONCURRENCY,
    rpm: Annotated[
        int | None,
        typer.Option("--rpm", min=1, help="Requests per minute. Default: as the server says."),
    ] = None,
    tpm: Annotated[
        int | None,
        typer.Option("--tpm", min=1, help="Tokens per minute. Default: as the server says."),
    ] = None,
    retries: Annotated[
        int,
        typer.Option(
            "--retries",
            min=0,
            envvar="OPENAI_MAX_RETRIES",
            help="Retries of a request that failed in passing.",
        ),
    ] = RETRIES,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", min=0.001, metavar="S", help="Seconds for one request."),
    ] = None,
    budget_usd: Annotated[
        str | None,
        typer.Option(
            "--budget-usd",
            metavar="USD",
            help="The most that all runs on this output may spend together.",
        ),
    ] = None,
    store: _options.Store = None,
    on_bad_line: Annotated[
        OnBadLine,
        typer.Option(
            "--on-bad-line",
            help="Lines that cannot be asked: send nothing at all, leave them out, or give each an "
            "error in the output.",
        ),
    ] = OnBadLine.FAIL,
    in_flight: Annotated[
        InFlight,
        typer.Option("--in-flight", help="Lines that were sent, outcome unknown, at a kill."),
    ] = InFlight.ASK,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Ask lines again that have an error.")
    ] = False,
    max_errors: Annotated[
        int | None, typer.Option("--max-errors", min=0, help="Stop when more lines than this fail.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Ask at most so many lines this time.")
    ] = None,
    ordered: Annotated[
        bool, typer.Option("--ordered", help="Order the output as the input, at the end.")
    ] = False,
    fsync: Annotated[
        bool,
        typer.Option(
            "--fsync/--no-fsync", help="Wait for the disk, so that a power cut loses nothing."
        ),
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the input and price it; send nothing.")
    ] = False,
    batch_api: Annotated[
        bool,
        typer.Option(
            "--batch-api", help="Through the Batch API: half the price, answered within a day."
        ),
    ] = False,
    submit_only: Annotated[
        bool, typer.Option("--submit-only", help="--batch-api: print the job's id, do not wait.")
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="JOB", help="--batch-api: wait for this job, fetch it."),
    ] = None,
    cancel: Annotated[
        str | None, typer.Option("--cancel", metavar="JOB", help="--batch-api: stop this job.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
    json: _options.Json = False,
) -> None:
    """Answer every line of a file; interrupted, run it again to go on.

    A line of INPUT is a JSON text, {"input": "..."}, {"messages": [...]} with any parameters of
    the API, or a line of the Batch API. Each gets one line in the output, with the answer, its
    tokens and its cost. Nothing that is answered is ever asked again; what was under way at a kill
    is listed as sent, outcome unknown. Keep the file OUTPUT.journal: it knows what was sent.

    Ends with 0 when every line is answered, 1 when lines failed or a failure would meet every
    line, 2 when lines cannot be asked, 3 when the budget is used up, 130 after Ctrl-C.
    """
    if batch_api or submit_only or resume is not None or cancel is not None:
        from langchain_tamma_openai.cli import _batch_api

        if source is not None or output is not None:
            _check(source, output, ordered=False)
        refused = {"--retry-errors": retry_errors, "--limit": limit, "--max-errors": max_errors}
        wishes = _batch_api.Wishes(
            source=None if source is None else str(source),
            output=output,
            api=None if api is None else api.value,
            on_bad_line=on_bad_line.value,
            store=None if dry_run else store,
            submit_only=submit_only,
            resume=resume,
            cancel=cancel,
            dry_run=dry_run,
            quiet=quiet,
            json=json,
            refused=[name for name, given in refused.items() if given],
        )

        def model_of(tracker: UsageTracker | None) -> ChatTammaOpenAI:
            return _options.chat_model(
                model,
                base_url,
                system_prompt=system,
                max_tokens=max_tokens,
                temperature=temperature,
                max_retries=retries,
                timeout=timeout,
                usage_tracker=tracker,
                budget=_budget(_usd(budget_usd)),
            )

        raise typer.Exit(_batch_api.run(wishes, model_of))
    from langchain_tamma_openai.cli import _batch_running as running

    source, output = _given(source, output)
    _check(source, output, ordered=ordered)
    display = running.Display(quiet=quiet)
    settings: dict[str, Any] = {
        "concurrency": concurrency,
        "budget_usd": _usd(budget_usd),
        "api": api,
        "on_bad_line": on_bad_line,
        "in_flight": in_flight,
        "retry_errors": retry_errors,
        "ordered": ordered,
        "max_errors": max_errors,
        "limit": limit,
        "fsync": fsync,
        "on_progress": display.take,
    }
    with running.ledger(None if dry_run else store) as tracker:
        llm = _options.chat_model(
            model,
            base_url,
            system_prompt=system,
            max_tokens=max_tokens,
            temperature=temperature,
            max_retries=retries,
            timeout=timeout,
            rate_limiter=_limiter(rpm, tpm),
            usage_tracker=tracker,
        )
        run = running.prepared(llm, str(source), output, settings)
        if dry_run:
            running.price(run, as_json=json)
            return
        ending = running.drive(run, display)
    running.report(ending, as_json=json, quiet=quiet, to_stdout=output != STANDARD)
    raise typer.Exit(ending.status)


def _given(source: Path | None, output: str | None) -> tuple[Path, str]:
    if source is None:
        raise CommandError("INPUT: is missing; name a file, or - for stdin", WRONG_ARGUMENTS)
    if output is None:
        raise CommandError("--output: is missing; name a file, or - for stdout", WRONG_ARGUMENTS)
    return source, output


def _check(source: Path | None, output: str | None, *, ordered: bool) -> None:
    if source is not None and str(source) != STANDARD:
        _options.readable_file(source)
    if output is None:
        return
    if output != STANDARD and Path(output).exists() and not Path(output).is_file():
        raise wrong_argument("--output", output, f"a regular file, or {STANDARD} for stdout")
    if output != STANDARD and not Path(output).absolute().parent.is_dir():
        raise CommandError(f"--output: there is no directory {Path(output).absolute().parent}")
    if ordered and output == STANDARD:
        raise wrong_argument("--output", output, "a file when it is to be ordered")


def _budget(limit_usd: Decimal | None) -> Budget | None:
    """Hold a whole job to a limit: it fits, or nothing is sent."""
    if limit_usd is None:
        return None
    from langchain_tamma_openai import Budget

    return Budget(limit_usd, name="--budget-usd", wait_s=0)


def _usd(text: str | None) -> Decimal | None:
    if text is None:
        return None
    from langchain_tamma_openai.errors import ConfigurationError
    from langchain_tamma_openai.resilience.bounds import refuse
    from langchain_tamma_openai.usage.budget_amounts import read_usd

    try:
        return read_usd(text, "--budget-usd", refuse)
    except ConfigurationError as error:
        raise CommandError(error.message, WRONG_ARGUMENTS) from None


def _limiter(rpm: int | None, tpm: int | None) -> OpenAIRateLimiter:
    from langchain_tamma_openai import OpenAIRateLimiter

    return OpenAIRateLimiter(requests_per_minute=rpm, tokens_per_minute=tpm)
