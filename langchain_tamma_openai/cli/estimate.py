"""`tamma-openai estimate`: what requests will cost, before any is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_tamma_openai.cli import _options, _output
from langchain_tamma_openai.cli._errors import FAILED
from langchain_tamma_openai.cli.models import Tier

if TYPE_CHECKING:
    from langchain_tamma_openai.cli._estimate_sources import Kind, Skipped
    from langchain_tamma_openai.cli._estimate_sums import Amount, Estimator, Sum

_HEADS = (
    "requests",
    "input tok",
    "output tok",
    "low $",
    "expected $",
    "high $",
    "batch $",
    "batch high $",
)
_SHOWN_SKIPPED = 20


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Texts, directories of them, JSONL of requests (bodies, or lines of the Batch "
            "API); - for standard input.",
        ),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME",
            help="The model to ask, in place of that of the requests. May be repeated to compare.",
        ),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option("--system", "-s", metavar="TEXT", help="A system prompt: a text, or its id."),
    ] = None,
    output_tokens: Annotated[
        int | None,
        typer.Option("--output-tokens", min=0, metavar="N", help="Answer to expect. Default: 500."),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", min=1, metavar="N", help="Limit where a request has none."),
    ] = None,
    tier: Annotated[Tier | None, typer.Option("--tier", help="Whose prices.")] = None,
    pattern: Annotated[
        str | None,
        typer.Option("--glob", "-g", metavar="PATTERN", help="Only files in directories like it."),
    ] = None,
    by_file: Annotated[bool, typer.Option("--by-file", "-f", help="Also for each file.")] = False,
    json: _options.Json = False,
) -> int:
    """Count tokens and estimate the cost of requests, offline, before any is sent.

    Each text file is one request; a JSONL or JSON file of requests is as many as it holds. Low is
    the least (cached input, empty answers), high the most that they can cost. What cannot be read
    or counted is reported and left out.
    """
    from langchain_tamma_openai.cli import _estimate_sources as sources

    files = sources.files_of(paths, pattern)
    estimator = _estimator(system, output_tokens, max_tokens, tier)
    report = Report(model or [], by_file=by_file)
    with _output.progress("Counting", sources.size_of(files)) as bar:
        done_bytes = 0
        for item in (item for file in files for item in sources.items_of(file)):
            done_bytes += item.file_bytes
            report.take(item, estimator)
            bar.update(done_bytes)
    if json:
        _output.print_json(report.as_json())
    else:
        report.print()
    if not report.requests:
        _output.note("error: there is nothing to estimate")
        return FAILED
    return 0


def _estimator(
    system: str | None, output_tokens: int | None, max_tokens: int | None, tier: Tier | None
) -> Estimator:
    from langchain_tamma_openai import resolve_system_prompt
    from langchain_tamma_openai.cli._estimate_sums import Estimator, Terms

    prompt = resolve_system_prompt(system)
    text = None if prompt is None else prompt.text
    name = None if tier is None else "default" if tier is Tier.STANDARD else tier.value
    return Estimator(Terms(name, output_tokens, max_tokens, text))


class Report:
    """Sums by model and by file, and what was left out."""

    def __init__(self, models: Sequence[str], *, by_file: bool) -> None:
        """Begin.

        Args:
            models: What to ask in place of the models of the requests; empty for these.
            by_file: Whether each file is listed.
        """
        from langchain_tamma_openai.cli._estimate_sums import Sum
        from langchain_tamma_openai.config import default_model_name

        self._default_model = default_model_name()
        self._models = list(dict.fromkeys(models))
        self._by_file = by_file
        self._new = Sum
        self.requests = 0
        self._sums: dict[str, Sum] = {}
        self._all = Sum()
        self._files: dict[tuple[Path, str], Sum] = {}
        self._kinds: dict[Path, Kind] = {}
        self._skipped: list[Skipped] = []

    def take(self, item: Any, estimator: Estimator) -> None:
        """Count a request, or note what is no request.

        Args:
            item: A `Request` or a `Skipped`.
            estimator: Estimates it.
        """
        from langchain_tamma_openai.cli._estimate_sources import Request

        if not isinstance(item, Request):
            self._skipped.append(item)
            return
        self.requests += 1
        self._kinds[item.path] = item.kind
        own = item.payload.get("model")
        for name in self._models or [str(own) if own else self._default_model]:
            together = self._sums.setdefault(name, self._new())
            of_file = self._files.setdefault((item.path, name), self._new())
            estimator.add(item.payload, name, together, of_file, self._all)

    @property
    def _adds_up(self) -> bool:
        """Whether the models are parts of one whole, and no alternatives."""
        return not self._models and len(self._sums) > 1

    def as_json(self) -> dict[str, object]:
        """Give everything."""
        models = [{"model": name, **one.as_json()} for name, one in self._sums.items()]
        files = [
            {"path": str(path), "kind": self._kinds[path], "model": name, **one.as_json()}
            for (path, name), one in self._files.items()
        ]
        skipped = [
            {"path": str(one.path), "line": one.line, "reason": one.reason} for one in self._skipped
        ]
        total = self._all.as_json() if self._adds_up else None
        return {"models": models, "total": total, "files": files, "skipped": skipped}

    def print(self) -> None:
        """Print tables, and beside them what was left out and why amounts are unknown."""
        if self._by_file and self._files:
            rows = [[str(path), name, *_cells(one)] for (path, name), one in self._files.items()]
            _output.print_table(("file", "model", *_HEADS), rows, right=_HEADS)
            print()
        if self._sums:
            rows = [[name, *_cells(one)] for name, one in self._sums.items()]
            total = [["all", *_cells(self._all)]] if self._adds_up else []
            _output.print_table(("model", *_HEADS), [*rows, *total], right=_HEADS)
        for line in (*self._remarks(), *self._left_out()):
            _output.note(_output.printable(line))

    def _remarks(self) -> Iterator[str]:
        for name, one in self._sums.items():
            if one.too_long:
                yield f"{name}: {one.too_long:,} of {one.requests:,} requests are too long for it"
            for reason in sorted(one.reasons):
                yield f"{name}: {reason}"

    def _left_out(self) -> Iterator[str]:
        for one in self._skipped[:_SHOWN_SKIPPED]:
            yield f"skipped: {one}"
        if len(self._skipped) > _SHOWN_SKIPPED:
            rest = Counter(one.reason for one in self._skipped[_SHOWN_SKIPPED:])
            for reason, count in rest.most_common():
                yield f"skipped: {count:,} more: {reason}"


def _cells(one: Sum) -> list[object]:
    return [
        one.requests,
        one.input_tokens,
        one.expected_output_tokens,
        *(
            _dollars(amount)
            for amount in (one.low, one.expected, one.high, one.batch_expected, one.batch_high)
        ),
    ]


def _dollars(amount: Amount) -> str | None:
    """Write a sum with the digits that matter."""
    if amount.usd is None:
        return None
    if not amount.usd:
        return "0"
    return f"{amount.usd.quantize(_digits(amount.usd)).normalize():f}"


def _digits(usd: Decimal) -> Decimal:
    """Give cents for large amounts, and at least three digits for small ones."""
    return Decimal(1).scaleb(min(-2, usd.adjusted() - 2))
