"""Which records are meant: a time range, equal fields, tags. No I/O; every store obeys it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import TypedDict
from uuid import UUID

from langchain_tamma_openai.checks import shown
from langchain_tamma_openai.errors import InvalidParameterError, UnknownParameterError
from langchain_tamma_openai.usage.record import RunStatus, UsageRecord
from langchain_tamma_openai.usage.record_codec import clean_text

EQUAL_FIELDS = (
    "run_id",
    "root_run_id",
    "user_id",
    "organization_id",
    "model",
    "requested_model",
    "status",
    "provider",
    "api",
    "service_tier",
    "prompt_id",
    "prompt_version",
    "response_id",
)
_ID_FIELDS = ("run_id", "root_run_id")
Moment = datetime | date


class FieldFilters(TypedDict, total=False):
    """Which runs are meant, by their fields; what is left out or None does not restrict them.

    `model` is the model that served the run, `requested_model` the one that was asked for. A run
    must carry all of `tags`.
    """

    user_id: str | None
    organization_id: str | None
    model: str | None
    requested_model: str | None
    tags: str | Iterable[str] | None
    status: RunStatus | str | None
    provider: str | None
    api: str | None
    service_tier: str | None
    prompt_id: str | None
    prompt_version: str | None
    run_id: UUID | str | None
    root_run_id: UUID | str | None
    response_id: str | None


class RecordFilters(FieldFilters, total=False):
    """Which runs are meant, by their fields and by the time when they began.

    `start` is inclusive and `end` exclusive. A time without a zone is UTC, a date its first moment
    in UTC.
    """

    start: Moment | None
    end: Moment | None


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """The checked form of `RecordFilters`.

    Attributes:
        start: First moment; UTC.
        end: First moment after the range; UTC.
        equal: Fields of the record and their values, as text.
        tags: All of them must be on the run.
    """

    start: datetime | None = None
    end: datetime | None = None
    equal: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    @classmethod
    def parse(cls, filters: Mapping[str, object]) -> RecordFilter:
        """Check filters.

        Args:
            filters: See `RecordFilters`.

        Raises:
            InvalidParameterError: A value that cannot be meant, or an end before the start.
            UnknownParameterError: A name that is no filter.
        """
        for name in filters:
            if name not in RecordFilters.__annotations__:
                known = ", ".join(sorted(RecordFilters.__annotations__))
                raise UnknownParameterError(
                    f"{name}: there is no such filter; use one of {known}", param=name
                )
        start = parse_moment(filters.get("start"), "start")
        end = parse_moment(filters.get("end"), "end")
        if start is not None and end is not None and end < start:
            raise InvalidParameterError(
                f"end: {end.isoformat()} is before the start {start.isoformat()}; swap the two",
                param="end",
            )
        given = {name: filters.get(name) for name in EQUAL_FIELDS}
        equal = {name: _text(value, name) for name, value in given.items() if value is not None}
        return cls(start, end, equal, _tags(filters.get("tags")))

    def matches(self, record: UsageRecord) -> bool:
        """Tell whether a record is meant."""
        if self.start is not None and record.started_at < self.start:
            return False
        if self.end is not None and record.started_at >= self.end:
            return False
        if any(_field_text(record, name) != value for name, value in self.equal.items()):
            return False
        return not self.tags or set(self.tags) <= set(map(clean_text, record.tags))


def parse_moment(value: object, name: str) -> datetime | None:
    """Read a time; a date is its first moment, and what has no zone is UTC.

    Args:
        value: A datetime, a date or None.
        name: Name of the argument, for the message.

    Raises:
        InvalidParameterError: It is neither.
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, time.min, UTC)
    raise InvalidParameterError(
        f"{name}: got {shown(value)}, must be a datetime or a date", param=name
    )


def _tags(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    tags = [value] if isinstance(value, str) else value
    if not isinstance(tags, Iterable) or isinstance(tags, bytes | Mapping):
        raise InvalidParameterError(
            f"tags: got {shown(value)}, must be a text or several", param="tags"
        )
    return tuple(dict.fromkeys(_text(tag, "tags") for tag in tags))


def _text(value: object, name: str) -> str:
    if name in _ID_FIELDS:
        return _id_text(value, name)
    if name == "status" and value not in list(RunStatus):
        words = ", ".join(repr(status.value) for status in RunStatus)
        raise InvalidParameterError(
            f"status: got {shown(value)}, must be one of {words}", param="status"
        )
    if not isinstance(value, str):
        raise InvalidParameterError(f"{name}: got {shown(value)}, must be a text", param=name)
    return clean_text(str(value))


def _id_text(value: object, name: str) -> str:
    try:
        return str(value if isinstance(value, UUID) else UUID(str(value)))
    except ValueError:
        raise InvalidParameterError(
            f"{name}: got {shown(value)}, must be a UUID", param=name
        ) from None


def _field_text(record: UsageRecord, name: str) -> str | None:
    value: object = getattr(record, name)
    return None if value is None else clean_text(str(value))


def parse_group_by(value: str | Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Check the names to group by.

    Args:
        value: One name or several, in the order wanted.
        known: The names there are.

    Raises:
        InvalidParameterError: A name that is not among them.
    """
    names = (value,) if isinstance(value, str) else tuple(value)
    for name in names:
        if name not in known:
            words = ", ".join(known)
            raise InvalidParameterError(
                f"group_by: got {shown(name)}, must be one or several of {words}", param="group_by"
            )
    return tuple(dict.fromkeys(names))
