"""Exported records read back as they were, are safe in spreadsheets, and are the same each time."""

from __future__ import annotations

import csv
import io
import json
import stat
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.csv as pa_csv  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_tamma_openai.errors import ConfigurationError, InvalidParameterError, StorageError
from langchain_tamma_openai.pricing_cost import Cost
from langchain_tamma_openai.usage import export_parquet
from langchain_tamma_openai.usage.export import EXPORT_COLUMNS, ExportFormat, export_records
from langchain_tamma_openai.usage.record import RunStatus, UsageRecord
from langchain_tamma_openai.wire.usage import TokenUsage

FORMATS: tuple[ExportFormat, ...] = ("csv", "json", "jsonl", "parquet")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
FULL = UsageRecord(
    run_id=UUID(int=1),
    parent_run_id=UUID(int=2),
    started_at=datetime(2026, 11, 24, 13, 0, 0, 5, tzinfo=timezone(timedelta(hours=1))),
    latency_s=1e-05,
    time_to_first_token_s=0.25,
    status=RunStatus.INTERRUPTED,
    streamed=True,
    model='gpt-6, "sol"',
    tokens=TokenUsage(input_tokens=10, output_tokens=5, total_tokens=15, cached_tokens=3),
    cost=Cost(
        Decimal("0.0000125"), Decimal("1.2E-10"), Decimal("0.00001250012"), pricing_source="table"
    ),
    estimated=True,
    attempts=3,
    user_id="=HYPERLINK(1)",
    organization_id="",
    tags=("b", "a,\n"),
    metadata={"z": [1, {"y": None, "b": True}], "a": "ü"},
    prompt_version="@1",
)
BARE = UsageRecord(run_id=UUID(int=3), started_at=NOON)

texts = st.text(st.characters(exclude_categories=()), max_size=12)
amounts = st.decimals(0, 10**6, places=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def records(draw: st.DrawFn) -> UsageRecord:
    amount = draw(st.none() | amounts)
    return UsageRecord(
        run_id=draw(st.uuids()),
        started_at=draw(
            st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is given apart
        ),
        latency_s=draw(st.floats(0, 1e6)),
        status=draw(st.sampled_from(RunStatus)),
        model=draw(st.none() | texts),
        tokens=draw(st.none() | st.builds(TokenUsage, st.integers(0, 10**9))),
        cost=None if amount is None else Cost(amount, Decimal(0), amount),
        user_id=draw(st.none() | texts | st.sampled_from(["=1", "'=1", "-2", "\uff1da", "\t", ""])),
        tags=tuple(draw(st.lists(texts, max_size=3))),
        metadata=draw(st.dictionaries(texts, json_values, max_size=3)),
    )


def _clean(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _clean_all(value: object) -> object:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {_clean(key): _clean_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean_all(item) for item in value]
    return value


def _check_row(record: UsageRecord, row: dict[str, object]) -> None:
    """Compare a row, decoded to Python's types, with its record."""
    usage, cost = record.tokens, record.cost
    assert tuple(row) == EXPORT_COLUMNS
    assert row["run_id"] == str(record.run_id)
    assert row["started_at"] == record.started_at
    assert row["latency_s"] == record.latency_s
    assert row["status"] == record.status.value
    assert row["streamed"] is record.streamed
    assert row["input_tokens"] == (None if usage is None else usage.input_tokens)
    assert row["total_cost_usd"] == (None if cost is None else cost.total_usd)
    assert row["attempts"] == record.attempts
    for name in ("model", "user_id", "organization_id"):
        expected = getattr(record, name)
        assert row[name] == (None if expected is None else _clean(expected))
    assert row["tags"] == [_clean(tag) for tag in record.tags]
    assert row["metadata"] == _clean_all(record.metadata)


def _from_json(row: dict[str, object]) -> dict[str, object]:
    usd = {k: None if v is None else Decimal(str(v)) for k, v in row.items() if k.endswith("_usd")}
    return {**row, **usd, "started_at": datetime.fromisoformat(str(row["started_at"]))}


def _from_csv(text: str) -> list[dict[str, object]]:
    """Read cells as a database does, where an empty cell is NULL and quotes make an empty text."""
    options = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(EXPORT_COLUMNS, pa.string()),
        strings_can_be_null=True,
        null_values=[""],
        quoted_strings_can_be_null=False,
    )
    reading = pa_csv.ParseOptions(newlines_in_values=True)
    table = pa_csv.read_csv(
        io.BytesIO(text.encode()), parse_options=reading, convert_options=options
    )
    return [_decode_cells(row) for row in table.to_pylist()]


def _decode_cells(row: dict[str, str | None]) -> dict[str, object]:
    decoded: dict[str, object] = {}
    for name, cell in row.items():
        value: object = cell
        if cell is None:
            value = None
        elif name.endswith("_usd"):
            value = Decimal(cell)
        elif name.endswith("_tokens") or name == "attempts":
            value = int(cell)
        elif name.endswith("_s"):
            value = float(cell)
        elif name in {"streamed", "cache_hit", "estimated"}:
            value = {"true": True, "false": False}[cell]
        elif name == "started_at":
            value = datetime.fromisoformat(cell)
        else:
            text = cell.removeprefix("'")
            value = json.loads(text) if name in {"tags", "metadata"} else text
        decoded[name] = value
    return decoded


def _from_parquet(data: bytes) -> list[dict[str, object]]:
    rows = pq.read_table(io.BytesIO(data)).to_pylist()
    decoded = {"tags", "metadata"}
    return [{k: json.loads(v) if k in decoded else v for k, v in row.items()} for row in rows]


@settings(deadline=None, max_examples=60)
@given(st.lists(records(), max_size=4))
def test_every_format_reads_back_as_it_was(written: list[UsageRecord]) -> None:
    lines = export_records(written, "jsonl").splitlines(keepends=False) if written else []
    read: dict[str, list[dict[str, object]]] = {
        "json": [_from_json(row) for row in json.loads(export_records(written, "json"))],
        "csv": _from_csv(export_records(written, "csv")),
        "parquet": _from_parquet(export_records(written, "parquet")),
        "jsonl": [
            _from_json(json.loads(line))
            for line in export_records(written, "jsonl").split("\n")[:-1]
        ],
    }
    assert len(lines) >= len(written)  # JSON may hold U+2028, which Python takes for a line end
    for rows in read.values():
        assert len(rows) == len(written)
        for record, row in zip(written, rows, strict=True):
            _check_row(record, row)


def test_csv_looks_like_this() -> None:
    heading, full, bare, end = export_records([FULL, BARE], "csv").split("\r\n")

    assert heading == ",".join(EXPORT_COLUMNS)
    assert full == (
        "00000000-0000-0000-0000-000000000001,00000000-0000-0000-0000-000000000002,"
        "00000000-0000-0000-0000-000000000002,2026-11-24T12:00:00.000005Z,1e-05,0.25,interrupted,"
        'true,false,,,,"gpt-6, ""sol""",,10,5,15,3,0,0,0,0,0,0,0,0,0.0000125,0.00000000012,'
        '0.00001250012,USD,table,,true,3,,,,,,\'=HYPERLINK(1),"","[""b"",""a,\\n""]",'
        '"{""a"":""ü"",""z"":[1,{""b"":true,""y"":null}]}",,\'@1'
    )
    assert bare.startswith("00000000-0000-0000-0000-000000000003,,00000000")
    assert end == ""


def test_python_reads_the_csv_too() -> None:
    rows = list(
        csv.reader(io.StringIO(export_records([FULL, BARE], "csv"), newline=""), strict=True)
    )

    assert [len(row) for row in rows] == [len(EXPORT_COLUMNS)] * 3
    assert dict(zip(rows[0], rows[1], strict=True))["model"] == 'gpt-6, "sol"'


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "\uff1d1",
        "\uff0b1",
        "\uff0d1",
        "\uff201",
    ],
)
@pytest.mark.parametrize("column", ["user_id", "model", "error_code", "prompt_id"])
def test_no_cell_begins_a_formula(text: str, column: str) -> None:
    record = UsageRecord(run_id=UUID(int=1), started_at=NOON, **{column: text})  # type: ignore[arg-type]
    rows = csv.DictReader(io.StringIO(export_records([record], "csv"), newline=""))

    assert next(rows)[column] == "'" + text


