"""Which records a command means: the options that all commands of `usage` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from langchain_tamma_openai.cli import _options
from langchain_tamma_openai.cli._errors import wrong_argument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from langchain_tamma_openai import UsageRecord
    from langchain_tamma_openai.usage.filters import FieldFilters, RecordFilters

_TIMES = "A date or time (UTC), `7d`, `12h`, `today`, `yesterday`, `month`."

Start = Annotated[
    str | None, typer.Option("--start", metavar="WHEN", help=f"First moment. {_TIMES}")
]
End = Annotated[
    str | None, typer.Option("--end", metavar="WHEN", help=f"First moment after it. {_TIMES}")
]
User = Annotated[str | None, typer.Option("--user-id", metavar="ID", help="Only this user.")]
Organization = Annotated[
    str | None, typer.Option("--organization-id", metavar="ID", help="Only this organization.")
]
ServedModel = Annotated[
    str | None, typer.Option("--model", "-m", metavar="NAME", help="Only what this model served.")
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", "-t", metavar="TAG", help="Only runs with it. May be repeated."),
]
Status = Annotated[
    str | None,
    typer.Option("--status", metavar="HOW", help="ok, error, interrupted or cancelled."),
]

Metadata = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata", metavar="KEY=VALUE", help="Only runs with it in metadata. May be repeated."
    ),
]

_STATUSES = ("ok", "error", "interrupted", "cancelled")


def field_filters(
    user_id: str | None,
    organization_id: str | None,
    model: str | None,
    tags: list[str] | None,
    status: str | None = None,
) -> FieldFilters:
    """Put the filters by field together.

    Args:
        user_id: The user.
        organization_id: The organization.
        model: The model that served.
        tags: All of them must be on a run.
        status: How runs ended.

    Raises:
        CommandError: There is no such status.
    """
    if status is not None and status not in _STATUSES:
        raise wrong_argument("--status", status, ", ".join(_STATUSES))
    return {
        "user_id": user_id,
        "organization_id": organization_id,
        "model": model,
        "tags": tags or None,
        "status": status,
    }


def record_filters(start: str | None, end: str | None, fields: FieldFilters) -> RecordFilters:
    """Put all filters together.

    Args:
        start: First moment, as it was typed.
        end: First moment after the range, as it was typed.
        fields: The filters by field.

    Raises:
        CommandError: One of the moments is no time, or the end lies before the start.
    """
    first, last = _options.moment(start, "--start"), _options.moment(end, "--end")
    if first is not None and last is not None and last < first:
        raise wrong_argument("--end", end, "after --start")
    return {**fields, "start": first, "end": last}


def with_metadata(
    metadata: list[str] | None,
) -> Callable[[Iterable[UsageRecord]], Iterable[UsageRecord]]:
    """Make the filter by metadata, which goes through the records.

    Args:
        metadata: `KEY=VALUE`, as they were typed; all of them must be on a run. The value is text,
            or JSON: `paying=true`, `floor=3`.

    Returns:
        A function that leaves out the other records.

    Raises:
        CommandError: One of them has no `=`.
    """
    wanted = dict(_pair(text) for text in metadata or ())

    def matching(records: Iterable[UsageRecord]) -> Iterator[UsageRecord]:
        for record in records:
            if all(_is(record.metadata.get(key), value) for key, value in wanted.items()):
                yield record

    return matching if wanted else _all


def _all(records: Iterable[UsageRecord]) -> Iterable[UsageRecord]:
    return records


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise wrong_argument("--metadata", text, "KEY=VALUE")
    return key, value


def _is(value: object, wanted: str) -> bool:
    import json

    return value == wanted or (value is not None and json.dumps(value) == wanted)
