"""Prompts as values: what is refused when they are made, what they render, how they show."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest
from hypothesis import given
from prompt_strategies import prompts
from pydantic import BaseModel, ValidationError

from langchain_tamma_openai.errors import PromptError
from langchain_tamma_openai.prompts.fields import fields_of, prompt_from_fields
from langchain_tamma_openai.prompts.model import (
    MAX_TEXT_CHARS,
    Prompt,
    RenderedPrompt,
    SystemPrompt,
    SystemPromptTemplate,
)
from langchain_tamma_openai.prompts.problems import InvalidPromptError
from langchain_tamma_openai.prompts.variables import PromptVariable

SUPPORT = SystemPromptTemplate(
    "support",
    "You help {{customer}} of {{company}}.",
    name="Support",
    description="Answers customers.",
    category="service",
    variables={"customer": None, "company": {"description": "Whose", "default": "Acme"}},
    version=3,
)


def problems_of(**fields: object) -> list[tuple[str | None, str]]:
    with pytest.raises(InvalidPromptError) as caught:
        prompt_from_fields(fields)
    return [(problem.field, problem.message) for problem in caught.value.problems]


def test_fixed_text_is_taken_as_it_is() -> None:
    prompt = SystemPrompt("p", "Answer as {{json}}: {'a': 1} {{")

    assert prompt.render() == prompt.content
    assert dict(prompt.variables) == {}


def test_declared_variables_of_fixed_text_are_filled_in() -> None:
    prompt = SystemPrompt("p", "Hello {{name}}", variables=["name"])

    assert prompt.render(name="Ann") == "Hello Ann"
    assert prompt.hash == SystemPromptTemplate("p", "Hello {{name}}").hash


def test_fields_that_are_left_out_have_plain_defaults() -> None:
    prompt = SystemPrompt("p", "Hello")

    assert (prompt.name, prompt.description, prompt.category) == ("p", "", "general")
    assert prompt.version is None
    assert prompt.reference == "p"
    assert SUPPORT.reference == "support@3"


def test_variables_are_those_of_the_template_unless_declared() -> None:
    prompt = SystemPromptTemplate("p", "{{b}} {{a}} {{b}}")

    assert list(prompt.variables) == ["b", "a"]
    assert prompt.variables["a"].required


def test_defaults_may_be_left_out_and_replaced() -> None:
    assert SUPPORT.render(customer="Ann") == "You help Ann of Acme."
    assert SUPPORT.render({"customer": "Ann"}, company="{{customer}}") == (
        "You help Ann of {{customer}}."
    )


@pytest.mark.parametrize(
    "variables",
    [
        ["a", "b"],
        ("a", PromptVariable("b")),
        [{"name": "a"}, {"name": "b", "description": "second"}],
        {"a": None, "b": {"required": True}},
        {"a": {}, "b": PromptVariable("b")},
        iter(["a", "b"]),
    ],
    ids=["names", "tuple", "mappings", "mapping", "mixed mapping", "iterator"],
)
def test_variables_can_be_declared_in_several_forms(variables: object) -> None:
    prompt = SystemPromptTemplate("p", "{{a}}{{b}}", variables=variables)  # type: ignore[arg-type]

    assert prompt.render(a=1, b=2) == "12"
    assert all(variable.required for variable in prompt.variables.values())


def test_an_optional_variable_without_default_is_empty() -> None:
    prompt = SystemPromptTemplate("p", "<{{a}}>", variables={"a": {"required": False}})

    assert prompt.render() == "<>"


def test_missing_unknown_and_unusable_variables_are_all_named() -> None:
    template = SystemPromptTemplate("p", "{{a}}{{b}}{{c}}{{d}}")

    with pytest.raises(PromptError) as caught:
        template.render(c=None, d=[1], x=1, y=2)

    text = str(caught.value)
    assert "missing variables: a, b" in text
    assert "unknown variables: x, y; it has: a, b, c, d" in text
    assert "variable c is None" in text
    assert "variable d is a list" in text
    assert caught.value.param == "prompt_variables"


def test_a_value_is_never_shown_in_an_error() -> None:
    with pytest.raises(PromptError) as caught:
        SystemPromptTemplate("p", "{{a}}").render(a=["hunter2"], b="hunter2")

    assert "hunter2" not in str(caught.value)


def test_fixed_text_with_braces_says_how_to_have_variables() -> None:
    with pytest.raises(PromptError, match="use SystemPromptTemplate, or declare"):
        SystemPrompt("p", "Hello {{name}}").render(name="Ann")


def test_unused_and_undeclared_variables_are_all_named() -> None:
    assert problems_of(id="p", template="{{a}}{{b}}", variables=["c", "d"]) == [
        ("variables", "not used in template: c, d; use them there or remove them"),
        ("variables", "used in template but not declared: a, b"),
    ]


def test_every_problem_of_a_prompt_is_named_with_its_field() -> None:
    found = problems_of(
        id="../x", template="", name=1, description=2, category="", version=0, template_format="j"
    )

    assert [field for field, _ in found] == [
        "id",
        "name",
        "description",
        "category",
        "version",
        "template_format",
        "template",
    ]


@pytest.mark.parametrize(
    ("fields", "field", "word"),
    [
        ({"content": "x"}, "id", "missing"),
        ({"id": "p"}, "content", "missing"),
        ({"id": "p", "content": "x", "template": "x"}, "content", "both"),
        ({"id": "p", "contents": "x", "content": "x"}, "contents", "did you mean content?"),
        ({"id": "p", "content": "x", "template_format": "f-string"}, "template_format", "belongs"),
        ({"id": "p", "content": 5}, "content", "must be text"),
        ({"id": "p", "content": " \n"}, "content", "is empty"),
        ({"id": "p", "content": "a\ud800"}, "content", "surrogate"),
        ({"id": "p", "content": "x", "name": "\udc00"}, "name", "surrogate"),
        ({"id": "p", "content": "x" * (MAX_TEXT_CHARS + 1)}, "content", "at most"),
        ({"id": "p", "content": "x", "version": True}, "version", "whole number"),
        ({"id": "p", "content": "x", "version": "1"}, "version", "whole number"),
        ({"id": "p", "content": "x", "version": 2**31}, "version", "whole number"),
        ({"id": "p", "template": "x", "template_format": "jinja2"}, "template_format", "one of"),
        ({"id": "p", "template": "{{a}}", "variables": "a"}, "variables", "a list of names"),
        ({"id": "p", "template": "{{a}}", "variables": 3}, "variables", "a list of names"),
        ({"id": "p", "template": "{{a}}", "variables": ["a", "a"]}, "variables[1]", "twice"),
        ({"id": "p", "template": "{{a}}", "variables": ["a-b"]}, "variables[0]", "a name"),
        ({"id": "p", "template": "{{a}}", "variables": [3]}, "variables[0]", "a name"),
        ({"id": "p", "template": "{{a}}", "variables": {"a": "x"}}, "variables.a", "a mapping"),
        (
            {"id": "p", "template": "{{a}}", "variables": {"a": {"defualt": 1}}},
            "variables.a.defualt",
            "no such field",
        ),
        (
            {"id": "p", "template": "{{a}}", "variables": {"a": {"default": [1]}}},
            "variables.a.default",
            "is a list",
        ),
        (
            {"id": "p", "template": "{{a}}", "variables": {"a": {"description": 1}}},
            "variables.a.description",
            "must be text",
        ),
        (
            {"id": "p", "template": "{{a}}", "variables": {"a": {"required": "no"}}},
            "variables.a.required",
            "true or false",
        ),
        (
            {"id": "p", "template": "{{a}}", "variables": {"a": {"required": True, "default": 1}}},
            "variables.a",
            "is required and has a default",
        ),
        (
            {"id": "p", "template": "{{a}}", "variables": {"a": PromptVariable("b")}},
            "variables.a",
            "is called 'b'",
        ),
        (
            {
                "id": "p",
                "template": "{a:.2f}",
                "template_format": "f-string",
                "variables": {"a": {"default": 1.5}},
            },
            "variables.a.default",
            "a default is text",
        ),
    ],
)
def test_what_is_wrong_is_refused(fields: dict[str, object], field: str, word: str) -> None:
    assert [where for where, what in problems_of(**fields) if word in what] == [field]


@pytest.mark.parametrize(
    "prompt_id",
    ["a", "A1", "code-assistant", "a.b_c-d", "x" * 100],
)
def test_usable_ids_pass(prompt_id: str) -> None:
    assert SystemPrompt(prompt_id, "x").id == prompt_id


@pytest.mark.parametrize(
    "prompt_id",
    [
        "",
        "..",
        "../a",
        "a/b",
        "a\\b",
        "a@1",
        ".a",
        "a.",
        "-a",
        "a b",
        "a\n",
        "é",
        "x" * 101,
        None,
        3,
    ],
)
def test_unusable_ids_are_refused(prompt_id: str) -> None:
    with pytest.raises(PromptError):
        SystemPrompt(prompt_id, "x")


def test_a_hash_is_the_same_everywhere() -> None:
    assert SystemPrompt("p", "Hello").hash == (
        "be603ba2b172823c47c9665b8aff8a0e2fbefad70409cc4cec9c5107521eb39d"
    )
    assert (
        SUPPORT.hash
        == SystemPromptTemplate(
            "other",
            SUPPORT.template,
            variables={"company": {"default": "Acme"}, "customer": {"description": "Who"}},
        ).hash
    )


def test_a_hash_tells_texts_formats_and_defaults_apart() -> None:
    hashes = {
        SystemPrompt("p", "a {{b}}").hash,
        SystemPromptTemplate("p", "a {{b}}").hash,
        SystemPromptTemplate("p", "a {{b}}", template_format="mustache").hash,
        SystemPromptTemplate("p", "a {{b}}", variables={"b": {"default": ""}}).hash,
        SystemPromptTemplate("p", "a {{b}}", variables={"b": {"default": "x"}}).hash,
    }

    assert len(hashes) == 5


def test_a_rendered_prompt_knows_where_it_comes_from() -> None:
    rendered = SUPPORT.resolve({"customer": "Ann"})

    assert rendered == RenderedPrompt("You help Ann of Acme.", "support", 3, SUPPORT.hash)
    assert rendered.trace_metadata() == {
        "prompt_id": "support",
        "prompt_version": 3,
        "prompt_hash": SUPPORT.hash,
    }
    assert RenderedPrompt("x").trace_metadata() == {}


@given(prompts())
def test_prompts_can_be_copied_pickled_and_written_as_fields(prompt: Prompt) -> None:
    assert prompt_from_fields(fields_of(prompt)) == prompt
    assert pickle.loads(pickle.dumps(prompt)) == prompt  # noqa: S301 - our own
    assert copy.deepcopy(prompt) == copy.copy(prompt) == dataclasses.replace(prompt) == prompt
    assert hash(copy.copy(prompt)) == hash(prompt)
    assert prompt_from_fields(fields_of(prompt)).hash == prompt.hash


def test_prompts_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SUPPORT.template = "x"  # type: ignore[misc]


def test_showing_a_prompt_shows_how_it_begins_and_no_key() -> None:
    prompt = SystemPrompt("p", "The key is sk-proj-abcdefgh12345678. " * 20)

    assert "abcdefgh" not in repr(prompt) + repr(prompt.resolve()) + prompt._repr_html_()
    assert repr(SUPPORT) == (
        "SystemPromptTemplate(support@3, 'You help {{customer}} of {{company}}.', "
        "variables=['customer', 'company'])"
    )
    assert len(repr(prompt)) < 200


def test_html_of_a_prompt_is_escaped() -> None:
    prompt = SystemPrompt("p", "<script>x</script>", name="<i>", description="<b>", category="&")

    html = prompt._repr_html_()

    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<i>" not in html
    assert "&lt;b&gt;" in html


@pytest.mark.parametrize("variables", [["customer"], "customer", 5])
def test_values_must_come_by_name(variables: dict[str, object]) -> None:
    for use in (SUPPORT.resolve, SUPPORT.render):
        with pytest.raises(PromptError, match="must be a mapping of names to values"):
            use(variables)


def test_a_pydantic_field_keeps_a_prompt_as_it_is() -> None:
    class Settings(BaseModel):
        prompt: SystemPrompt | SystemPromptTemplate | None = None

    assert Settings(prompt=SUPPORT).prompt is SUPPORT
    with pytest.raises(ValidationError):
        Settings(prompt={"id": "p"})
