"""Counts beside `ChatOpenAI`'s, which reads the packaged vocabularies as its tiktoken cache."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

import pytest
import tiktoken
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_openai import ChatOpenAI
from tiktoken import registry

from langchain_tamma_openai.tokens import TokenCounter

MODELS = ["gpt-4o", "gpt-4", "gpt-5", "gpt-3.5-turbo", "gpt-3.5-turbo-0301", "o3", "gpt-6-luna"]
COUNTER = TokenCounter()
ENCODINGS = files("langchain_tamma_openai") / "data" / "encodings"
_THEIRS: dict[str, tiktoken.Encoding] = {}  # loaded by tiktoken once, kept for all tests here


@pytest.fixture(autouse=True)
def _tiktoken_reads_our_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(ENCODINGS))
    monkeypatch.setattr(registry, "ENCODINGS", _THEIRS)
    yield
    monkeypatch.undo()


def peer(model: str) -> ChatOpenAI:
    return ChatOpenAI(model=model, api_key="test")


# ChatOpenAI raises on the text of special tokens, so none is made here.
texts = st.text(max_size=40).filter(lambda text: "<|" not in text)
filled = texts.filter(bool)
names = st.none() | st.from_regex(r"[a-z_]{1,10}", fullmatch=True)
contents = texts | st.lists(st.builds(lambda text: {"type": "text", "text": text}, filled))
calls = st.builds(
    lambda name, args: {"name": name, "args": args, "id": "call_1", "type": "tool_call"},
    st.from_regex(r"[a-z_]{1,10}", fullmatch=True),
    st.dictionaries(filled, st.integers() | texts, max_size=3),
)
messages = st.lists(
    st.builds(HumanMessage, content=contents, name=names)
    | st.builds(SystemMessage, content=contents, name=names)
    | st.builds(AIMessage, content=texts, name=names)
    | st.builds(AIMessage, content=texts, tool_calls=st.lists(calls, min_size=1, max_size=3))
    | st.builds(ToolMessage, content=texts, tool_call_id=st.just("call_1"))
    | st.builds(ChatMessage, content=texts, role=st.sampled_from(["user", "developer"])),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("model", MODELS)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
@given(conversation=messages)
def test_conversations_count_as_chatopenai_counts_them(
    model: str, conversation: list[BaseMessage]
) -> None:
    theirs = peer(model).get_num_tokens_from_messages(conversation)
    assert COUNTER.count_messages(conversation, model) == theirs


@pytest.mark.parametrize("model", MODELS)
def test_text_counts_as_chatopenai_counts_it(model: str) -> None:
    for text in ("", "hello world", "お誕生日おめでとう 🎂", "x = {\n\t'a': 1\n}\r\n" * 20):
        assert COUNTER.token_ids(text, model) == peer(model).get_token_ids(text)
        assert COUNTER.count_text(text, model) == peer(model).get_num_tokens(text)


def test_low_detail_images_count_as_chatopenai_counts_them() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}
    message = HumanMessage(["Look: ", image])
    theirs = peer("gpt-4o").get_num_tokens_from_messages([message])
    assert COUNTER.count_messages([message], "gpt-4o") == theirs


def test_where_chatopenai_fails_there_is_a_count() -> None:
    special = [HumanMessage("<|endoftext|>")]
    with pytest.raises(ValueError, match="disallowed special token"):
        peer("gpt-4o").get_num_tokens_from_messages(special)
    assert COUNTER.count_messages(special, "gpt-4o") == 3 + 3 + 1 + 7
    with pytest.raises(NotImplementedError):
        peer("my-model").get_num_tokens_from_messages([HumanMessage("hi")])
    assert COUNTER.count_messages([HumanMessage("hi")], "my-model") == 3 + 3 + 1 + 1
