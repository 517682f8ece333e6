"""Reading templates and filling them in one pass."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from pathlib import PurePosixPath
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.prompts import PromptTemplate
from prompt_strategies import ASCII_SPECS, NAMES, TEXTS, WORDS, Written, written_templates

from langchain_tamma_openai.errors import PromptError
from langchain_tamma_openai.prompts.model import SystemPromptTemplate
from langchain_tamma_openai.prompts.syntax import TemplateFormat, escape_braces, parse
from langchain_tamma_openai.prompts.values import text_of


def rendered(text: str, template_format: TemplateFormat = "double-brace", **values: object) -> str:
    return SystemPromptTemplate("t", text, template_format=template_format).render(values)


def mistakes(text: str, template_format: TemplateFormat = "double-brace") -> list[str]:
    return parse(text, template_format)[1]


@given(st.data(), st.sampled_from(["double-brace", "f-string", "mustache"]))
def test_values_and_literal_text_come_out_verbatim(
    data: st.DataObject, template_format: TemplateFormat
) -> None:
    written: Written = data.draw(written_templates(template_format, min_slots=1))
    values = {name: data.draw(TEXTS) for name in written.names}

    assert rendered(written.text, template_format, **values) == written.expected(values)


@given(TEXTS)
def test_escaped_text_comes_out_as_it_was(text: str) -> None:
    template, wrong = parse(escape_braces(text), "double-brace")

    assert wrong == []
    assert template.names == ()
    assert template.render({}) == text


@given(TEXTS, NAMES)
def test_escaped_text_can_stand_before_a_variable(text: str, name: str) -> None:
    template, wrong = parse(escape_braces(text) + f"{{{{{name}}}}}", "double-brace")

    assert wrong == []
    assert template.render({name: "x"}) == text + "x"


@given(TEXTS, st.sampled_from(["double-brace", "f-string", "mustache"]))
def test_any_text_is_a_template_or_names_its_mistakes(
    text: str, template_format: TemplateFormat
) -> None:
    template, wrong = parse(text, template_format)

    assert all(mistake.startswith("line ") for mistake in wrong)
    if not wrong:
        template.render(dict.fromkeys(template.names, "x"))


@given(st.text(alphabet="{}a '\"\n!&", max_size=30))
def test_any_heap_of_braces_is_a_template_or_names_its_mistakes(text: str) -> None:
    for template_format in ("double-brace", "f-string", "mustache"):
        parse(text, template_format)


def test_a_value_is_never_read_again() -> None:
    text = rendered("{{a}}{{b}}", a="{{b}}", b="{{a}}{{'{{'}}")

    assert text == "{{b}}{{a}}{{'{{'}}"


def test_a_large_value_comes_out_whole() -> None:
    value = "{{name}} $& <b>\x00\n" * 60_000

    assert rendered("<{{name}}>", name=value) == f"<{value}>"


def test_braces_that_open_nothing_are_text() -> None:
    text = 'JSON: {"a": {"b": {{value}}}} and } and }} and {'

    assert rendered(text, value=1) == 'JSON: {"a": {"b": 1}} and } and }} and {'


@pytest.mark.parametrize("written", ["{{x}}", "{{ x }}", "{{x }}", "{{\t\nx\n}}"])
def test_whitespace_inside_braces_does_not_matter(written: str) -> None:
    assert rendered(f"<{written}>", x="v") == "<v>"


@pytest.mark.parametrize("written", ["{{'{{x}}'}}", '{{"{{x}}"}}', "{{ '{{x}}' }}"])
def test_quoted_text_inside_braces_is_shown_as_it_is(written: str) -> None:
    assert parse(written, "double-brace")[0].render({}) == "{{x}}"


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("a {{", "line 1, column 3", "never closed"),
        ("a\nbc {{name", "line 2, column 4", "never closed"),
        ("{{}}", "line 1, column 1", "names no variable"),
        ("{{  }}", "line 1, column 1", "names no variable"),
        ("{{a b}}", "line 1, column 1", "'a b' is not the name"),
        ("{{1a}}", "line 1, column 1", "'1a' is not the name"),
        ("{{a-b}}", "line 1, column 1", "'a-b' is not the name"),
        ("{{a.b}}", "line 1, column 1", "'a.b' is not the name"),
        ("{{{a}}}", "line 1, column 1", "'{a' is not the name"),
        ("{{'a}}", "line 1, column 1", "is not the name"),
        ("{{#a}}x{{/a}}", "line 1, column 1", "'#a' is not the name"),
        ('{{"a": 1}}', "line 1, column 1", "is not the name"),
        ("{{ﬁ}}", "line 1, column 3", "is not a name that Python can pass"),
    ],
)
def test_a_mistake_names_its_place_and_the_way_out(text: str, place: str, word: str) -> None:
    with pytest.raises(PromptError) as caught:
        SystemPromptTemplate("t", text)

    assert f"t: template: {place}: " in str(caught.value)
    assert word in str(caught.value)


def test_all_mistakes_are_named_up_to_ten() -> None:
    assert len(mistakes("{{}} {{a b}} {{")) == 3
    assert len(mistakes("{{ " * 50)) == 10
    assert len(mistakes("{{² }}" * 50)) == 10


def test_a_million_open_braces_are_refused_quickly() -> None:
    for text in ("{" * 1_000_000, "{{'" * 300_000, "{{a " * 250_000, "{{" + " " * 900_000):
        assert mistakes(text)


def test_unicode_names_are_names() -> None:
    assert rendered("{{имя}} {{名前}}", имя="a", 名前="b") == "a b"


@given(st.data(), ASCII_SPECS, st.sampled_from(["", "!r", "!s", "!a"]))
def test_f_strings_render_as_langchain_renders_them(
    data: st.DataObject, spec: str, conversion: str
) -> None:
    written = data.draw(written_templates("f-string", min_slots=1))
    text = written.text + f"{{{written.names[0]}{conversion}{':' + spec if spec else ''}}}"
    values = {name: data.draw(WORDS) for name in written.names}

    assert rendered(text, "f-string", **values) == PromptTemplate.from_template(text).format(
        **values
    )


def test_f_strings_format_numbers() -> None:
    assert (
        rendered("{a:.2f} {b:,} {c!r:>4}", "f-string", a=1, b=10_000, c="x") == "1.00 10,000  'x'"
    )


def test_a_value_that_does_not_fit_its_format_is_refused() -> None:
    with pytest.raises(PromptError, match=r"variable a cannot be written as '\.2f'"):
        rendered("{a:.2f}", "f-string", a="text")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "never closed"),
        ("}", "without {"),
        ("a } b", "without {"),
        ("{}", "is not the name"),
        ("{0}", "is not the name"),
        ("{a.b}", "is not the name"),
        ("{a[0]}", "is not the name"),
        ("{a:{b}}", "is not the name"),
        ("{a:>10000}", "would fill pages"),
    ],
)
def test_f_strings_that_reach_too_far_are_refused(text: str, word: str) -> None:
    assert any(word in mistake for mistake in mistakes(text, "f-string"))


@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                " ",
                "\n",
                "  \n",
                "{{x}}",
                "{{ y }}",
                "{{{x}}}",
                "{{&y}}",
                "{{! no }}",
                "{{!\nno}}",
            ]
        ),
        max_size=10,
    ),
    st.text(alphabet="ab <>&\"'\n{}$", max_size=8),
)
def test_mustache_renders_as_langchain_renders_it_without_escapes(
    parts: list[str], value: str
) -> None:
    text = "".join(parts)
    escaping = {"{{x}}": "{{{x}}}", "{{ y }}": "{{{ y }}}"}
    unescaped = "".join(escaping.get(part, part) for part in parts)
    template, wrong = parse(text, "mustache")
    values = {"x": value, "y": "w"}

    assert wrong == []
    langchain = PromptTemplate.from_template(unescaped, template_format="mustache")
    assert template.render(values) == (langchain.format(**values) if text else "")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{{#a}}x{{/a}}", "a section"),
        ("{{^a}}x{{/a}}", "an inverted section"),
        ("{{> a}}", "a partial"),
        ("{{=<% %>=}}", "a change of delimiters"),
        ("{{a.b}}", "is not the name"),
        ("{{.}}", "is not the name"),
        ("{{a", "never closed"),
        ("{{}}", "names no variable"),
        ("{{!a", "never closed"),
    ],
)
def test_mustache_beyond_variables_and_comments_is_refused(text: str, word: str) -> None:
    assert word in mistakes(text, "mustache")[0]


class Level(IntEnum):
    HIGH = 3


class Colour(Enum):
    RED = "red"


class Tone(StrEnum):
    WARM = "warm"


class Mixed(str, Enum):  # noqa: UP042 - the class whose str() is not its value
    A = "a"


class Loud(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "LOUD"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (True, "True"),
        (1.5, "1.5"),
        (Decimal("1.50"), "1.50"),
        (Fraction(1, 3), "1/3"),
        (UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        (PurePosixPath("/a"), "/a"),
        (Level.HIGH, "3"),
        (Colour.RED, "red"),
        (Tone.WARM, "warm"),
        (Mixed.A, "a"),
        (Loud("quiet"), "quiet"),
    ],
)
def test_values_become_text(value: object, text: str) -> None:
    assert text_of(value) == text
    assert type(text_of(value)) is str
    assert rendered("{{v}}", v=value) == text


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, b"x", object(), 10**5000, 1 + 2j], ids=type)
def test_values_without_a_text_are_refused(value: object) -> None:
    with pytest.raises(PromptError, match="variable v "):
        rendered("{{v}}", v=value)
