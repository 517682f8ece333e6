"""`tamma-openai prompts`: list, show, render and check, with files of one's own."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from langchain_tamma_openai import PromptRegistry
from langchain_tamma_openai.__main__ import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one prompt."""
    prompt = {
        "id": "support",
        "category": "service",
        "description": "Answers customers.",
        "template": "You help {{customer}} of {{company}}.",
        "variables": {"customer": {"description": "Who asks."}, "company": {"default": "Acme"}},
    }
    (tmp_path / "support.json").write_text(json.dumps(prompt), encoding="utf-8")
    return tmp_path


def test_built_in_prompts_are_listed(capsys: Capture) -> None:
    assert main(["prompts", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == [one.reference for one in PromptRegistry()]


def test_own_prompts_are_listed_beside_them_or_alone(folder: Path, capsys: Capture) -> None:
    assert main(["prompts", "list", "-p", str(folder), "--json"]) == 0
    ids = [prompt["id"] for prompt in json.loads(capsys.readouterr().out)]
    assert {"support", "default"} <= set(ids)
    assert main(["prompts", "list", "-p", str(folder), "--no-builtins", "--json"]) == 0
    (prompt,) = json.loads(capsys.readouterr().out)
    assert (prompt["id"], prompt["version"], prompt["category"]) == ("support", 1, "service")
    assert [one["name"] for one in prompt["variables"]] == ["customer", "company"]


def test_a_category_that_is_empty_names_the_others(folder: Path, capsys: Capture) -> None:
    assert main(["prompts", "list", "-p", str(folder), "-c", "nothing"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "service" in captured.err


def test_a_prompt_is_shown_with_variables_and_text(folder: Path, capsys: Capture) -> None:
    assert main(["prompts", "show", "support", "-p", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "customer (must be given) Who asks." in shown
    assert "company (default 'Acme')" in shown
    assert shown.endswith("\n\nYou help {{customer}} of {{company}}.\n")


def test_rendering_prints_the_text_and_nothing_else(folder: Path, capsys: Capture) -> None:
    words = ["prompts", "render", "support", "-p", str(folder)]
    assert main([*words, "--var", "customer=Ann = {{x}}"]) == 0
    assert capsys.readouterr().out == "You help Ann = {{x}} of Acme.\n"
    assert main([*words, "--vars", '{"customer": "Bob", "company": 7}', "-v", "customer=Eve"]) == 0
    assert capsys.readouterr().out == "You help Eve of 7.\n"


def test_json_of_a_rendered_prompt_says_which_it_was(folder: Path, capsys: Capture) -> None:
    words = ["prompts", "render", "support@1", "-p", str(folder), "-v", "customer=Ann", "--json"]
    assert main(words) == 0
    rendered = json.loads(capsys.readouterr().out)
    prompt = PromptRegistry(folder).get("support")
    assert rendered == {
        "text": "You help Ann of Acme.",
        "id": "support",
        "version": 1,
        "hash": prompt.hash,
    }


def test_values_come_from_files_and_standard_input(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["prompts", "render", "support", "-p", str(folder / "support.json")]
    (folder / "name.txt").write_text("Zoë", encoding="utf-8")
    assert main([*words, "-v", f"customer=@{folder / 'name.txt'}"]) == 0
    assert capsys.readouterr().out == "You help Zoë of Acme.\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"customer": "Piped"}'))
    assert main([*words, "--vars", "-"]) == 0
    assert capsys.readouterr().out == "You help Piped of Acme.\n"


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        ([], 1, "missing variables: customer"),
        (["-v", "customer=A", "-v", "more=B"], 1, "unknown variables: more"),
        (["-v", "customer"], 2, "--var: got 'customer', must be NAME=VALUE"),
        (["-v", "=x"], 2, "--var: got '=x'"),
        (["--vars", "[1]"], 2, "--vars: got '[1]', must be a JSON object"),
        (["--vars", "{"], 2, "--vars: got '{', must be a JSON object"),
        (["-v", "customer=@missing.txt"], 1, "missing.txt: there is no such file"),
    ],
)
def test_wrong_values_are_named(
    options: list[str], status: int, text: str, folder: Path, capsys: Capture
) -> None:
    assert main(["prompts", "render", "support", "-p", str(folder), *options]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert text in captured.err


@pytest.mark.parametrize("command", ["show", "render"])
def test_an_unknown_prompt_names_close_ones(command: str, capsys: Capture) -> None:
    assert main(["prompts", command, "translater"]) == 1
    assert "translator" in capsys.readouterr().err


def test_files_that_are_fine_are_counted(folder: Path, capsys: Capture) -> None:
    (folder / "empty").mkdir()
    assert main(["prompts", "check", str(folder), str(folder / "empty")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{folder}: 1 fine",
        f"{folder / 'empty'}: holds no prompts",
    ]


def test_every_problem_of_every_file_is_named(folder: Path, capsys: Capture) -> None:
    (folder / "broken.json").write_text('{"id": "broken", "template": "{{first name}}"}')
    (folder / "other.json").write_text("{")
    assert main(["prompts", "check", str(folder)]) == 1
    told = capsys.readouterr().out
    assert f"{folder / 'broken.json'}: broken: template: " in told
    assert f"{folder / 'other.json'}: " in told
    assert main(["prompts", "check", str(folder), "--json"]) == 1
    problems = json.loads(capsys.readouterr().out)
    assert {problem["file"] for problem in problems} == {
        str(folder / "broken.json"),
        str(folder / "other.json"),
    }


def test_a_broken_file_stops_the_other_commands(folder: Path, capsys: Capture) -> None:
    (folder / "other.json").write_text("{")
    assert main(["prompts", "list", "-p", str(folder)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: InvalidPromptError: ")
    assert "other.json" in captured.err
