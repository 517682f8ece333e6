"""Prompts out of files: what is read, what is refused and how it is named, reading again."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prompt_strategies import TEXTS

from langchain_tamma_openai.errors import ConfigurationError, PromptError
from langchain_tamma_openai.prompts import reading
from langchain_tamma_openai.prompts.parsing import MAX_YAML_BYTES
from langchain_tamma_openai.prompts.problems import InvalidPromptError, PromptProblem
from langchain_tamma_openai.prompts.registry import PromptRegistry

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {k: v}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 10)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def write(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        path = directory / name.replace("__", ".").replace("_in_", "/")
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text, encoding="utf-8")
    return directory


def loaded(path: Path) -> PromptRegistry:
    return PromptRegistry(path, builtins=False)


def problems_of(path: Path) -> list[PromptProblem]:
    with pytest.raises(InvalidPromptError) as caught:
        loaded(path)
    return list(caught.value.problems)


def test_a_directory_is_read_with_all_below_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        support__yaml="id: support\ntemplate: |\n  You help {{customer}}.\n  Be kind.\n",
        more__json='[{"id": "a", "content": "x"}, {"id": "b", "content": "y", "version": 7}]',
        below_in_c__YML="prompts:\n- id: c\n  content: z\n",
        map__yml="d: {content: d}\ne: {template: '{{x}}', variables: [x]}\n",
        README__md="# not a prompt",
        __hidden__yaml="nonsense: [",
        __git_in_x__yaml="nonsense: [",
    )

    registry = loaded(tmp_path)

    assert [one.reference for one in registry] == ["a@1", "b@7", "c@1", "d@1", "e@1", "support@1"]
    assert registry.render("support", customer="Ann") == "You help Ann.\nBe kind.\n"


def test_one_file_is_read_whatever_its_directory_holds(tmp_path: Path) -> None:
    write(tmp_path, a__json='{"id": "a", "content": "x"}', b__json="{")

    assert [one.id for one in loaded(tmp_path / "a.json")] == ["a"]
    assert [one.id for one in loaded(Path(os.path.relpath(tmp_path / "a.json")))] == ["a"]


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"id": "a", "content": "x"}')
    (tmp_path / "b.yaml").write_bytes(b"\xef\xbb\xbfid: b\r\ncontent: |\r\n  one\r\n  two\r\n")

    assert loaded(tmp_path).get("b").text == "one\ntwo\n"


def test_anchors_that_stay_small_are_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__yaml="prompts:\n- &p {id: a, content: x, category: y}\n- {<<: *p, id: b}\n",
    )

    assert loaded(tmp_path).get("b").category == "y"


def test_every_problem_names_file_prompt_and_field(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__yaml="id: a\ntemplate: '{{x'\nversoin: 3\n",
        b__yaml="prompts:\n- id: b\n  template: '{{x'\n- content: 5\n- just text\n",
        c__json='{"id": "c", "content": "x", "version": 0, "category": 7}',
    )

    found = {(Path(one.file or "").name, one.prompt, one.field) for one in problems_of(tmp_path)}

    assert found == {
        ("a.yaml", "a", "versoin"),
        ("b.yaml", "b", "template"),
        ("b.yaml", "prompts[1]", "id"),
        ("b.yaml", "prompts[2]", None),
        ("c.json", "c", "version"),
        ("c.json", "c", "category"),
    }


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.yaml", "", "is empty"),
        ("a.yaml", "# nothing", "is empty"),
        ("a.json", "", "not valid JSON (line 1, column 1"),
        ("a.json", "null", "is empty"),
        ("a.json", "5", "must be a mapping"),
        ("a.json", '"text"', "must be a mapping"),
        ("a.json", "{}", "id: is missing"),
        ("a.json", '{"prompts": 5}', "must be a mapping"),
        ("a.json", '{"id": "a", "id": "b", "content": "x"}', "names the field 'id' twice"),
        ("a.yaml", "id: a\nid: b\ncontent: x", "names the field 'id' twice (line 1)"),
        ("a.json", '{"id": "a", "content": NaN}', "NaN"),
        ("a.json", '{"id": ' + "9" * 5000 + "}", "not valid JSON"),
        ("a.yaml", "version: " + "9" * 5000, "cannot be read"),
        ("a.yaml", "id: 2024-13-45", "cannot be read"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.yaml", "[" * 5_000, "nested too deeply"),
        ("a.yaml", "id: a\n content: x", "not valid YAML (line 2, column"),
        ("a.yaml", "id: a\ncontent: \x07", "not valid YAML"),
        ("a.yaml", "id: a\n---\nid: b", "not valid YAML"),
        ("a.yaml", "content: *nowhere", "not valid YAML"),
        ("a.yaml", "!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("a.yaml", "id: a\ncontent: !!python/name:os.system", "not valid YAML"),
        ("a.yaml", "&a [*a]", "refers to itself"),
        ("a.yaml", BOMB, "values, aliases written out"),
        ("a.yaml", MERGE_BOMB, "values, aliases written out"),
        ("a.yaml", "id: on\ncontent: x", "id: got True"),
        ("a.yaml", "id: a\nname: no\ncontent: x", "put it in quotes"),
        ("a.yaml", "id: a\ncontent: !!binary aGk=", "must be text"),
        ("a.yaml", "a: {id: b, content: x}", "a: there is no such field"),
        ("a.yaml", "id: ../../etc/passwd\ncontent: x", "id: got '../../etc/passwd'"),
        ("a.yaml", "id: a\ncontent: " + "x" * MAX_YAML_BYTES, "is larger than 1,024 KiB"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_file_that_cannot_be_meant_is_refused(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")

    texts = [str(problem) for problem in problems_of(tmp_path)]

    assert any(words in one for one in texts), texts
    assert all(one.startswith(str(tmp_path / name)) and len(one) < 500 for one in texts)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")

    assert "is not UTF-8" in str(problems_of(tmp_path)[0])


def test_an_id_may_stand_in_several_files_only_with_versions(tmp_path: Path) -> None:
    write(tmp_path, a__json='{"id": "p", "content": "x", "version": 1}')
    write(tmp_path, b__json='{"id": "p", "content": "y", "version": 2}')
    assert loaded(tmp_path).get("p").text == "y"

    for third in ('"version": 2', '"description": "no version"'):
        write(tmp_path, c__json=f'{{"id": "p", "content": "z", {third}}}')
        text = str(problems_of(tmp_path)[0])
        assert "p: id: stands 3 times in " in text
        assert "a.json" in text
        assert "c.json" in text


def test_a_version_that_is_taken_names_the_file(tmp_path: Path) -> None:
    write(tmp_path, a__json='{"id": "default", "content": "mine", "version": 1}')

    with pytest.raises(InvalidPromptError) as caught:
        PromptRegistry(tmp_path)

    assert "a.json: default: version: default@1 is taken" in str(caught.value)


def test_a_prompt_of_a_file_becomes_the_next_version_of_a_built_in_one(tmp_path: Path) -> None:
    write(tmp_path, a__json='{"id": "default", "content": "mine"}')

    assert PromptRegistry(tmp_path).get("default").reference == "default@2"


@pytest.mark.parametrize("name", ["missing", "missing.yaml", "a\0b", "x" * 5000])
def test_a_path_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PromptError, match=r"no such file|cannot be read"):
        loaded(tmp_path / name)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a__txt="hello")

    assert "must be a directory or end in .json, .yaml, .yml" in str(
        problems_of(tmp_path / "a.txt")[0]
    )


def test_links_are_followed_only_inside_the_directory(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", secret__json='{"id": "secret", "content": "x"}')
    inside = write(tmp_path / "inside", __data_in_a__json='{"id": "a", "content": "x"}')
    (inside / "a.json").symlink_to(".data/a.json")
    assert [one.id for one in loaded(inside)] == ["a"]

    (inside / "b.json").symlink_to(outside / "secret.json")
    (inside / "loop.json").symlink_to("loop.json")
    (inside / "up").symlink_to(tmp_path)
    (inside / "gone.json").symlink_to("nothing.json")

    found = {Path(one.file or "").name: one.message for one in problems_of(inside)}
    assert "leads out" in found["b.json"]
    assert "link to a directory" in found["up"]
    assert set(found) == {"b.json", "loop.json", "up", "gone.json"}


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")

    assert "is not a regular file" in str(problems_of(tmp_path)[0])
    assert "is not a regular file" in str(problems_of(tmp_path / "pipe.yaml")[0])


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_FILES", 3)
    write(tmp_path, **{f"f{n}__json": f'{{"id": "p{n}", "content": "x"}}' for n in range(4)})

    assert "more than 3 prompt files" in str(problems_of(tmp_path)[0])


def test_too_large_a_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_ENTRIES", 3)
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text("x")

    assert "more than 3 files" in str(problems_of(tmp_path)[0])


def test_deep_directories_are_read(tmp_path: Path) -> None:
    below = tmp_path
    for _ in range(200):
        below = below / "d"
    write(below, a__json='{"id": "a", "content": "x"}')

    assert loaded(tmp_path).render("a") == "x"


def test_yaml_without_its_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, a__yaml="id: a\ncontent: x")
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(ConfigurationError, match=r"langchain-tamma-openai\[yaml\]"):
        loaded(tmp_path)
    assert "[yaml]" in str(PromptRegistry().check(tmp_path)[0])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(TEXTS, st.text()), st.sampled_from(["a.yaml", "a.json"]))
def test_any_text_is_prompts_or_a_clear_error(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")

    problems = PromptRegistry(builtins=False).check(tmp_path / name)

    assert all(problem.file for problem in problems)
    if not problems:
        loaded(tmp_path / name)


def test_reloading_shows_the_files_as_they_are_now(tmp_path: Path) -> None:
    write(tmp_path, a__json='{"id": "a", "content": "old"}', b__json='{"id": "b", "content": "b"}')
    registry = PromptRegistry(tmp_path)
    registry.add("own", content="mine")
    registry.delete("default")

    write(tmp_path, a__json='{"id": "a", "content": "new"}', c__json='{"id": "c", "content": "c"}')
    (tmp_path / "b.json").unlink()
    assert registry.render("a") == "old"
    registry.reload()

    assert registry.get("a").reference == "a@1"
    assert registry.render("a") == "new"
    assert registry.render("c") == "c"
    assert registry.render("own") == "mine"
    assert "b" not in registry
    assert "default" not in registry


def test_a_reload_that_fails_leaves_the_registry_as_it_was(tmp_path: Path) -> None:
    write(tmp_path, a__json='{"id": "a", "content": "old"}', b__json='{"id": "b", "content": "b"}')
    registry = PromptRegistry(tmp_path)
    before = registry.to_dict()

    write(tmp_path, a__json='{"id": "a", "content": "new"}', b__json='{"id": "b"')
    problems = registry.check()
    with pytest.raises(InvalidPromptError) as caught:
        registry.reload()

    assert registry.to_dict() == before
    assert problems == list(caught.value.problems)
    write(tmp_path, b__json='{"id": "b", "content": "b2"}')
    assert registry.check() == []
    assert registry.render("a") == "old"
    registry.reload()
    assert registry.render("b") == "b2"


def test_reloading_takes_the_same_steps_again(tmp_path: Path) -> None:
    one = write(tmp_path / "one", a__json='{"id": "p", "content": "first"}')
    two = write(tmp_path / "two", a__json='{"id": "p", "content": "third"}')
    registry = loaded(one)
    registry.add("p", content="second")
    registry.load(two)
    before = registry.to_dict()

    registry.reload()
    assert registry.to_dict() == before
    assert [prompt.text for prompt in registry.versions("p")] == ["first", "second", "third"]


def test_loading_a_path_again_replaces_what_it_gave(tmp_path: Path) -> None:
    write(tmp_path, a__json='{"id": "a", "content": "old"}')
    registry = loaded(tmp_path)
    write(tmp_path, a__json='{"id": "a", "content": "new"}')

    assert [prompt.text for prompt in registry.load(tmp_path)] == ["new"]
    assert len(registry.versions("a")) == 1


def test_a_reload_finds_its_files_from_another_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, a__json='{"id": "a", "content": "x"}')
    monkeypatch.chdir(tmp_path)
    registry = PromptRegistry("a.json")
    monkeypatch.chdir("/")

    registry.reload()

    assert registry.render("a") == "x"


def test_checking_a_path_changes_nothing(tmp_path: Path) -> None:
    registry = PromptRegistry()
    write(
        tmp_path, a__json='{"id": "a"}', b__json='{"id": "default", "content": "x", "version": 1}'
    )

    found = registry.check(tmp_path)
    (tmp_path / "a.json").unlink()
    taken = registry.check(tmp_path)

    assert [(Path(one.file or "").name, one.field) for one in found] == [("a.json", "content")]
    assert [(Path(one.file or "").name, one.field) for one in taken] == [("b.json", "version")]
    assert registry == PromptRegistry()


def test_checking_finds_keys_in_prompts() -> None:
    registry = PromptRegistry()
    assert registry.check() == []

    registry.add("p", content="Use the key sk-proj-abcdefgh12345678.")

    assert [(one.prompt, one.message) for one in registry.check()] == [
        ("p@1", "seems to hold a key or password")
    ]


def test_readers_see_only_whole_reloads(tmp_path: Path) -> None:
    def fill(mark: int) -> None:
        prompts = [{"id": f"p{number}", "content": f"{mark}"} for number in range(20)]
        (tmp_path / "a.json").write_text(json.dumps(prompts))

    fill(0)
    registry = loaded(tmp_path)
    done = threading.Event()
    mixed: list[set[str]] = []

    def read() -> None:
        while not done.is_set():
            texts = {prompt.text for prompt in registry.list()}
            if len(texts) > 1:
                mixed.append(texts)

    reader = threading.Thread(target=read)
    reader.start()
    for mark in range(1, 30):
        fill(mark)
        registry.reload()
    done.set()
    reader.join()

    assert mixed == []
    assert registry.render("p7") == "29"
