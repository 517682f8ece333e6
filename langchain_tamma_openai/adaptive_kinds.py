"""What a text asks for: its kind and its complexity, by whole words and by structure.

The vocabulary is data (`data/content_kinds.json`). Long texts are read at their beginning and end,
where instructions stand, so the cost has a bound; every pattern here runs in linear time.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Literal

ContentKind = Literal["code", "creative", "analytical", "general"]
"""What kind of answer is asked for."""

Complexity = Literal["low", "medium", "high"]
"""How much there is to think about."""

KINDS: tuple[ContentKind, ...] = ("code", "creative", "analytical", "general")
_SCORED: tuple[ContentKind, ...] = ("code", "analytical", "creative")

_READ_CHARS = 2_000  # of the beginning, and as many of the end
_READ_LINES = 40  # of those, for structure
_READ_LINE_CHARS = 160
_STRONG, _WEAK = 3, 1
_MAX_PER_WORD = 2  # a word said often counts twice at most
_THRESHOLD = 3
_SHOWN = 4

_WORD = re.compile(r"[^\W\d_]+")
_ASCII_WORD = re.compile(r"[a-z]+")
_CODE_LINE = re.compile(
    r"[ \t]{0,80}(?:"
    r"(?:async )?def \w+\(|class \w+(?:\([^)]{0,80}\))?:$|(?:export |public )?class \w[^.]{0,60}\{$"
    r"|from [\w.]{1,80} import |import [\w.]{1,80}(?: as \w+)?;?$|import \{|#include\b"
    r"|(?:export )?(?:const|let|var) \w+ ?[:=]|(?:export |async )*function \w*\("
    r"|(?:interface|enum|struct) \w+ ?\{|(?:fn|func) \w+\("
    r"|(?:public|private|protected|static) (?:[\w<>\[\]]{1,40} ){0,3}\w{1,40}\("
    r"|return\b[^.]{0,80};|SELECT \S|INSERT INTO |CREATE TABLE |\$ [a-z]|Traceback \(most recent"
    r"|\w{1,40}(?:Error|Exception): |[}\])]+;?$|\w{1,40}(?:\.\w{1,40})?\([^\n]{0,80}\);?$"
    r"|</?[a-z]\w{0,20}[ >])"
)
_FILE = re.compile(r"\.(?<=\w\.)(?:py|[jt]sx?|go|rs|java|rb|php|cpp|cs|sql|sh|ya?ml|json|toml)\b")
_SNAKE_CASE = re.compile(r"_(?<=[a-z]_)[a-z]")
_TABLE_ROW = re.compile(r"\|.{1,200}\|[ \t]{0,8}$|[^,]{1,60}(?:,[^,\s][^,]{0,60}){2,20}$")
_TEX = re.compile(r"\$[^$]{1,80}\$|\\(?:frac|sum|int|sqrt|lim)\b")
_SUM = re.compile(r"\d ?[-+*/^=] ?\d")
_NUMBER = re.compile(r"\d{1,20}")
_LIST_ITEM = re.compile(r"[ \t]{0,20}(?:[-*\u2022]|\d{1,3}[.)])[ \t]+\S")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text asks for, and how that was told.

    Attributes:
        kind: The kind of answer.
        complexity: How much there is to think about.
        reasons: What was found, one sentence each.
    """

    kind: ContentKind
    complexity: Complexity
    reasons: tuple[str, ...]


def read_text(text: str) -> Reading:
    """Tell what a text asks for.

    Args:
        text: What the user said, in any language.
    """
    page = _page(text)
    kind, kind_reason = _kind(page)
    complexity, complexity_reason = _complexity(page)
    return Reading(kind, complexity, (kind_reason, complexity_reason))


def _ends(text: str) -> str:
    if len(text) <= 2 * _READ_CHARS:
        return text
    return f"{text[:_READ_CHARS]}\n{text[-_READ_CHARS:]}"