def test_numbers_stay_numbers() -> None:
    record = UsageRecord(
        run_id=UUID(int=1), started_at=NOON, latency_s=-0.5, cost=Cost(total_usd=Decimal("-1.5"))
    )
    row = next(csv.DictReader(io.StringIO(export_records([record], "csv"), newline="")))

    assert [row["latency_s"], row["total_cost_usd"]] == ["-0.5", "-1.5"]


def test_each_field_of_a_record_has_its_column() -> None:
    apart = {"tokens", "cost", "attempt_records"}
    names = {field.name for field in fields(UsageRecord)} - apart
    names |= {field.name for field in fields(TokenUsage)}

    assert names <= set(EXPORT_COLUMNS)
    assert {"input_cost_usd", "output_cost_usd", "total_cost_usd"} <= set(EXPORT_COLUMNS)
    assert len(set(EXPORT_COLUMNS)) == len(EXPORT_COLUMNS)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_records_give_the_same_bytes(name: ExportFormat, tmp_path: Path) -> None:
    turned = UsageRecord(
        run_id=UUID(int=9), started_at=NOON, metadata={"b": {"d": 1, "c": 2}, "a": {3, 1, 2}}
    )
    again = UsageRecord(
        run_id=UUID(int=9),
        started_at=NOON.astimezone(timezone(timedelta(hours=9))),
        metadata={"a": {2, 3, 1}, "b": {"c": 2, "d": 1}},
    )
    paths = [tmp_path / "one", tmp_path / "two"]
    for path, record in zip(paths, (turned, again), strict=True):
        assert export_records(iter([record, FULL]), name, path) == 2

    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_paths_streams_and_results_hold_the_same(name: ExportFormat, tmp_path: Path) -> None:
    path = tmp_path / "records"
    text, binary = io.StringIO(newline=""), io.BytesIO()
    assert export_records([FULL, BARE], name, str(path)) == 2
    assert export_records([FULL, BARE], name, binary) == 2
    expected = path.read_bytes()
    result: str | bytes | int = (
        export_records([FULL, BARE], "parquet")
        if name == "parquet"
        else export_records([FULL, BARE], name)
    )

    assert binary.getvalue() == expected
    assert (result.encode() if isinstance(result, str) else result) == expected
    if name == "parquet":
        with pytest.raises(InvalidParameterError, match=r"^target: .*stream of bytes"):
            export_records([FULL], name, text)
    else:
        assert export_records([FULL, BARE], name, text) == 2
        assert text.getvalue().encode() == expected
    assert not binary.closed


