"""`AdaptiveParameters` read what is asked by words and structure, and never overrule the caller."""

# ruff: noqa: RUF001 - letters of other scripts are the point

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_tamma_openai.adaptive import AdaptiveParameters
from langchain_tamma_openai.adaptive_kinds import read_text
from langchain_tamma_openai.adaptive_text import last_user_text
from langchain_tamma_openai.errors import ConfigurationError
from langchain_tamma_openai.models import ModelCatalog
from langchain_tamma_openai.parameters import Api, ModelParameters, ParameterValidator

ADAPTIVE = AdaptiveParameters()

KINDS: dict[str, list[str]] = {
    "general": [
        "",
        "hello",
        "Rewrite this sentence to be more polite: give me the report.",
        "Please update my address.",
        "What is the character limit of a tweet?",
        "What is the dress code at a wedding?",
        "What's the capital of France?",
        "Summarise this email for me",
        "Is the novel coronavirus dangerous?",
        "Recreate the feeling of summer in our shop window",
        "I was underwritten by the bank; what does it mean?",
        "My classmate is ill. What should I bring her?",
        "let me know when you are back\npublic transport is late\nimport taxes are high",
        "The historian read the poetess's obituary",
        "Is the Codex Leicester in Paris?",
        "Wie spät ist es?",
        "¿Dónde está la biblioteca?",
        "今日はいい天気ですね",
    ],
    "code": [
        "Fix the bug in my Python function",
        "Why does my code crash with a TypeError?",
        "```\nx = 1\n```",
        "What does this do?\n\ndef f(x):\n    return x + 1\n",
        "SELECT name FROM users WHERE id = 3; -- why is it slow?",
        "Traceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 'x'",
        "Refactor app.py and utils.ts",
        "Schreibe eine Funktion in Python, die sortiert",
        "Explica cómo depurar esta función",
        "この関数のバグを直して",
        "帮我写一个函数来调试代码",
        "Напиши функцию, которая сортирует список",
    ],
    "creative": [
        "Write a poem about rain",
        "Write a short story",
        "Tell me a story about a dragon",
        "I need a slogan for my bakery",
        "Compose a haiku",
        "Schreibe ein Gedicht über den Herbst",
        "Écris un poème sur la mer",
        "Escribe un cuento para niños",
        "写一首关于春天的诗",
        "短い物語を書いて",
        "Напиши стихотворение о зиме",
    ],
    "analytical": [
        "Compare the revenue trends of both quarters",
        "Analyze this dataset",
        "Calculate the standard deviation of 3, 5 and 9",
        "Prove that the square root of 2 is irrational",
        "| region | sales |\n|---|---|\n| north | 12 |\n| south | 9 |",
        "Berechne die Wahrscheinlichkeit",
        "Analysez ces données",
        "请分析这些销售数据",
        "この統計を比較して",
    ],
}


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in KINDS.items() for text in texts]
)
def test_the_kind_is_told_by_whole_words_and_structure(kind: str, text: str) -> None:
    assert read_text(text).kind == kind


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("hello", "low"),
        ("What's the capital of France?", "low"),
        ("Why is the sky blue?", "medium"),
        ("word " * 600, "medium"),
        pytest.param(
            "Design a queue that must not lose messages, without exactly-once delivery:\n"
            "1. Compare three options\n2. Evaluate edge cases\n3. Why does each scale?\n",
            "high",
        ),
        ("请详细设计这个系统的架构，并证明它为什么是对的", "high"),
    ],
)
def test_complexity_follows_length_questions_and_words(text: str, level: str) -> None:
    assert read_text(text).complexity == level


def test_the_middle_of_a_long_text_does_not_matter_and_its_ends_do() -> None:
    filler = "The weather was fine that day. " * 5_000
    assert read_text(f"Write a poem about this: {filler}").kind == "creative"
    assert read_text(f"{filler} Write a poem about this.").kind == "creative"
    assert read_text(filler).kind == "general"


def test_letters_written_in_two_ways_are_the_same() -> None:
    assert read_text("Écris un poe\u0300me").kind == read_text("Écris un poème").kind == "creative"


POEM = "Write a poem"


@pytest.mark.parametrize(
    "messages",
    [
        POEM,
        [HumanMessage(POEM)],
        [HumanMessage([POEM])],
        [HumanMessage([{"type": "text", "text": POEM}])],
        [HumanMessage([{"type": "input_text", "text": POEM}])],
        [HumanMessage([{"type": "text-plain", "text": POEM, "mime_type": "text/plain"}])],
        [
            HumanMessage(
                [
                    {"type": "image_url", "image_url": {"url": "https://example.com/bug.py"}},
                    {"type": "text", "text": POEM},
                ]
            )
        ],
        [HumanMessage([{"type": "non_standard", "value": {"type": "input_text", "text": POEM}}])],
        [("user", POEM)],
        [("system", "You fix Python bugs"), ("human", POEM)],
        [{"role": "user", "content": POEM}],
        [{"role": "user", "content": [{"type": "text", "text": POEM}]}],
        [ChatMessage(content=POEM, role="user")],
        [SystemMessage("Python bugs"), HumanMessage("Fix the bug"), HumanMessage(POEM)],
        [HumanMessage(POEM), AIMessage("```python```"), ToolMessage("bug", tool_call_id="1")],
    ],
)
def test_the_last_user_message_counts_in_any_form(messages: Any) -> None:
    assert last_user_text(messages).strip() == POEM
    assert ADAPTIVE.choose(messages, {}, "gpt-4.1").kind == "creative"


