"""Usage records as CSV, JSON, JSON lines or Parquet, for spreadsheets and databases."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NoReturn, TextIO, cast, overload

from langchain_tamma_openai.checks import shown
from langchain_tamma_openai.usage.export_columns import COLUMNS
from langchain_tamma_openai.usage.export_parquet import import_pyarrow, write_parquet
from langchain_tamma_openai.usage.export_text import csv_pieces, json_pieces, jsonl_pieces
from langchain_tamma_openai.usage.record import UsageRecord
from langchain_tamma_openai.whole_files import replaced

ExportFormat = Literal["json", "jsonl", "csv", "parquet"]
Progress = Callable[[int], None]
ExportTarget = str | os.PathLike[str] | TextIO | BinaryIO

_STEP = 1000

EXPORT_COLUMNS: tuple[str, ...] = tuple(column.name for column in COLUMNS)
"""The headings of an export, in order."""

_TEXT_FORMATS: dict[str, Callable[[Iterable[UsageRecord]], Iterator[str]]] = {
    "json": json_pieces,
    "jsonl": jsonl_pieces,
    "csv": csv_pieces,
}


@overload
def export_records(
    records: Iterable[UsageRecord],
    format: Literal["json", "jsonl", "csv"],
    target: None = None,
    *,
    progress: Progress | None = None,
) -> str: ...
@overload
def export_records(
    records: Iterable[UsageRecord],
    format: Literal["parquet"],
    target: None = None,
    *,
    progress: Progress | None = None,
) -> bytes: ...
@overload
def export_records(
    records: Iterable[UsageRecord],
    format: ExportFormat,
    target: ExportTarget,
    *,
    progress: Progress | None = None,
) -> int: ...
def export_records(
    records: Iterable[UsageRecord],
    format: ExportFormat,  # noqa: A002 - the name users know
    target: ExportTarget | None = None,
    *,
    progress: Progress | None = None,
) -> str | bytes | int:
    """Write all records, one after the other, in a fixed set of columns.

    The same records give the same bytes: columns, keys and line ends are fixed, and nothing tells
    when the export was made. A file is replaced only once the new one is complete.

    Args:
        records: What to write; taken one at a time, never held all at once.
        format: "csv" (RFC 4180), "json" (one array), "jsonl" (a line each) or "parquet".
        target: A path, or an open stream of text or bytes, which stays open. None returns what
            was written instead.
        progress: Told after every 1,000 records, and at the end, how many were written.

    Returns:
        The text (Parquet: the bytes) without a target, else the number of records written.

    Raises:
        ConfigurationError: Parquet is asked for and pyarrow is not installed.
        InvalidParameterError: A wrong format, target or record; the file stays as it was.
        StorageError: The file cannot be written; it stays as it was.
    """
    if format not in ("json", "jsonl", "csv", "parquet"):
        _refuse("format", format, "'csv', 'json', 'jsonl' or 'parquet'")
    if format == "parquet":
        import_pyarrow()
    counted = _Counted(records, progress)
    if target is None:
        buffer = io.BytesIO()
        _write(counted, format, buffer)
        written = buffer.getvalue()
        return written if format == "parquet" else written.decode("utf-8")
    if isinstance(target, str | os.PathLike):
        _write_to_file(counted, format, Path(target))
    elif hasattr(target, "write"):
        _write_to_stream(counted, format, target)
    else:
        _refuse("target", target, "a path, an open stream, or None")
    return counted.number


class _Counted:
    """Counts records on their way, and sees that they are records."""

    def __init__(self, records: Iterable[UsageRecord], progress: Progress | None) -> None:
        if not isinstance(records, Iterable):
            _refuse("records", records, "an iterable of UsageRecord")
        self._records = records
        self._progress = progress or _unwatched
        self.number = 0

    def __iter__(self) -> Iterator[UsageRecord]:
        for record in self._records:
            if not isinstance(record, UsageRecord):
                _refuse("records", record, "an iterable of UsageRecord")
            yield record
            self.number += 1
            if self.number % _STEP == 0:
                self._progress(self.number)
        self._progress(self.number)


def _unwatched(_number: int) -> None:
    """Tell nobody."""


def _write(records: Iterable[UsageRecord], format_name: str, stream: BinaryIO) -> None:
    if format_name == "parquet":
        write_parquet(records, stream)
        return
    stream.writelines(piece.encode("utf-8") for piece in _TEXT_FORMATS[format_name](records))


def _write_to_stream(records: Iterable[UsageRecord], format_name: str, target: object) -> None:
    # What a stream takes cannot be read off its type; an empty write tells, and does no harm.
    if _takes(target, b""):
        _write(records, format_name, cast("BinaryIO", target))
    elif format_name == "parquet":
        _refuse("target", target, "a stream of bytes for Parquet, such as open(path, 'wb')")
    else:
        stream = cast("TextIO", target)
        for piece in _TEXT_FORMATS[format_name](records):
            stream.write(piece)


def _takes(target: object, nothing: bytes) -> bool:
    try:
        cast("BinaryIO", target).write(nothing)
    except TypeError:
        return False
    return True


def _write_to_file(records: Iterable[UsageRecord], format_name: str, path: Path) -> None:
    from langchain_tamma_openai.errors import StorageError

    try:
        with replaced(path) as stream:
            _write(records, format_name, stream)
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise StorageError(
            f"The export to {path} failed ({type(exc).__name__}: {reason}); nothing there was "
            "changed. Choose a folder that exists and can be written to"
        ) from exc


def _refuse(field: str, value: object, expected: str) -> NoReturn:
    from langchain_tamma_openai.errors import InvalidParameterError

    raise InvalidParameterError(f"{field}: got {shown(value)}, must be {expected}", param=field)
