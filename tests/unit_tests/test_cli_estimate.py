"""`tamma-openai estimate`: tokens and cost of files of many kinds, before anything is sent."""

from __future__ import annotations

import io
import json
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_tamma_openai import CostCalculator
from langchain_tamma_openai.__main__ import main
from langchain_tamma_openai.cli._estimate_sums import Amount

Capture = pytest.CaptureFixture[str]
QUESTION = [{"role": "user", "content": "What is a token?"}]
CHAT = {"model": "gpt-4.1", "messages": QUESTION, "max_tokens": 100}
RESPONSE = {"model": "gpt-6-luna", "input": "What is a token?", "max_output_tokens": 50}


def batch_line(number: int, body: object, url: str = "/v1/chat/completions") -> dict[str, object]:
    return {"custom_id": str(number), "method": "POST", "url": url, "body": body}


def write_lines(path: Path, *lines: object) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def estimate(capsys: Capture, *words: object) -> dict[str, Any]:
    assert main(["estimate", *map(str, words), "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


@pytest.fixture(autouse=True)
def _default_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_MODEL", raising=False)


def test_a_text_is_one_request_as_the_calculator_estimates_it(
    tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Zażółć gęślą jaźń. " * 50, encoding="utf-8")
    (model,) = estimate(capsys, path)["models"]
    payload = {"messages": [{"role": "user", "content": path.read_text("utf-8")}]}
    expected = CostCalculator().estimate_payload(payload, "gpt-6-luna")
    batch = CostCalculator().estimate_payload(payload, "gpt-6-luna", batch=True)
    assert (model["model"], model["requests"]) == ("gpt-6-luna", 1)
    assert model["input_tokens"] == expected.input_tokens
    assert Decimal(model["low_usd"]) == expected.low
    assert Decimal(model["expected_usd"]) == expected.expected
    assert Decimal(model["high_usd"]) == expected.high
    assert Decimal(model["batch_expected_usd"]) == batch.expected
    assert Decimal(model["batch_high_usd"]) == batch.high


def test_requests_keep_their_models_and_add_up(tmp_path: Path, capsys: Capture) -> None:
    path = write_lines(
        tmp_path / "requests.jsonl",
        batch_line(1, CHAT),
        "",
        CHAT,
        batch_line(2, RESPONSE, "/v1/responses"),
        {"messages": QUESTION},
    )
    report = estimate(capsys, path)
    by_model = {model["model"]: model for model in report["models"]}
    assert {name: model["requests"] for name, model in by_model.items()} == {
        "gpt-4.1": 2,
        "gpt-6-luna": 2,
    }
    assert by_model["gpt-4.1"]["high_output_tokens"] == 200
    for figure in ("low_usd", "expected_usd", "high_usd", "batch_expected_usd"):
        parts = sum((Decimal(model[figure]) for model in report["models"]), Decimal(0))
        assert Decimal(report["total"][figure]) == parts
    assert report["skipped"] == []


def test_several_models_are_alternatives_and_are_not_added(tmp_path: Path, capsys: Capture) -> None:
    path = write_lines(tmp_path / "requests.jsonl", CHAT, CHAT)
    report = estimate(capsys, path, "-m", "gpt-6-luna", "-m", "gpt-4o", "-m", "gpt-4o")
    assert [(one["model"], one["requests"]) for one in report["models"]] == [
        ("gpt-6-luna", 2),
        ("gpt-4o", 2),
    ]
    assert report["total"] is None


def test_directories_are_walked_without_hidden_files(tmp_path: Path, capsys: Capture) -> None:
    for name in ("a.md", "sub/b.md", "sub/c.txt", ".git/d.md", ".hidden.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    found = [Path(one["path"]).name for one in estimate(capsys, tmp_path)["files"]]
    assert found == ["a.md", "b.md", "c.txt"]
    report = estimate(capsys, tmp_path, tmp_path / ".hidden.md", "--glob", "*.md")
    assert [Path(one["path"]).name for one in report["files"]] == ["a.md", "b.md", ".hidden.md"]


def test_what_cannot_be_counted_is_reported(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x00\x01\x02")
    (tmp_path / "b.txt").write_bytes("Grüße".encode("latin-1"))
    (tmp_path / "c.txt").write_text(" \n")
    (tmp_path / "d.txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "e.txt").write_text("fine")
    os.mkfifo(tmp_path / "f.txt")
    write_lines(
        tmp_path / "g.jsonl", CHAT, "{", [1], batch_line(1, {"input": "x"}, "/v1/embeddings")
    )
    report = estimate(capsys, tmp_path)
    assert sum(one["requests"] for one in report["models"]) == 2
    left_out = [(Path(one["path"]).name, one["line"], one["reason"]) for one in report["skipped"]]
    assert [(name, line) for name, line, _ in left_out] == [
        ("a.bin", None),
        ("b.txt", None),
        ("c.txt", None),
        ("d.txt", None),
        ("f.txt", None),
        ("g.jsonl", 2),
        ("g.jsonl", 3),
        ("g.jsonl", 4),
    ]
    reasons = [reason for *_, reason in left_out]
    assert reasons[0] == reasons[1] == "is binary, or text in another encoding than UTF-8"
    assert reasons[2] == "is empty"
    assert reasons[5] == "is no JSON"
    assert "/v1/embeddings" in reasons[7]


def test_people_see_a_table_and_what_was_left_out_beside_it(
    tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "a.txt").write_text("hello")
    for number in range(25):
        (tmp_path / f"{number:02}.bin").write_bytes(b"\0")
    assert main(["estimate", str(tmp_path), "--by-file", "-m", "made-up"]) == 0
    captured = capsys.readouterr()
    head, of_file, _, _, of_model = captured.out.splitlines()
    assert head.split()[:2] == ["file", "model"]
    assert of_file.split()[0] == str(tmp_path / "a.txt")
    assert of_model.split() == ["made-up", "1", "8", "500", "-", "-", "-", "-", "-"]
    lines = captured.err.splitlines()
    assert lines[0] == "made-up: no price is known for made-up"
    assert lines[1].startswith(f"skipped: {tmp_path}/00.bin: is binary")
    assert lines[-1] == "skipped: 5 more: is binary, or text in another encoding than UTF-8"


def test_json_files_hold_requests_or_are_texts(tmp_path: Path, capsys: Capture) -> None:
    write_lines(tmp_path / "list.json", [CHAT, batch_line(1, CHAT)])
    write_lines(tmp_path / "one.json", CHAT)
    write_lines(tmp_path / "other.json", {"name": "value"})
    write_lines(tmp_path / "rows.jsonl", {"name": "value"}, "broken")
    kinds = {
        Path(one["path"]).name: (one["kind"], one["requests"])
        for one in estimate(capsys, tmp_path)["files"]
    }
    assert kinds == {
        "list.json": ("requests", 2),
        "one.json": ("requests", 1),
        "other.json": ("text", 1),
        "rows.jsonl": ("text", 1),
    }


def test_texts_in_utf_16_and_with_a_mark_are_read(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.txt").write_text("hello there", encoding="utf-16")
    (tmp_path / "b.txt").write_text("hello there", encoding="utf-8-sig")
    first, second = estimate(capsys, tmp_path)["files"]
    assert first["input_tokens"] == second["input_tokens"]


def test_standard_input_is_a_text(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hello there")))
    (only,) = estimate(capsys, "-")["files"]
    assert (only["path"], only["requests"]) == ("-", 1)


def test_options_change_the_estimate(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a.txt"
    path.write_text("hello")
    (plain,) = estimate(capsys, path, "-m", "gpt-5.4")["models"]
    (long,) = estimate(capsys, path, "-m", "gpt-5.4", "--output-tokens", "5000")["models"]
    (bound,) = estimate(capsys, path, "-m", "gpt-5.4", "--max-tokens", "7")["models"]
    (flex,) = estimate(capsys, path, "-m", "gpt-5.4", "--tier", "flex")["models"]
    (system,) = estimate(capsys, path, "-m", "gpt-5.4", "--system", "Be kind. " * 9)["models"]
    assert long["expected_output_tokens"] == 5000
    assert (bound["high_output_tokens"], bound["expected_output_tokens"]) == (7, 7)
    assert Decimal(flex["expected_usd"]) * 2 == Decimal(plain["expected_usd"])
    assert system["input_tokens"] > plain["input_tokens"] + 18
    assert flex["batch_expected_usd"] == plain["batch_expected_usd"]


def test_requests_that_do_not_fit_are_counted(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.txt").write_text("word " * 9000)
    assert main(["estimate", str(tmp_path / "a.txt"), "-m", "gpt-4"]) == 0
    assert "gpt-4: 1 of 1 requests are too long for it" in capsys.readouterr().err


def test_nothing_to_estimate_is_a_failure(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.bin").write_bytes(b"\0")
    assert main(["estimate", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("error: there is nothing to estimate\n")


@given(st.lists(st.none() | st.decimals(0, 10**6, places=9)))
def test_a_sum_is_exact_or_unknown(amounts: list[Decimal | None]) -> None:
    total = Amount()
    for amount in amounts:
        total.add(amount)
    known = [amount for amount in amounts if amount is not None]
    assert total.usd == (sum(known, Decimal(0)) if len(known) == len(amounts) else None)
    assert total.unknown == len(amounts) - len(known)
