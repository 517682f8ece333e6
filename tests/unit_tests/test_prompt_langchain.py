"""Prompts out of LangChain's templates: the same text, the same variables, nothing lost."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage
from langchain_core.prompts import (
    BasePromptTemplate,
    ChatMessagePromptTemplate,
    ChatPromptTemplate,
    FewShotPromptTemplate,
    HumanMessagePromptTemplate,
    MessagesPlaceholder,
    PromptTemplate,
    SystemMessagePromptTemplate,
)
from langchain_core.prompts.structured import StructuredPrompt
from prompt_strategies import WORDS, written_templates

from langchain_tamma_openai.errors import PromptError
from langchain_tamma_openai.prompts.model import SystemPrompt, SystemPromptTemplate
from langchain_tamma_openai.prompts.registry import PromptRegistry


def added(form: object, **fields: object) -> SystemPrompt | SystemPromptTemplate:
    return PromptRegistry(builtins=False).add(form, **{"id": "p", **fields})  # type: ignore[arg-type]


F_STRING = PromptTemplate.from_template("You help {customer}. JSON: {{}}")
MUSTACHE = PromptTemplate.from_template("You help {{customer}}.", template_format="mustache")


@pytest.mark.parametrize(
    "form",
    [
        F_STRING,
        SystemMessagePromptTemplate(prompt=F_STRING),
        ChatMessagePromptTemplate(role="developer", prompt=F_STRING),
        ChatPromptTemplate.from_messages([("system", F_STRING.template)]),
        ChatPromptTemplate.from_messages([("system", F_STRING.template), ("human", "{input}")]),
        ChatPromptTemplate.from_messages(
            [MessagesPlaceholder("history"), ("system", F_STRING.template), ("human", " {input}\n")]
        ),
    ],
    ids=lambda form: type(form).__name__,
)
def test_every_form_with_one_system_prompt_is_taken(form: object) -> None:
    prompt = added(form, category="service")

    assert prompt.text == F_STRING.template
    assert prompt.category == "service"
    assert prompt.render(customer="{x}") == "You help {x}. JSON: {}"


@pytest.mark.parametrize(
    "form",
    [
        SystemMessage(content="Plain {text}"),
        SystemMessage(content=[{"type": "text", "text": "Plain {text}"}]),
        SystemMessage(content=["Plain {text}"]),
        ChatMessage(content="Plain {text}", role="system"),
        ChatPromptTemplate.from_messages(
            [SystemMessage(content="Plain {text}"), ("human", "{input}")]
        ),
    ],
    ids=lambda form: type(form).__name__,
)
def test_a_message_is_fixed_text(form: object) -> None:
    prompt = added(form)

    assert isinstance(prompt, SystemPrompt)
    assert prompt.render() == "Plain {text}"


def test_mustache_is_taken_without_html_escapes() -> None:
    assert added(MUSTACHE).render(customer="<A&B>") == "You help <A&B>."
    chat = ChatPromptTemplate.from_messages(
        [("system", "{{{a}}} {{! note }}{{b}}"), ("human", "{{q}}")], template_format="mustache"
    )
    assert added(chat).render(a="<", b=">") == "< >"


@given(st.data())
def test_taken_templates_render_as_before(data: st.DataObject) -> None:
    written = data.draw(written_templates("f-string", min_slots=1))
    values = {name: data.draw(WORDS) for name in written.names}
    form = PromptTemplate.from_template(written.text)

    if written.expected(values).strip():
        assert added(form).render(values) == form.format(**values)


def test_partial_variables_become_defaults() -> None:
    form = PromptTemplate.from_template("{a} {b}", partial_variables={"b": 5})
    chat = ChatPromptTemplate.from_messages([("system", "{a} {b}"), ("human", "{q}")])

    for prompt in (added(form), added(chat.partial(b=5, q="x"))):
        assert prompt.render(a=1) == "1 5" == form.format(a=1)
        assert prompt.render(a=1, b=2) == "1 2" == form.format(a=1, b=2)


def test_more_may_be_said_about_the_variables() -> None:
    prompt = added(F_STRING, variables={"customer": {"description": "Who", "default": "Ann"}})

    assert prompt.variables["customer"].description == "Who"
    assert prompt.render() == "You help Ann. JSON: {}"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (PromptTemplate.from_template("{{ x }}", template_format="jinja2"), "jinja2 template"),
        (
            ChatPromptTemplate.from_messages([("system", "{{ x }}")], template_format="jinja2"),
            "jinja2 template",
        ),
        (HumanMessagePromptTemplate(prompt=F_STRING), "no system prompt"),
        (HumanMessage(content="x"), "no system prompt"),
        (AIMessage(content="x"), "no system prompt"),
        (ChatMessage(content="x", role="user"), "no system prompt"),
        (MessagesPlaceholder("x"), "no system prompt"),
        (5, "no system prompt"),
        (
            FewShotPromptTemplate(examples=[], example_prompt=F_STRING, suffix="x"),
            "no system prompt",
        ),
        (ChatPromptTemplate.from_messages([("human", "{q}")]), "has 0 system messages"),
        (
            ChatPromptTemplate.from_messages([("system", "a"), ("system", "b")]),
            "has 2 system messages",
        ),
        (
            ChatPromptTemplate.from_messages([("system", "a"), ("human", "b {q}"), ("ai", "c")]),
            "would be lost (HumanMessagePromptTemplate, AIMessagePromptTemplate)",
        ),
        (
            ChatPromptTemplate.from_messages([("system", "a"), HumanMessage(content="b")]),
            "would be lost (HumanMessage)",
        ),
        (
            SystemMessagePromptTemplate.from_template(["{a}", "{b}"]),
            "has 2 parts in its message",
        ),
        (SystemMessage(content=[{"type": "text", "text": "a"}, "b"]), "has 2 parts"),
        (SystemMessage(content=[{"type": "image_url", "image_url": {"url": "x"}}]), "no text"),
        (
            StructuredPrompt.from_messages_and_schema(
                [("system", "a")], {"title": "A", "type": "object", "properties": {}}
            ),
            "output schema",
        ),
        (
            PromptTemplate.from_template("{d}", partial_variables={"d": date.today}),
            "computes partial variables at each use (d)",
        ),
        (
            PromptTemplate.from_template("{a}", partial_variables={"b": "x"}),
            "not used in template: b",
        ),
        (
            PromptTemplate.from_template("{{#a}}x{{/a}}", template_format="mustache"),
            "a section is not supported",
        ),
        (PromptTemplate.from_template("{{a.b}}", template_format="mustache"), "is not the name"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BasePromptTemplate) else None,
)
def test_what_would_lose_something_is_refused(form: object, words: str) -> None:
    with pytest.raises(PromptError) as caught:
        added(form)

    assert words in str(caught.value)


def test_a_form_needs_an_id() -> None:
    with pytest.raises(PromptError, match="id: is missing"):
        PromptRegistry().add(F_STRING)
