"""The registry: versions, lookups, changes as a whole, many threads."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_strategies import prompts
from pydantic import BaseModel, ValidationError

from langchain_tamma_openai.errors import PromptError
from langchain_tamma_openai.prompts.builtin import builtin_shelf
from langchain_tamma_openai.prompts.model import Prompt, SystemPrompt, SystemPromptTemplate
from langchain_tamma_openai.prompts.problems import InvalidPromptError
from langchain_tamma_openai.prompts.registry import PromptRegistry

BUILTIN_HASHES = {
    "code-assistant@1": "78f3153523b900b310003be3423a1853ba863414f0870b2e4d0d20b1ca466add",
    "data-analyst@1": "333a0d710c5d99dbeb57efffe996847ee2bb44a122392ba4c8ac76e5740c9d58",
    "default@1": "7674a56e9074ffbef3fd2280b7b224fc357dd0b4814d84d8c4cd03a6130eef72",
    "extractor@1": "f62f902b9ca639e64939029eada5f73e83628ba550f03089b8674b6dde4c3726",
    "grounded-answer@1": "1bb7d3efab0442d11dac06f51147e034621c3f8b068158b75bda2d345393b758",
    "summarizer@1": "6e249b92996278d9ea19f244b5d05eba820e14b05c9fef1f790c107331c9ffd2",
    "translator@1": "c39ea88a839b7ec3d65bfbae7c51f365ea3f8766f78d831005031edb56a159da",
}


def empty() -> PromptRegistry:
    return PromptRegistry(builtins=False)


def test_a_registry_starts_with_the_prompts_of_the_package() -> None:
    registry = PromptRegistry()

    assert {"default", "code-assistant", "data-analyst"} <= {prompt.id for prompt in registry}
    assert len(empty()) == 0
    assert registry.render("default").startswith("You are a helpful assistant.")
    assert "into French" in registry.render("translator", language="French")


def test_a_version_of_a_built_in_prompt_never_changes() -> None:
    assert {prompt.reference: prompt.hash for prompt in builtin_shelf()} == BUILTIN_HASHES


def test_built_in_prompts_are_described_and_need_no_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    builtin_shelf.cache_clear()

    for prompt in PromptRegistry():
        assert prompt.description
        assert prompt.name != prompt.id
        assert len(prompt.text) < 1_500
        assert all(variable.description for variable in prompt.variables.values())


@pytest.mark.parametrize(
    "add",
    [
        lambda registry: registry.add(SystemPrompt("p", "Hello")),
        lambda registry: registry.add({"id": "p", "content": "Hello"}),
        lambda registry: registry.add(id="p", content="Hello"),
        lambda registry: registry.add("p", content="Hello"),
        lambda registry: registry.add(SystemPrompt("q", "Hello"), id="p"),
        lambda registry: registry.load({"id": "p", "content": "Hello"}),
        lambda registry: registry.load({"p": {"content": "Hello"}}),
        lambda registry: registry.load({"prompts": [{"id": "p", "content": "Hello"}]}),
        lambda registry: registry.load([{"id": "p", "content": "Hello"}]),
    ],
)
def test_there_are_many_ways_in(add: object) -> None:
    registry = empty()

    add(registry)  # type: ignore[operator]

    assert registry.list(all_versions=True) == [SystemPrompt("p", "Hello", version=1, name="p")]


def test_each_addition_is_the_next_version_and_the_latest_is_given() -> None:
    registry = empty()

    for text in ("one", "two", "three"):
        registry.add("p", content=text)

    assert registry.get("p").version == 3
    assert registry.get("p@latest").version == 3
    assert registry.render("p@2") == "two"
    assert registry.get("p", version=1).text == "one"
    assert [prompt.version for prompt in registry.versions("p")] == [1, 2, 3]


def test_adding_what_is_there_changes_nothing() -> None:
    registry = empty()
    first = registry.add("p", content="one")

    assert registry.add("p", content="one") is first
    assert registry.add("p", content="one", version=1) is first
    assert len(registry.versions("p")) == 1


def test_an_older_text_can_come_back_as_a_new_version() -> None:
    registry = empty()
    for text in ("one", "two", "one"):
        registry.add("p", content=text)

    assert [prompt.text for prompt in registry.versions("p")] == ["one", "two", "one"]


def test_a_new_description_is_a_new_version_with_the_same_hash() -> None:
    registry = empty()
    first = registry.add("p", content="one")
    second = registry.add("p", content="one", description="better said")

    assert second.version == 2
    assert second.hash == first.hash


def test_versions_may_come_in_any_order_and_leave_gaps() -> None:
    registry = empty()
    for version in (5, 2, 9):
        registry.add("p", content=str(version), version=version)

    assert [prompt.version for prompt in registry.versions("p")] == [2, 5, 9]
    assert registry.add("p", content="next").version == 10


def test_a_version_that_is_taken_is_refused_with_the_way_out() -> None:
    registry = empty()
    registry.add("p", content="one")

    with pytest.raises(PromptError, match=r"p@1 is taken .* the next one \(2\), or delete p@1"):
        registry.add("p", content="other", version=1)

    assert registry.render("p") == "one"


def test_the_highest_version_has_none_after_it() -> None:
    registry = empty()
    registry.add("p", content="x", version=2**31 - 1)

    with pytest.raises(PromptError, match="version"):
        registry.add("p", content="y")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("suport", "did you mean support?"),
        ("nothing-like-it-zzz", "known ids are code-assistant,"),
        ("support@4", "support has: 1"),
        ("support@0", "a whole number of at least 1, or 'latest'"),
        ("support@-1", "a whole number"),
        ("support@1.0", "a whole number"),
        ("support@", "a whole number"),
        ("support@latests", "a whole number"),
        ("support@99999999999", "a whole number"),
        ("../support", "must be an id such as"),
        ("support ", "must be an id such as"),
        ("", "must be an id such as"),
        (3, "must be an id such as"),
    ],
)
def test_a_reference_that_leads_nowhere_says_why(reference: str, words: str) -> None:
    registry = PromptRegistry()
    registry.add("support", content="x")

    for use in (registry.get, registry.render, registry.resolve, registry.delete):
        with pytest.raises(PromptError) as caught:
            use(reference)
        assert words in str(caught.value)
    assert reference not in registry


def test_an_empty_registry_says_so() -> None:
    with pytest.raises(PromptError, match="the registry is empty"):
        empty().get("p")


def test_lists_are_by_id_and_by_category() -> None:
    registry = empty()
    registry.add("b", content="x", category="one")
    registry.add("a", content="x", category="two")
    registry.add("a", content="y", category="one")

    assert [prompt.reference for prompt in registry.list()] == ["a@2", "b@1"]
    assert [prompt.id for prompt in registry.list("one")] == ["a", "b"]
    assert registry.list(category="two") == []
    assert [one.version for one in registry.list("two", all_versions=True)] == [1]
    assert registry.categories() == ["one"]
    assert "a" in registry
    assert "a@1" in registry
    assert "a@3" not in registry


def test_one_version_or_all_are_deleted() -> None:
    registry = empty()
    for text in ("one", "two", "three"):
        registry.add("p", content=text)

    assert [prompt.version for prompt in registry.delete("p@latest")] == [3]
    assert [prompt.version for prompt in registry.delete("p@1")] == [1]
    assert registry.get("p").version == 2
    assert len(registry.delete("p")) == 1
    assert "p" not in registry


def test_a_variable_may_have_any_name() -> None:
    registry = empty()
    registry.add("p", template="{{id}} {{self}} {{reference}} {{variables}} {{class}}")

    text = registry.render("p", {"class": 5}, id=1, self=2, reference=3, variables=4)

    assert text == "1 2 3 4 5"


def test_many_prompts_come_in_together_or_not_at_all() -> None:
    registry = empty()
    registry.add("taken", content="x")
    before = copy.copy(registry)

    with pytest.raises(InvalidPromptError) as caught:
        registry.load(
            [{"id": "new", "content": "x"}, {"id": "taken", "content": "y", "version": 1}]
        )
    with pytest.raises(InvalidPromptError):
        registry.load([{"id": "new", "content": "x"}, {"id": "wrong"}, 5, {"id": "a", "x": 1}])  # type: ignore[list-item]

    assert caught.value.problems[0].prompt == "taken"
    assert registry == before


@given(st.lists(prompts(), max_size=6))
def test_a_registry_equals_its_copies(found: list[Prompt]) -> None:
    registry = empty()
    for prompt in found:
        if prompt.reference not in registry:
            registry.add(prompt)

    assert PromptRegistry.from_dict(registry.to_dict(), builtins=False) == registry
    assert pickle.loads(pickle.dumps(registry)) == registry  # noqa: S301 - our own
    assert copy.deepcopy(registry) == copy.copy(registry) == registry


def test_a_copy_goes_its_own_way() -> None:
    registry = PromptRegistry()
    twin = copy.copy(registry)

    twin.add("p", content="x")

    assert "p" not in registry
    assert twin != registry
    assert registry != "something else"


def test_registries_show_their_ids() -> None:
    registry = empty()
    assert repr(registry) == "PromptRegistry(empty)"

    for number in range(10):
        registry.add(f"p{number}", content="<b>", description="<script>", category="a & b")

    assert repr(registry).startswith("PromptRegistry(10 prompts: p0, p1")
    assert repr(registry).endswith("and 2 more)")
    assert "<script>" not in registry._repr_html_()
    assert "a &amp; b" in registry._repr_html_()


def test_threads_that_add_never_lose_or_double_a_version() -> None:
    registry = empty()
    start = threading.Barrier(8)

    def add(worker: int) -> None:
        start.wait()
        for number in range(50):
            registry.add("shared", content=f"{worker} {number}")
            registry.add(f"own-{worker}", content=str(number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))

    assert [prompt.version for prompt in registry.versions("shared")] == [*range(1, 401)]
    assert len({prompt.text for prompt in registry.versions("shared")}) == 400
    assert all(len(registry.versions(f"own-{worker}")) == 50 for worker in range(8))


def test_readers_see_a_load_as_a_whole() -> None:
    registry = empty()
    done = threading.Event()
    seen: set[int] = set()

    def read() -> None:
        while not done.is_set():
            seen.add(len(registry.list()))

    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(read)
        for round_number in range(20):
            ids = [f"p{round_number}-{number}" for number in range(50)]
            registry.load([{"id": one, "content": "x"} for one in ids])
        done.set()
        reading.result()

    assert all(count % 50 == 0 for count in seen)


def test_readers_do_not_wait_for_a_writer() -> None:
    registry = PromptRegistry()

    with registry._lock:
        assert registry.render("default")
        assert registry.list()
        assert copy.copy(registry) == registry


def test_a_pydantic_field_keeps_a_registry_as_it_is() -> None:
    class Settings(BaseModel):
        prompts: PromptRegistry | None = None

    registry = PromptRegistry()

    assert Settings(prompts=registry).prompts is registry
    assert Settings(prompts=registry).model_copy(deep=True).prompts == registry
    with pytest.raises(ValidationError):
        Settings(prompts="code-assistant")


def test_templates_with_defaults_render_with_any_subset() -> None:
    registry = empty()
    registry.add(
        SystemPromptTemplate(
            "p", "{{a}}-{{b}}", variables={"a": {"default": 1}, "b": {"default": 2}}
        )
    )

    assert registry.render("p") == "1-2"
    assert registry.render("p", b="x") == "1-x"
    assert registry.resolve("p", {"a": "y"}).text == "y-2"
