"""Hypothesis strategies for templates, their variables and the values that fill them."""

from __future__ import annotations

import string
from dataclasses import dataclass

from hypothesis import strategies as st

from langchain_tamma_openai.prompts.fields import prompt_from_fields
from langchain_tamma_openai.prompts.model import Prompt
from langchain_tamma_openai.prompts.syntax import TemplateFormat, escape_braces

NASTY = st.sampled_from(
    [
        "{{",
        "}}",
        "{",
        "}",
        "{{other}}",
        "{{{name}}}",
        "{name}",
        "$&",
        "$1",
        "\\1",
        "\\g<0>",
        "%s",
        "<b>&amp;</b>",
        '"',
        "'",
        "\\",
        "\n",
        "\r\n",
        "\x00",
        "\x85",
        "\u2028",
        "\ufeff",
        "\U0001f642",
        "e\u0301",
        "{% if x %}",
        "{{'{{'}}",
        "#{x}",
        "${x}",
        " ",
        "- ",
        ": ",
        "# ",
        "---\n",
        "&a",
        "*a",
    ]
)
"""Pieces of text that some template language, file format or regular expression looks at."""

TEXTS = st.lists(st.one_of(NASTY, st.text(max_size=8)), max_size=8).map("".join)
"""Text with more traps than `st.text()` has; without lone surrogates."""

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
"""Names of variables."""

IDS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,12}[A-Za-z0-9])?", fullmatch=True)
"""Ids of prompts."""

PADDING = st.text(alphabet=" \t\n", max_size=2)


@dataclass(frozen=True)
class Written:
    """A template as it is written, and what it must become.

    Attributes:
        text: The template.
        pieces: Its literal texts (as they come out) and, as one-element tuples, its variables.
    """

    text: str
    pieces: tuple[str | tuple[str], ...]

    @property
    def names(self) -> list[str]:
        """The variables in order of first use."""
        return list(dict.fromkeys(piece[0] for piece in self.pieces if isinstance(piece, tuple)))

    def expected(self, values: dict[str, str]) -> str:
        """What it must become with these values."""
        parts = (piece if isinstance(piece, str) else values[piece[0]] for piece in self.pieces)
        return "".join(parts)


def _as_double_brace(piece: str | tuple[str], padding: str) -> str:
    return (
        escape_braces(piece) if isinstance(piece, str) else f"{{{{{padding}{piece[0]}{padding}}}}}"
    )


def _as_f_string(piece: str | tuple[str], _: str) -> str:
    if isinstance(piece, str):
        return piece.replace("{", "{{").replace("}", "}}")
    return f"{{{piece[0]}}}"


def _as_mustache(piece: str | tuple[str], padding: str) -> str:
    # Mustache cannot show {{, and a brace beside a tag would join it.
    return piece.replace("{", "(") if isinstance(piece, str) else f"{{{{{{{padding}{piece[0]}}}}}}}"


_WRITERS = {
    "double-brace": _as_double_brace,
    "f-string": _as_f_string,
    "mustache": _as_mustache,
}


@st.composite
def written_templates(
    draw: st.DrawFn, template_format: TemplateFormat = "double-brace", min_slots: int = 0
) -> Written:
    """Templates of any format with literal texts that are hard to keep apart from variables."""
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    slots: st.SearchStrategy[str | tuple[str]] = st.sampled_from(names).map(lambda name: (name,))
    pieces = draw(st.lists(st.one_of(TEXTS, slots), max_size=8))
    pieces += [draw(slots) for _ in range(min_slots)]
    padding = draw(PADDING)
    write = _WRITERS[template_format]
    text = "".join(write(piece, padding) for piece in pieces)
    if template_format == "mustache":
        pieces = [piece.replace("{", "(") if isinstance(piece, str) else piece for piece in pieces]
    return Written(text, tuple(pieces))


@st.composite
def prompts(draw: st.DrawFn, ids: st.SearchStrategy[str] = IDS) -> Prompt:
    """Prompts of both kinds, with any fields set."""
    prose = TEXTS.filter(lambda text: bool(text.strip()))
    fields: dict[str, object] = {"id": draw(ids), "version": draw(st.integers(1, 9))}
    fields["name"] = draw(st.none() | prose)
    fields["description"] = draw(st.none() | TEXTS)
    fields["category"] = draw(st.none() | prose)
    if draw(st.booleans()):
        return prompt_from_fields({**fields, "content": draw(prose)})
    written = draw(written_templates(min_slots=1))
    specs = st.fixed_dictionaries({}, optional={"description": TEXTS, "default": TEXTS})
    variables = {name: draw(specs) for name in written.names}
    return prompt_from_fields({**fields, "template": written.text, "variables": variables})


ASCII_SPECS = st.sampled_from(["", ">10", "<8", "^12", "*^9", "s", ".3"])
"""Format specifications of f-strings for text."""

WORDS = st.text(alphabet=string.ascii_letters + " <>&{}", max_size=12)
"""Values as people pass them."""