@dataclass(frozen=True, slots=True)
class _Page:
    """What is read of a text."""

    full_chars: int
    text: str
    words: list[str]
    counts: Mapping[str, int]
    lines: list[str]
    has_fence: bool
    other_scripts: bool  # letters beyond Latin: perhaps a language without spaces

    def line_count(self, pattern: re.Pattern[str], most: int) -> int:
        """Count the lines that begin with a pattern, up to a limit."""
        return _bounded(map(pattern.match, self.lines), most)

    def count(self, pattern: re.Pattern[str], most: int) -> int:
        """Count the places where a pattern stands, up to a limit."""
        return _bounded(pattern.finditer(self.text), most)


def _page(text: str) -> _Page:
    part = _ends(text)
    # One form for letters that can be written in two ways, such as é.
    part = part if part.isascii() else unicodedata.normalize("NFC", part)
    words = (_ASCII_WORD if part.isascii() else _WORD).findall(part.lower())
    lines = [line[:_READ_LINE_CHARS] for line in part.split("\n", _READ_LINES)[:_READ_LINES]]
    return _Page(
        full_chars=len(text),
        text=part,
        words=words,
        counts=Counter(words),
        lines=[line for line in lines if line],
        has_fence="```" in part or "\n~~~" in part,
        other_scripts=not part.isascii() and max(part) > _LAST_LATIN,
    )


_LAST_LATIN = "\u024f"


def _bounded(found: Iterable[object], most: int) -> int:
    count = 0
    for each in found:
        if each:
            count += 1
            if count == most:
                break
    return count


# --- kind ------------------------------------------------------------------------------------


def _kind(page: _Page) -> tuple[ContentKind, str]:
    vocabulary = _vocabulary()
    scores: dict[ContentKind, int] = dict.fromkeys(_SCORED, 0)
    found: dict[ContentKind, list[str]] = {kind: [] for kind in _SCORED}
    for kind, points, what in (
        *_word_points(vocabulary, page),
        *_unspaced_points(vocabulary, page),
        *_structure_points(page),
    ):
        scores[kind] += points
        found[kind].append(what)
    best = max(_SCORED, key=scores.__getitem__)
    if scores[best] < _THRESHOLD:
        return "general", "no kind stands out by its words or structure"
    named = ", ".join(found[best][:_SHOWN])
    return best, f"{best}: {named}"


_Point = tuple[ContentKind, int, str]


def _word_points(vocabulary: _Vocabulary, page: _Page) -> list[_Point]:
    """Count known words, phrases first: their words are not counted again."""
    points: list[_Point] = []
    spent: Counter[str] = Counter()
    for phrase, times in _phrases(vocabulary, page).items():
        kind = vocabulary.phrases[phrase]
        spent.update(dict.fromkeys(phrase.split(" "), times))
        if kind != "general":
            points.append((kind, _STRONG * min(times, _MAX_PER_WORD), repr(phrase)))
    for word in sorted(page.counts.keys() & vocabulary.words.keys()):
        times = min(page.counts[word] - spent[word], _MAX_PER_WORD)
        if times > 0:
            kind, weight = vocabulary.words[word]
            points.append((kind, weight * times, repr(word)))
    return points


def _phrases(vocabulary: _Vocabulary, page: _Page) -> Counter[str]:
    if page.counts.keys().isdisjoint(vocabulary.phrase_starts):
        return Counter()
    pairs = map(" ".join, pairwise(page.words))
    return Counter(filter(vocabulary.phrases.__contains__, pairs))


def _unspaced_points(vocabulary: _Vocabulary, page: _Page) -> list[_Point]:
    """Find terms of languages that are written without spaces."""
    if not page.other_scripts:
        return []
    return [
        (kind, _STRONG, repr(term))
        for term, kind in vocabulary.unspaced.items()
        if term in page.text
    ]


