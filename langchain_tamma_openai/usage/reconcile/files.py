"""Reads a provider's file as flat lines: JSON, JSON lines, CSV or TSV, line by line where it can.

Pages of buckets of results become one line for each result, with the times of its bucket.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

from langchain_tamma_openai.errors import InvalidParameterError

Raw = Mapping[str, Any]
OneSource = str | os.PathLike[str] | io.TextIOBase | Raw
Source = OneSource | Sequence[OneSource]

_NAME = re.compile(r"[^a-z0-9]+")
_SHORT = 200


class Lines:
    """The lines of a provider's files.

    Attributes:
        is_partial: Whether a page says that more follow it; known once all lines were read.
    """

    def __init__(self, source: Source) -> None:
        """Choose the source.

        Args:
            source: Paths, open text streams, or what `json.load` gives; one or several.
        """
        self._source = source
        self.is_partial = False

    def __iter__(self) -> Iterator[tuple[str, Raw]]:
        """Give each line with its place in the source."""
        self.is_partial = False
        if isinstance(self._source, Sequence) and not isinstance(self._source, str):
            for number, each in enumerate(self._source):
                yield from self._of(each, f"input[{number}]")
        else:
            yield from self._of(self._source, "input")

    def _of(self, source: object, place: str) -> Iterator[tuple[str, Raw]]:
        if isinstance(source, str | os.PathLike):
            path = Path(source)
            with path.open(encoding="utf-8-sig", newline="") as stream:
                yield from self._decoded(stream, path.name)
        elif isinstance(source, io.TextIOBase):
            yield from self._decoded(source, place)
        else:
            yield from self._flat(source, place)

    def _decoded(self, stream: io.TextIOBase, place: str) -> Iterator[tuple[str, Raw]]:
        try:
            yield from self._text(stream, place)
        except UnicodeDecodeError:
            refuse(place, "it is not UTF-8 text")

    def _text(self, stream: io.TextIOBase, name: str) -> Iterator[tuple[str, Raw]]:
        numbered = enumerate(stream, start=1)
        number, first = next(
            ((number, line) for number, line in numbered if line.strip("\ufeff \t\r\n")), (0, "")
        )
        first = first.removeprefix("\ufeff")
        start = first.lstrip()[:1]
        if not start:
            refuse(name, "it is empty")
        if start not in "[{":
            yield from _table(first, stream, name, number)
        elif (value := _whole(first)) is not None:
            yield from self._json_lines(value, stream, name, number)
        else:
            yield from self._flat(_json(first + stream.read(), name), name)

    def _json_lines(
        self, first: object, stream: io.TextIOBase, name: str, number: int
    ) -> Iterator[tuple[str, Raw]]:
        """Read one JSON value a line; a file of one line is one value."""
        numbered = enumerate(stream, start=number + 1)
        lines = ((f"{name}, line {place}", line) for place, line in numbered if line.strip())
        second = next(lines, None)
        yield from self._flat(first, name if second is None else f"{name}, line {number}")
        for place, line in chain((second,) if second else (), lines):
            yield from self._flat(_json(line, place), place)

    def _flat(self, value: object, place: str) -> Iterator[tuple[str, Raw]]:
        if isinstance(value, list | tuple):
            for number, each in enumerate(value):
                yield from self._flat(each, f"{place}[{number}]")
        elif not isinstance(value, Mapping):
            refuse(place, f"got {type(value).__name__}, not an object")
        elif value.keys() <= {"error", "object"}:
            refuse(place, f"it is an error of the API: {shown(value.get('error'))}")
        elif isinstance(results := value.get("results", value.get("result")), list):
            yield from _bucket(value, results, place)
        elif isinstance(value.get("data"), list):
            self.is_partial = value.get("has_more") is True
            yield from self._flat(value["data"], f"{place}.data")
        else:
            yield place, value


def refuse(place: str, problem: str) -> NoReturn:
    """Say what is wrong with a file.

    Args:
        place: Where.
        problem: What.

    Raises:
        InvalidParameterError: Always.
    """
    raise InvalidParameterError(
        f"{place}: {problem}; pass the JSON of OpenAI's usage or costs API, the CSV of its "
        "dashboard, or a list of calls with ids",
        param="source",
    )


def shown(value: object) -> str:
    """Quote a value, and cut it where it is long.

    Args:
        value: Of the file.
    """
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."


def _bucket(bucket: Raw, results: list[object], place: str) -> Iterator[tuple[str, Raw]]:
    times = {name: value for name, value in bucket.items() if "time" in name or "date" in name}
    if not results and times:
        yield place, times
    for number, each in enumerate(results):
        if not isinstance(each, Mapping):
            refuse(f"{place}.results[{number}]", f"got {type(each).__name__}, not an object")
        yield f"{place}.results[{number}]", {**times, **each}


def _whole(line: str) -> object | None:
    """Read a line that is a JSON value by itself; None when it only begins one."""
    try:
        value: object = json.loads(line, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None
    return value


def _json(text: str, place: str) -> object:
    try:
        value: object = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        refuse(place, f"it is no JSON ({error})")
    return value


def _table(head: str, stream: io.TextIOBase, name: str, number: int) -> Iterator[tuple[str, Raw]]:
    """Read CSV, or TSV, whose names of columns may be written in many ways."""
    delimiter = max("\t;,", key=head.count)
    columns = [_column(each) for each in next(csv.reader([head], delimiter=delimiter))]
    if not _is_export(columns):
        refuse(name, f"its columns {', '.join(columns) or '(none)'} are not those of an export")
    reader = csv.DictReader(stream, columns, delimiter=delimiter)
    try:
        for raw in reader:
            place = f"{name}, line {number + reader.line_num}"
            if None in raw:
                refuse(place, f"it has more cells than there are columns ({len(columns)})")
            yield place, {k: v for k, v in raw.items() if k and v not in (None, "")}
    except csv.Error as error:
        refuse(f"{name}, line {number + reader.line_num}", f"it is no CSV ({error})")


def _column(text: str) -> str:
    return _NAME.sub("_", text.strip().lower()).strip("_")


def _is_export(columns: Sequence[str]) -> bool:
    from langchain_tamma_openai.usage.reconcile.export import KNOWN_COLUMNS

    return bool(KNOWN_COLUMNS & set(columns))