def test_no_records_are_an_empty_export() -> None:
    assert export_records([], "json") == "[]\n"
    assert export_records([], "jsonl") == ""
    assert export_records([], "csv") == ",".join(EXPORT_COLUMNS) + "\r\n"
    table = pq.read_table(io.BytesIO(export_records([], "parquet")))
    assert [table.num_rows, table.column_names] == [0, list(EXPORT_COLUMNS)]


def test_odd_values_of_metadata_stay_readable_json() -> None:
    odd = {
        1: float("nan"),
        "when": NOON,
        "price": Decimal("1E-7"),
        "id": UUID(int=5),
        "bytes": b"x",
        "deep": ({"k": float("inf")},),
        "no number": Decimal("NaN"),
    }
    record = UsageRecord(run_id=UUID(int=1), started_at=NOON, metadata=odd)  # type: ignore[arg-type]
    (row,) = json.loads(export_records([record], "json"))

    assert row["metadata"] == {
        "1": "nan",
        "when": "2026-11-24T12:00:00.000000Z",
        "price": "0.0000001",
        "id": str(UUID(int=5)),
        "bytes": "b'x'",
        "deep": [{"k": "inf"}],
        "no number": "NaN",
    }


def _broken() -> Iterator[UsageRecord]:
    yield FULL
    raise RuntimeError("the source broke")


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_replaced_wholly_or_not_at_all(name: ExportFormat, tmp_path: Path) -> None:
    path = tmp_path / "records"
    path.write_text("as it was")
    path.chmod(0o640)
    with pytest.raises(RuntimeError, match="the source broke"):
        export_records(_broken(), name, path)
    with pytest.raises(InvalidParameterError, match=r"^records: got"):
        export_records([FULL, {"run_id": 1}], name, path)  # type: ignore[list-item]  # wrong on purpose
    assert path.read_text() == "as it was"

    link = tmp_path / "link"
    link.symlink_to(path)
    assert export_records([FULL], name, link) == 1
    assert link.is_symlink()
    assert path.read_bytes() != b"as it was"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(left.name for left in tmp_path.iterdir()) == ["link", "records"]


def test_a_place_that_cannot_be_written_to_is_a_storage_error(tmp_path: Path) -> None:
    for path in (tmp_path / "no" / "records.csv", tmp_path):
        with pytest.raises(StorageError, match="nothing there was changed"):
            export_records([FULL], "csv", path)

    assert list(tmp_path.iterdir()) == []
    assert export_records([FULL], "csv", "/dev/null") == 1
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (([FULL], "xlsx"), "format"),
        (([FULL], ["csv"]), "format"),
        (([FULL], "csv", 7), "target"),
        ((FULL, "csv"), "records"),
        (("abc", "csv"), "records"),
    ],
)
def test_a_wrong_argument_is_named(arguments: tuple[object, ...], field: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"^{field}: got"):
        export_records(*arguments)  # type: ignore[call-overload]  # wrong on purpose


def test_an_amount_that_parquet_cannot_hold_is_named_and_not_rounded() -> None:
    fine = UsageRecord(run_id=UUID(int=1), started_at=NOON, cost=Cost(total_usd=Decimal("1E-28")))
    finer = UsageRecord(run_id=UUID(int=1), started_at=NOON, cost=Cost(total_usd=Decimal("1E-29")))
    huge = UsageRecord(run_id=UUID(int=1), started_at=NOON, tokens=TokenUsage(2**70))

    assert _from_parquet(export_records([fine], "parquet"))[0]["total_cost_usd"] == Decimal("1E-28")
    with pytest.raises(InvalidParameterError, match=r"^total_cost_usd: .*csv or json"):
        export_records([finer], "parquet")
    with pytest.raises(InvalidParameterError, match=r"^input_tokens: "):
        export_records([huge], "parquet")
    assert "0.00000000000000000000000000001," in export_records([finer], "csv")


def test_parquet_without_its_package_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigurationError, match=r"langchain-tamma-openai\[parquet\]"):
        export_records([FULL], "parquet", tmp_path / "records")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FORMATS)
def test_memory_does_not_grow_with_the_number_of_records(
    name: ExportFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_parquet, "_ROWS_AT_ONCE", 100)
    peaks = []
    for number in (300, 1500):
        tracemalloc.start()
        export_records((FULL for _ in range(number)), name, tmp_path / "records")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    # Parquet notes a little for each batch at its end; the text of one record is 700 bytes.
    assert peaks[1] - peaks[0] < 100 * 1200
