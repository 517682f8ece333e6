"""Templates read once into literal pieces and slots, so that rendering is one join.

Three formats are read: ``{{name}}`` (this package's own), f-string and mustache as LangChain has
them. What a slot is filled with is never looked at again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from langchain_tamma_openai.checks import shown
from langchain_tamma_openai.prompts.values import plain_value, text_of

TemplateFormat = Literal["double-brace", "f-string", "mustache"]
TEMPLATE_FORMATS: tuple[TemplateFormat, ...] = ("double-brace", "f-string", "mustache")

_MAX_MISTAKES = 10  # a file that is no template at all would fill pages
_NAME = r"[^\W\d]\w*"
_TAG = re.compile(
    rf"""\{{\{{\s*(?:(?P<name>{_NAME})|'(?P<single>[^']*)'|"(?P<double>[^"]*)")\s*\}}\}}"""
)
_FIELD = re.compile(rf"\{{(?P<name>{_NAME})(?:!(?P<conversion>[rsa]))?(?::(?P<spec>[^{{}}]*))?\}}")
_MUSTACHE_TAG = re.compile(rf"\{{\{{(?:\{{\s*({_NAME})\s*\}}|&?\s*({_NAME})\s*)\}}\}}")
_BRACES = re.compile(r"\{{2,}|\{\Z")
_LONG_NUMBER = re.compile(r"\d{4}")


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of a variable.

    Attributes:
        name: Name of the variable.
        conversion: `r`, `s` or `a` of an f-string.
        spec: Format specification of an f-string.
    """

    name: str
    conversion: str | None = None
    spec: str = ""

    def fill(self, value: object) -> str:
        """Give the text for a value.

        Args:
            value: A value that `text_of` takes.

        Raises:
            ValueError: The value does not fit the format specification.
        """
        if self.conversion is None and not self.spec:
            return text_of(value)
        convert = {"r": repr, "a": ascii, "s": text_of, None: _as_is}[self.conversion]
        return format(convert(plain_value(value)), self.spec)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A place where a template cannot be read."""

    position: int
    message: str


Token: TypeAlias = str | Slot | Mistake


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was read.

    Attributes:
        pieces: Literal texts, with an empty one in the place of each slot.
        slots: Where in `pieces` each slot is.
    """

    pieces: tuple[str, ...]
    slots: tuple[tuple[int, Slot], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The variables, each once, in order of first use."""
        return tuple(dict.fromkeys(slot.name for _, slot in self.slots))

    def render(self, values: Mapping[str, object]) -> str:
        """Put values into the slots, verbatim and in one pass.

        Args:
            values: A value for each variable.

        Raises:
            ValueError: A value does not fit the format specification of its slot.
        """
        pieces = list(self.pieces)
        for index, slot in self.slots:
            pieces[index] = slot.fill(values[slot.name])
        return "".join(pieces)


def parse(text: str, template_format: TemplateFormat) -> tuple[Template, list[str]]:
    """Read a template.

    Args:
        text: The template.
        template_format: Its format.

    Returns:
        The template, and every mistake in it (the first ten) with its line and column.
    """
    pieces: list[str] = []
    slots: list[tuple[int, Slot]] = []
    mistakes: list[Mistake] = []
    for token in _READERS[template_format](text):
        if isinstance(token, Mistake):
            mistakes.append(token)
            if len(mistakes) == _MAX_MISTAKES:
                break
        elif isinstance(token, Slot):
            mistakes.extend(_slot_mistakes(token, text))
            slots.append((len(pieces), token))
            pieces.append("")
        elif token:
            pieces.append(token)
    said = [f"{_place(text, one.position)}: {one.message}" for one in mistakes[:_MAX_MISTAKES]]
    return Template(tuple(pieces), tuple(slots)), said


def escape_braces(text: str) -> str:
    """Write any text so that a ``{{name}}`` template shows it as it is.

    Args:
        text: Text to stand in a template, for example an example in another template language.
    """
    return _BRACES.sub(r"{{'\g<0>'}}", text)


def _as_is(value: object) -> object:
    return value


def _slot_mistakes(slot: Slot, text: str) -> Iterator[Mistake]:
    # Python normalises keyword names, so that a name in another form could never be passed.
    if not slot.name.isidentifier() or unicodedata.normalize("NFKC", slot.name) != slot.name:
        position = max(text.find(slot.name), 0)
        yield Mistake(position, f"{shown(slot.name)} is not a name that Python can pass")
    if _LONG_NUMBER.search(slot.spec):
        position = max(text.find(slot.spec), 0)
        yield Mistake(position, f"the format {shown(slot.spec)} would fill pages")


def _place(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"line {line}, column {column}"


def _read_double_brace(text: str) -> Iterator[Token]:
    end = 0
    while (start := text.find("{{", end)) >= 0:
        yield text[end:start]
        found = _TAG.match(text, start)
        if found is None:
            yield Mistake(start, _tag_problem(text, start) + "; to show {{ itself, write {{'{{'}}")
            end = start + 2
            continue
        yield Slot(found["name"]) if found["name"] else found["single"] or found["double"] or ""
        end = found.end()
    yield text[end:]


def _tag_problem(text: str, start: int) -> str:
    close = text.find("}}", start + 2)
    if close < 0:
        return "{{ is never closed by }}"
    inside = text[start + 2 : close]
    if not inside.strip():
        return "{{}} names no variable"
    return f"{shown(inside)} is not the name of a variable (letters, digits, underscores)"


def _read_f_string(text: str) -> Iterator[Token]:
    end = 0
    for found in re.finditer(r"[{}]", text):
        start = found.start()
        if start < end:
            continue
        yield text[end:start]
        brace = text[start]
        field = _FIELD.match(text, start)
        if text.startswith(brace * 2, start):
            yield brace
            end = start + 2
        elif field is not None:
            yield Slot(field["name"], field["conversion"], field["spec"] or "")
            end = field.end()
        else:
            yield Mistake(start, _field_problem(text, start))
            end = start + 1
    yield text[end:]


def _field_problem(text: str, start: int) -> str:
    if text[start] == "}":
        return "} without {; to show } itself, write }}"
    close = text.find("}", start)
    if close < 0:
        return "{ is never closed by }; to show { itself, write {{"
    inside = shown(text[start + 1 : close])
    return f"{inside} is not the name of a variable; to show {{ itself, write {{{{"


def _read_mustache(text: str) -> Iterator[Token]:
    """Read variables and comments; a comment alone on its line takes the line with it."""
    end, at_line_start = 0, True
    while (start := text.find("{{", end)) >= 0:
        literal = text[end:start]
        padding = literal[literal.rfind("\n") + 1 :]
        at_line_start = ("\n" in literal or at_line_start) and not padding.strip()
        variable = _MUSTACHE_TAG.match(text, start)
        close = text.find("}}", start + 2)
        if variable is not None:
            yield literal
            yield Slot(variable[1] or variable[2])
            end, at_line_start = variable.end(), False
        elif text.startswith("{{!", start) and close >= 0:
            end = close + 2
            rest = text[end : (text.find("\n", end) + 1) or len(text)]
            at_line_start = at_line_start and not rest.strip()
            yield literal.rstrip(" ") if at_line_start else literal
            end += len(rest) if at_line_start and rest.endswith("\n") else 0
        else:
            yield Mistake(start, _mustache_problem(text, start, close))
            end = start + 2
    yield text[end:]


_MUSTACHE_KINDS = {
    "#": "a section",
    "^": "an inverted section",
    "/": "the end of a section",
    ">": "a partial",
    "=": "a change of delimiters",
}


def _mustache_problem(text: str, start: int, close: int) -> str:
    kind = _MUSTACHE_KINDS.get(text[start + 2 : start + 3])
    if kind is not None:
        return f"{kind} is not supported: only variables and comments are"
    return _tag_problem(text, start) if close >= 0 else "{{ is never closed by }}"


_READERS: dict[TemplateFormat, Callable[[str], Iterator[Token]]] = {
    "double-brace": _read_double_brace,
    "f-string": _read_f_string,
    "mustache": _read_mustache,
}
