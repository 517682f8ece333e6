"""What the chat model does with a system prompt: find it, render it, put it in front."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    SystemMessageChunk,
)
from prompt_strategies import TEXTS

from langchain_tamma_openai.errors import PromptError
from langchain_tamma_openai.prompts.merge import (
    MERGE_RULES,
    MergeRule,
    RenderedPrompt,
    apply_system_prompt,
    resolve_system_prompt,
)
from langchain_tamma_openai.prompts.model import SystemPrompt, SystemPromptTemplate
from langchain_tamma_openai.prompts.registry import PromptRegistry

OURS = RenderedPrompt("Be kind.", "kind", 2, "abc")
HELLO = HumanMessage(content="Hello")

CONVERSATIONS = st.lists(
    st.one_of(
        TEXTS.map(HumanMessage),
        TEXTS.map(AIMessage),
        TEXTS.map(SystemMessage),
        TEXTS.map(lambda text: SystemMessage(content=[{"type": "text", "text": text}])),
        TEXTS.map(lambda text: ChatMessage(content=text, role="developer")),
        st.just(SystemMessage(content=[])),
    ),
    max_size=4,
)
RULES = st.sampled_from([rule for rule in MERGE_RULES if rule != "error"])


def test_a_conversation_without_system_message_gets_one() -> None:
    assert apply_system_prompt([HELLO], OURS) == [SystemMessage(content="Be kind."), HELLO]
    assert apply_system_prompt([], OURS) == [SystemMessage(content="Be kind.")]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("prepend", [SystemMessage(content="Be kind.\n\nSpeak French.", id="1"), HELLO]),
        ("replace", [SystemMessage(content="Speak French.", id="1"), HELLO]),
        (
            "keep_both",
            [
                SystemMessage(content="Be kind."),
                SystemMessage(content="Speak French.", id="1"),
                HELLO,
            ],
        ),
    ],
)
def test_a_system_message_of_the_caller_is_merged_by_rule(
    rule: MergeRule, expected: list[BaseMessage]
) -> None:
    theirs = [SystemMessage(content="Speak French.", id="1"), HELLO]

    assert apply_system_prompt(theirs, OURS, rule=rule) == expected


def test_the_rule_error_refuses_a_second_system_message() -> None:
    with pytest.raises(PromptError, match="kind: the messages begin with a system message"):
        apply_system_prompt([SystemMessage(content="Speak French.")], OURS, rule="error")

    assert len(apply_system_prompt([HELLO], OURS, rule="error")) == 2


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(PromptError, match="prepend, replace, keep_both, error"):
        apply_system_prompt([HELLO], OURS, rule="append")  # type: ignore[arg-type]


def test_content_blocks_stay_after_the_prompt() -> None:
    block = {"type": "text", "text": "Speak French.", "cache_control": {"type": "ephemeral"}}
    theirs = SystemMessage(content=[block, "And slowly."])

    (merged,) = apply_system_prompt([theirs], OURS)

    assert merged.content == [{"type": "text", "text": "Be kind.\n\n"}, block, "And slowly."]
    assert theirs.content == [block, "And slowly."]


@pytest.mark.parametrize("content", ["", " \n", []])
def test_an_empty_system_message_is_filled(content: str | list[str | dict[str, object]]) -> None:
    merged = apply_system_prompt([SystemMessage(content=content)], OURS)

    assert merged == [SystemMessage(content="Be kind.")]


@pytest.mark.parametrize(
    "theirs",
    [
        SystemMessage(
            content="x", additional_kwargs={"__openai_role__": "developer"}, name="n", id="1"
        ),
        ChatMessage(content="x", role="developer", id="1"),
        ChatMessage(content="x", role="system", id="1"),
        SystemMessageChunk(content="x", id="1"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_the_kind_and_facts_of_the_callers_message_stay(theirs: BaseMessage) -> None:
    (merged,) = apply_system_prompt([theirs], OURS)

    assert merged == theirs.model_copy(update={"content": "Be kind.\n\nx"})
    assert type(merged) is type(theirs)


def test_a_system_message_further_down_is_a_part_of_the_conversation() -> None:
    later = SystemMessage(content="From now on in French.")

    for rule in MERGE_RULES:
        applied = apply_system_prompt([HELLO, later], OURS, rule=rule)
        assert applied == [SystemMessage(content="Be kind."), HELLO, later]


def test_a_prompt_that_rendered_to_nothing_is_not_sent() -> None:
    assert apply_system_prompt([HELLO], RenderedPrompt("")) == [HELLO]


@given(CONVERSATIONS, TEXTS.filter(bool), RULES)
def test_applying_changes_no_message_of_the_caller_and_twice_is_once(
    messages: list[BaseMessage], text: str, rule: MergeRule
) -> None:
    before = copy.deepcopy(messages)
    rendered = RenderedPrompt(text)

    once = apply_system_prompt(messages, rendered, rule=rule)
    twice = apply_system_prompt(once, rendered, rule=rule)

    assert messages == before
    assert twice == once
    if rule != "replace":
        assert once[0].text.startswith(text)
        assert once[-1] == messages[-1] if len(messages) > 1 else once


def test_the_beginning_is_the_same_whatever_the_caller_sends() -> None:
    callers: list[list[BaseMessage]] = [
        [HELLO],
        [SystemMessage(content="A"), HELLO],
        [SystemMessage(content="B"), HELLO],
        [SystemMessage(content=[{"type": "text", "text": "C"}])],
    ]

    for messages in callers:
        assert apply_system_prompt(messages, OURS)[0].text.startswith(OURS.text)


@pytest.fixture
def registry() -> PromptRegistry:
    registry = PromptRegistry(builtins=False)
    registry.add("support", template="You help {{customer}}.")
    registry.add("support", template="You always help {{customer}}.")
    registry.add("plain", content="Plain.")
    return registry


def test_a_word_is_looked_up(registry: PromptRegistry) -> None:
    latest = resolve_system_prompt("support", {"customer": "Ann"}, registry)
    first = resolve_system_prompt("support@1", {"customer": "Ann"}, registry)

    assert latest is not None
    assert first is not None
    assert latest.text == "You always help Ann."
    assert latest.trace_metadata()["prompt_version"] == 2
    assert first.text == "You help Ann."
    assert resolve_system_prompt("plain@latest", None, registry) == registry.resolve("plain")


def test_words_are_looked_up_among_the_built_in_prompts_without_a_registry() -> None:
    rendered = resolve_system_prompt("code-assistant")

    assert rendered is not None
    assert (rendered.id, rendered.version) == ("code-assistant", 1)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("suport", "did you mean support?"),
        ("support@3", "support has: 1, 2"),
        ("support@v1", "a whole number"),
        ("Hello", "pass SystemPrompt('prompt', 'Hello')"),
    ],
)
def test_a_word_that_is_no_id_says_how_to_use_it_as_text(
    registry: PromptRegistry, word: str, hint: str
) -> None:
    with pytest.raises(PromptError) as caught:
        resolve_system_prompt(word, None, registry)

    assert hint in str(caught.value)
    assert "a single word is the id of a prompt" in str(caught.value)


def test_wrong_variables_of_a_known_prompt_are_said_plainly(registry: PromptRegistry) -> None:
    with pytest.raises(PromptError) as caught:
        resolve_system_prompt("support", None, registry)

    assert "missing variables: customer" in str(caught.value)
    assert "single word" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["Be kind.", "Be {{kind}}", "Hello!", "用中文回答。", "a\nb", "{{"]
)
def test_other_text_is_the_prompt_itself(registry: PromptRegistry, text: str) -> None:
    assert resolve_system_prompt(text, None, registry) == RenderedPrompt(
        text, hash=SystemPrompt("any", text).hash
    )


def test_text_with_variables_is_a_template(registry: PromptRegistry) -> None:
    rendered = resolve_system_prompt("You help {{customer}}.", {"customer": "{{x}}"}, registry)

    assert rendered is not None
    assert rendered.text == "You help {{x}}."
    assert rendered.hash == registry.get("support@1").hash
    assert set(rendered.trace_metadata()) == {"prompt_hash"}
    with pytest.raises(PromptError, match="unknown variables: x"):
        resolve_system_prompt("You help {{customer}}.", {"customer": "a", "x": 1}, registry)


def test_prompts_are_rendered_as_they_are() -> None:
    template = SystemPromptTemplate("t", "{{a}}", version=4)

    assert resolve_system_prompt(template, {"a": 1}) == template.resolve({"a": 1})
    assert resolve_system_prompt(SystemPrompt("t", "x")) == SystemPrompt("t", "x").resolve()
    assert resolve_system_prompt(OURS) is OURS
    assert resolve_system_prompt(None) is None
    assert resolve_system_prompt(None, {}) is None


@pytest.mark.parametrize(
    ("prompt", "variables", "words"),
    [
        (None, {"a": 1}, "got a, but there is no system_prompt"),
        (OURS, {"a": 1}, "rendered already"),
        ("", None, "is empty"),
        (" \n", {"a": 1}, "is empty"),
        (5, None, "got a number"),
        (["a"], None, "got a list"),
        ("plain", {"a": 1}, "unknown variables: a"),
        ("plain", ["a"], "must be a mapping"),
        (None, ["a"], "must be a mapping"),
    ],
)
def test_what_makes_no_sense_is_refused(
    registry: PromptRegistry, prompt: str, variables: dict[str, object] | None, words: str
) -> None:
    with pytest.raises(PromptError) as caught:
        resolve_system_prompt(prompt, variables, registry)

    assert words in str(caught.value)
