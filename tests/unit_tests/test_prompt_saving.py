"""Prompts into files: they load to the same prompts, and nothing is half-written."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prompt_strategies import prompts

from langchain_tamma_openai.errors import ConfigurationError, PromptError, StorageError
from langchain_tamma_openai.prompts.model import Prompt
from langchain_tamma_openai.prompts.registry import PromptRegistry
from langchain_tamma_openai.prompts.writing import FileFormat

ALL = ("prompts.json", "prompts.yaml", "new/prompts.yml", "directory", "new/directory")


def registry_of(found: list[Prompt]) -> PromptRegistry:
    registry = PromptRegistry(builtins=False)
    for prompt in found:
        if prompt.reference not in registry:
            registry.add(prompt)
    return registry


def tree(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(prompts(), max_size=4), st.sampled_from(ALL), st.sampled_from(["json", "yaml"]))
def test_saved_prompts_load_to_an_equal_registry(
    tmp_path: Path, found: list[Prompt], name: str, file_format: FileFormat
) -> None:
    registry = registry_of(found)
    path = tmp_path / name

    registry.save(path, file_format)

    if registry.list() or path.suffix:
        assert PromptRegistry(path, builtins=False) == registry


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(prompts(st.sampled_from(["a", "A", "b"])), max_size=5),
    st.lists(prompts(st.sampled_from(["a", "A", "b"])), max_size=5),
    st.sampled_from(["json", "yaml"]),
    st.sampled_from(["json", "yaml"]),
)
def test_saving_over_other_prompts_leaves_only_these(
    tmp_path: Path,
    first: list[Prompt],
    second: list[Prompt],
    first_format: FileFormat,
    second_format: FileFormat,
) -> None:
    registry = registry_of(second)
    registry_of(first).save(tmp_path, first_format)

    registry.save(tmp_path, second_format)

    assert PromptRegistry(tmp_path, builtins=False) == registry
    assert registry.save(tmp_path, second_format) == []


def test_the_built_in_prompts_are_saved_too(tmp_path: Path) -> None:
    registry = PromptRegistry()
    registry.add("support", template="You help {{customer}}.")

    registry.save(tmp_path, "yaml")

    assert PromptRegistry(tmp_path) == registry == PromptRegistry(tmp_path, builtins=False)
    assert (tmp_path / "support@1.yaml").read_text() == (
        "id: support\nversion: 1\nvariables:\n  customer: {}\ntemplate: You help {{customer}}.\n"
    )


def test_saving_back_keeps_files_and_what_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("# my comment\nid: mine\ncontent: hello\n")
    (tmp_path / "both.json").write_text(
        '[{"id": "a", "content": "a", "version": 1}, {"id": "b", "content": "b", "version": 1}]'
    )
    (tmp_path / "gone.json").write_text('{"id": "gone", "content": "x"}')
    (tmp_path / "README.md").write_text("keep me")
    registry = PromptRegistry(tmp_path, builtins=False)
    registry.delete("b")
    registry.delete("gone")
    registry.add("c", content="c")

    changed = registry.save(tmp_path)

    assert {path.name for path in changed} == {"both.json", "gone.json", "c@1.json"}
    assert PromptRegistry(tmp_path, builtins=False) == registry
    assert (tmp_path / "mine.yaml").read_text().startswith("# my comment")
    assert (tmp_path / "README.md").read_text() == "keep me"
    assert not (tmp_path / "gone.json").exists()
    assert "prompts" in (tmp_path / "both.json").read_text()


def test_a_file_without_version_gets_one_when_there_are_more(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("id: mine\ncontent: hello\n")
    registry = PromptRegistry(tmp_path, builtins=False)
    registry.add("mine", content="hello again")

    registry.save(tmp_path)

    assert PromptRegistry(tmp_path, builtins=False) == registry
    assert "version: 1" in (tmp_path / "mine.yaml").read_text()
    assert (tmp_path / "mine@2.json").exists()


def test_ids_that_differ_in_case_only_get_files_that_do_not(tmp_path: Path) -> None:
    registry = PromptRegistry(builtins=False)
    registry.add("a", content="small")
    registry.add("A", content="large")

    written = registry.save(tmp_path)

    assert len({path.name.casefold() for path in written}) == 2


def test_nothing_is_written_beside_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("id: [")
    before = tree(tmp_path)

    with pytest.raises(PromptError, match=r"broken\.yaml"):
        PromptRegistry().save(tmp_path)

    assert tree(tmp_path) == before


def test_a_save_that_fails_half_way_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = PromptRegistry(builtins=False)
    for name in "abc":
        registry.add(name, content=name)
    registry.save(tmp_path)
    registry.delete("a")
    for name in "bcd":
        registry.delete(name) if name in registry else None
        registry.add(name, content=name * 2)
    before = tree(tmp_path)
    real, moves = Path.replace, iter(range(10))

    def fail_later(self: Path, target: Path) -> Path:
        if next(moves) == 2:
            raise OSError(28, "No space left on device", str(target))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", fail_later)
    with pytest.raises(StorageError, match="No space left on device"):
        registry.save(tmp_path)

    assert tree(tmp_path) == before


def test_an_interrupt_in_the_middle_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = PromptRegistry(builtins=False)
    registry.add("a", content="a")
    registry.add("b", content="b")
    real, moves = Path.replace, iter(range(10))

    def interrupt(self: Path, target: Path) -> Path:
        if next(moves) == 1:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        registry.save(tmp_path)

    assert tree(tmp_path) == {}


def test_links_inside_a_directory_stay_links(tmp_path: Path) -> None:
    text = '[{"id": "a", "content": "a", "version": 1}, {"id": "b", "content": "b", "version": 1}]'
    (tmp_path / ".real").write_text(text)
    (tmp_path / "link.json").symlink_to(".real")
    registry = PromptRegistry(tmp_path, builtins=False)
    registry.delete("b")

    registry.save(tmp_path)

    assert (tmp_path / "link.json").is_symlink()
    assert PromptRegistry(tmp_path, builtins=False) == registry


def test_a_save_beside_threads_that_add_is_a_whole_state(tmp_path: Path) -> None:
    registry = PromptRegistry(builtins=False)
    done = threading.Event()

    def add() -> None:
        for number in range(2000):
            if done.is_set():
                return
            registry.load([{"id": f"{side}{number}", "content": "x"} for side in "lr"])

    thread = threading.Thread(target=add)
    thread.start()
    for number in range(10):
        registry.save(tmp_path / f"{number}.json")
        saved = {
            prompt.id for prompt in PromptRegistry(tmp_path / f"{number}.json", builtins=False)
        }
        assert {name[1:] for name in saved if name[0] == "l"} == {
            name[1:] for name in saved if name[0] == "r"
        }
    done.set()
    thread.join()


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(StorageError):
        PromptRegistry().save(tmp_path / "file" / "below")
    with pytest.raises(StorageError):
        PromptRegistry().save(tmp_path / "file" / "below.json")
    for name in ("a\0b", "a\0b.json", "x" * 5000, "x" * 5000 + ".json"):
        with pytest.raises(StorageError, match="were not saved"):
            PromptRegistry().save(tmp_path / name)
    (tmp_path / "loop.json").symlink_to("loop.json")
    PromptRegistry().save(tmp_path / "loop.json")
    assert PromptRegistry(tmp_path / "loop.json") == PromptRegistry()
    with pytest.raises(PromptError, match="must be a directory"):
        PromptRegistry().save(tmp_path / "file")


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "link.json").symlink_to("real.json")

    PromptRegistry().save(tmp_path / "link.json")

    assert (tmp_path / "link.json").is_symlink()
    assert PromptRegistry(tmp_path / "real.json") == PromptRegistry()


def test_files_have_the_rights_that_the_process_gives(tmp_path: Path) -> None:
    PromptRegistry().save(tmp_path / "prompts.json")
    (tmp_path / "plain").write_text("x")

    modes = [os.stat(tmp_path / name).st_mode for name in ("prompts.json", "plain")]  # noqa: PTH116
    assert modes[0] == modes[1]


def test_what_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    registry = PromptRegistry(builtins=False)
    registry.add("long", content="\x00" * 1_000_000)

    with pytest.raises(StorageError, match="save as JSON"):
        registry.save(tmp_path / "prompts.yaml")
    assert tree(tmp_path) == {}

    registry.save(tmp_path)
    assert PromptRegistry(tmp_path, builtins=False) == registry
    for text in ("\x01", "\x02"):
        registry.add("long", content=text * 1_000_000)
    with pytest.raises(StorageError, match="save to a directory"):
        registry.save(tmp_path / "prompts.json")


def test_yaml_without_its_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(ConfigurationError, match=r"langchain-tamma-openai\[yaml\]"):
        PromptRegistry().save(tmp_path, "yaml")
    PromptRegistry().save(tmp_path)

    assert PromptRegistry(tmp_path) == PromptRegistry()


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="file_format"):
        PromptRegistry().save(tmp_path, "toml")  # type: ignore[arg-type]