@pytest.mark.parametrize("messages", [[], None, 3, [AIMessage("Write a poem")], [HumanMessage([])]])
def test_without_a_user_message_the_kind_is_general(messages: Any) -> None:
    choice = ADAPTIVE.choose(messages, {}, "gpt-4.1")
    assert (choice.kind, choice.complexity) == ("general", "low")


# --- the choice ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "model", "params"),
    [
        ("Fix the bug in my Python function", "gpt-4.1", {"temperature": 0.2}),
        ("Fix the bug in my Python function", "gpt-6-luna", {"reasoning_effort": "low"}),
        ("hello", "gpt-6-luna", {"reasoning_effort": "none"}),
        ("hello", "gpt-6-astra", {"reasoning_effort": "low"}),
        ("hello", "gpt-5.1", {}),
        ("hello", "gpt-5-pro", {}),
        ("Analyze this dataset", "gpt-6.1-terra", {}),
        ("Write a poem", "my-model", {}),
        ("Analyze this dataset", "my-model", {"temperature": 0.2}),
    ],
)
def test_only_what_the_model_takes_is_chosen(
    text: str, model: str, params: dict[str, object]
) -> None:
    assert ADAPTIVE.choose(text, {}, model).params == params


def test_the_callers_parameters_always_win() -> None:
    choice = ADAPTIVE.choose("Analyze this dataset", {"temperature": 0.9}, "gpt-4.1")
    assert choice.params == {}
    assert "temperature: yours is kept" in choice.reasons
    nested = ADAPTIVE.choose(
        "Analyze this dataset", {"reasoning": {"effort": "high"}}, "gpt-6-luna", "responses"
    )
    assert "reasoning_effort" not in nested.params


def test_nothing_is_chosen_that_does_not_go_with_the_callers_parameters() -> None:
    text = "Fix the bug in my Python function"
    kept = ADAPTIVE.choose(text, {"temperature": 0.5, "reasoning_effort": "none"}, "gpt-6-luna")
    assert kept.params == {}
    quiet = ADAPTIVE.choose(text, {"temperature": 0.5}, "gpt-5.1")
    assert quiet.params == {}
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert ADAPTIVE.choose(text, {"tools": tools}, "gpt-5.4").params == {"temperature": 0.2}
    assert ADAPTIVE.choose(text, {"tools": tools}, "gpt-5.4", "responses").params == {
        "reasoning_effort": "low"
    }


@pytest.mark.parametrize("api", ["chat_completions", "responses"])
@pytest.mark.parametrize("model", [info.name for info in ModelCatalog().list()])
def test_what_is_chosen_is_accepted_by_every_model(model: str, api: Api) -> None:
    for texts in KINDS.values():
        params = ADAPTIVE.choose(texts[-1], {}, model, api).params
        problems = ParameterValidator().check(params, model, api)
        assert [each for each in problems if each.name != "model"] == []


def test_the_choice_and_its_reasons_are_metadata() -> None:
    metadata = ADAPTIVE.choose("Fix the bug in my Python function", {}, "gpt-4.1").as_metadata()
    assert metadata["kind"] == "code"
    assert metadata["complexity"] == "low"
    assert metadata["params"] == {"temperature": 0.2}
    assert metadata["reasons"] == [
        "code: 'bug', 'function', 'python'",
        "low complexity: short and plain",
        "reasoning_effort: not chosen, gpt-4.1 does not take it",
        "temperature: 0.2 chosen",
    ]


# --- rules of one's own ----------------------------------------------------------------------


def test_a_rule_of_ones_own_replaces_the_one_of_its_kind() -> None:
    own = AdaptiveParameters(creative={"temperature": 1.2}, code=ModelParameters(top_p=0.1))
    assert own.choose("Write a poem", {}, "gpt-4.1").params == {"temperature": 1.2}
    assert own.choose("Fix the bug in Python", {}, "gpt-4.1").params == {"top_p": 0.1}
    assert own.choose("Analyze this dataset", {}, "gpt-4.1").params == {"temperature": 0.2}


def test_rules_may_be_a_mapping_or_functions() -> None:
    mapped = AdaptiveParameters({"code": lambda complexity: {"seed": len(complexity)}})
    assert mapped.choose("Fix the bug in Python", {}, "gpt-4.1").params == {"seed": 3}
    whole = AdaptiveParameters(lambda kind, level, text: {"user": f"{kind} {level} {text[:4]}"})
    assert whole.choose("hello there", {}, "gpt-4.1").params == {"user": "general low hell"}


def test_a_classifier_of_ones_own_is_used() -> None:
    own = AdaptiveParameters(classify=lambda _text: ("code", "high"))
    choice = own.choose("hello", {}, "gpt-6-luna")
    assert (choice.kind, choice.params) == ("code", {"reasoning_effort": "high"})


@pytest.mark.parametrize(
    "arguments",
    [
        {"rules": 3},
        {"rules": {"poetry": {}}},
        {"code": "low"},
        {"classify": "code"},
    ],
)
def test_rules_that_are_none_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        AdaptiveParameters(**arguments)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=500))
def test_any_text_can_be_read(text: str) -> None:
    reading = read_text(text)
    assert reading.kind in KINDS
    assert len(reading.reasons) == 2
    assert reading == read_text(text)