def _structure_points(page: _Page) -> list[_Point]:
    points: list[_Point] = []
    if page.has_fence:
        points.append(("code", 6, "a fenced block"))
    elif page.text.count("`") > 1:
        points.append(("code", 2, "inline code"))
    if lines := page.line_count(_CODE_LINE, 5):
        points.append(("code", 3 * lines, f"{lines} line(s) of code"))
    if files := page.count(_FILE, 2):
        points.append(("code", 2 * files, "names of source files"))
    if names := min(page.text.count("()") + page.count(_SNAKE_CASE, 2), 2):
        points.append(("code", names, "identifiers"))
    if (rows := page.line_count(_TABLE_ROW, 4)) > 1:
        points.append(("analytical", 2 * rows, "a table"))
    if _SUM.search(page.text) or _TEX.search(page.text):
        points.append(("analytical", 2, "a formula"))
    if page.count(_NUMBER, 6) > 5:  # noqa: PLR2004 - many numbers
        points.append(("analytical", 2, "many numbers"))
    return points


# --- complexity ------------------------------------------------------------------------------

_LONG_WORDS, _VERY_LONG_WORDS = 120, 500
_QUESTION_MARKS = ("?", "\uff1f", "\u061f")
_MEDIUM_SCORE, _HIGH_SCORE = 2, 5
_CHARS_PER_WORD = 6
_CHARS_PER_UNSPACED_WORD = 2


def _complexity(page: _Page) -> tuple[Complexity, str]:
    vocabulary = _vocabulary()
    reasoning = len(page.counts.keys() & vocabulary.reasoning)
    if page.other_scripts:
        reasoning += sum(term in page.text for term in vocabulary.unspaced_reasoning)
    conditions = len(page.counts.keys() & vocabulary.constraint)
    questions = sum(map(page.text.count, _QUESTION_MARKS))
    length = _length_in_words(page)
    marks = {
        "long": (length > _LONG_WORDS) + 2 * (length > _VERY_LONG_WORDS),
        "asks for reasoning": min(reasoning, 3) * 2,
        "has conditions": min(conditions, 4) // 2,
        "has a list of points": page.line_count(_LIST_ITEM, 8) // 3,
        "has several questions": min(questions, 4) // 2,
        "has code": int(page.has_fence),
    }
    score = sum(marks.values())
    found = [name for name, points in marks.items() if points]
    level: Complexity = "low"
    if score >= _MEDIUM_SCORE:
        level = "high" if score >= _HIGH_SCORE else "medium"
    return level, f"{level} complexity: {', '.join(found) or 'short and plain'}"


def _length_in_words(page: _Page) -> int:
    """Count words, or estimate them where the text was not read whole or has no spaces."""
    if page.other_scripts and _vocabulary().unspaced_script.search(page.text):
        return page.full_chars // _CHARS_PER_UNSPACED_WORD
    if page.full_chars <= 2 * _READ_CHARS:
        return len(page.words)
    return page.full_chars // _CHARS_PER_WORD


# --- vocabulary ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    words: Mapping[str, tuple[ContentKind, int]]
    phrases: Mapping[str, ContentKind]
    phrase_starts: frozenset[str]
    unspaced: Mapping[str, ContentKind]
    unspaced_script: re.Pattern[str]
    reasoning: frozenset[str]
    constraint: frozenset[str]
    unspaced_reasoning: tuple[str, ...]


@cache
def _vocabulary() -> _Vocabulary:
    import json
    from importlib.resources import files

    path = files("langchain_tamma_openai") / "data" / "content_kinds.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    words: dict[str, tuple[ContentKind, int]] = {}
    phrases: dict[str, ContentKind] = dict.fromkeys(raw["none"], "general")
    unspaced: dict[str, ContentKind] = {}
    for kind in _SCORED:
        words |= dict.fromkeys(raw[kind]["weak"], (kind, _WEAK))
        words |= dict.fromkeys(raw[kind]["strong"], (kind, _STRONG))
        phrases |= dict.fromkeys(raw[kind]["phrases"], kind)
        unspaced |= dict.fromkeys(raw[kind]["unspaced"], kind)
    return _Vocabulary(
        words=words,
        phrases=phrases,
        phrase_starts=frozenset(phrase.split(" ")[0] for phrase in phrases),
        unspaced=unspaced,
        unspaced_script=re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]"),
        reasoning=frozenset(raw["complexity"]["reasoning"]),
        constraint=frozenset(raw["complexity"]["constraint"]),
        unspaced_reasoning=tuple(raw["complexity"]["unspaced"]),
    )
