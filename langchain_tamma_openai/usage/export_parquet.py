"""Records as Parquet, through pyarrow (extra ``parquet``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from langchain_tamma_openai.usage.export_columns import (
    COLUMNS,
    Column,
    Kind,
    Value,
    clean_text,
    json_text,
)
from langchain_tamma_openai.usage.record import UsageRecord

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

USD_DIGITS, USD_PLACES = 38, 28
"""Dollars are `decimal128(38, 28)`, the widest type that every reader of Parquet knows."""
_ROWS_AT_ONCE = 4096


class _Sink:
    """A stream as pyarrow wants it, left open at the end."""

    closed = False

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._written = 0

    def write(self, data: bytes) -> int:
        self._stream.write(bytes(data))
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """Do nothing: that is up to the stream's owner."""

    def close(self) -> None:
        """Do nothing: the stream is not ours."""


def write_parquet(records: Iterable[UsageRecord], stream: BinaryIO) -> None:
    """Write a Parquet file into a stream, a few thousand rows at a time.

    Args:
        records: What to write.
        stream: Takes bytes; it stays open.

    Raises:
        ConfigurationError: pyarrow is not installed.
        InvalidParameterError: A number does not fit, such as a cost of more than 28 places.
    """
    import_pyarrow()
    import pyarrow as pa
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    fields = [pa.field(column.name, _arrow_type(column.kind)) for column in COLUMNS]
    schema = pa.schema(fields)
    rows = iter(records)
    with pq.ParquetWriter(pa.PythonFile(_Sink(stream), "w"), schema, compression="zstd") as writer:
        for batch in _batches(rows):
            arrays = [
                _array(column, batch, field.type)
                for column, field in zip(COLUMNS, fields, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def import_pyarrow() -> None:
    """Make sure that pyarrow is there.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401 - only whether it is there
    except ModuleNotFoundError as missing:
        from langchain_tamma_openai.errors import ConfigurationError

        raise ConfigurationError(
            "format: Parquet needs the package 'pyarrow', which is not installed; run: pip install "
            "'langchain-tamma-openai[parquet]', or export as csv or json",
            param="format",
        ) from missing


def _batches(rows: Iterator[UsageRecord]) -> Iterator[list[UsageRecord]]:
    while batch := list(islice(rows, _ROWS_AT_ONCE)):
        yield batch


def _arrow_type(kind: Kind) -> pa.DataType:
    import pyarrow as pa

    types: dict[Kind, pa.DataType] = {
        "count": pa.int64(),
        "number": pa.float64(),
        "usd": pa.decimal128(USD_DIGITS, USD_PLACES),
        "flag": pa.bool_(),
        "time": pa.timestamp("us", tz="UTC"),
    }
    return types.get(kind, pa.string())


def _array(column: Column, batch: list[UsageRecord], arrow_type: pa.DataType) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array([_cell(column, record) for record in batch], arrow_type)
    except (pa.ArrowInvalid, OverflowError) as exc:
        from langchain_tamma_openai.errors import InvalidParameterError

        raise InvalidParameterError(
            f"{column.name}: Parquet's {arrow_type} cannot hold a value exactly ({exc}); export "
            "as csv or json, which hold any number",
            param=column.name,
        ) from exc


def _cell(column: Column, record: UsageRecord) -> Value:
    value = column.value(record)
    if value is None:
        return None
    if column.kind in {"tags", "json"}:
        return json_text(value)
    return clean_text(value) if isinstance(value, str) else value
