"""Write docs/configuration_reference.md out of the code: every field, its default and its docs.

    python scripts/configuration_reference.py           # writes the page
    python scripts/configuration_reference.py --check   # exits 1 when the page is not current

Descriptions are the strings under the fields and the `Args:` of the docstrings; defaults, aliases
and types are those at run time, so the page cannot say what the code does not do.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import langchain_tamma_openai as package
from langchain_tamma_openai.chat_models.fields import ChatFields
from langchain_tamma_openai.config import TammaOpenAIConfig

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs" / "configuration_reference.md"
OURS: Final = (
    "retry",
    "system_prompt",
    "prompt_variables",
    "prompt_registry",
    "system_prompt_rule",
    "parameter_policy",
    "history_policy",
    "tool_argument_policy",
    "adaptive",
    "usage_tracker",
    "budget",
    "circuit_breaker",
    "quota_memory",
    "fallback_models",
    "stream_recovery",
    "total_timeout_s",
    "background_timeout_s",
    "allowed_models",
    "price_overrides",
)
ARGUMENTS: Final = (
    "RetryPolicy",
    "OpenAIRateLimiter",
    "CircuitBreaker",
    "QuotaMemory",
    "FallbackPolicy",
    "FallbackModel",
    "FallbackAccount",
    "UsageTracker",
    "Budget",
    "UsageCallbackHandler",
    "OpenTelemetryCallbackHandler",
    "UsageLog",
    "TokenCounter",
    "CostCalculator",
    "AdaptiveParameters",
    "PromptRegistry",
    "ToolExecutor",
    "ChunkBuffer",
)
INHERITED: Final = (
    "cache",
    "callbacks",
    "custom_get_token_ids",
    "disable_streaming",
    "metadata",
    "name",
    "profile",
    "rate_limiter",
    "tags",
    "verbose",
)
_LONGEST_DEFAULT: Final = 60
_SECTION: Final = re.compile(r"^(?:Args|Attributes):\n((?:[ ]{4}.*\n?|\n)+)", re.MULTILINE)
_ENTRY: Final = re.compile(r"^(\w+):((?:.*\n?)(?:[ ]{4}.*\n?)*)", re.MULTILINE)
HEAD: Final = """# Configuration reference

Made from the code by `scripts/configuration_reference.py`; a test keeps it current.
[Configuration](configuration.md) explains, this page lists.
"""


def page() -> str:
    """Give the whole page."""
    sections = [
        HEAD,
        _model_section("ChatTammaOpenAI: what is ours", ChatFields, OURS),
        _model_section("ChatTammaOpenAI: as on ChatOpenAI", ChatFields, _shared()),
        "Fields of every LangChain chat model are taken as well: "
        + ", ".join(f"`{name}`" for name in INHERITED)
        + ".\n",
        _model_section(
            "TammaOpenAIConfig", TammaOpenAIConfig, list(TammaOpenAIConfig.model_fields)
        ),
        *(_argument_section(name) for name in ARGUMENTS),
        _environment_section(),
    ]
    return "\n".join(sections)


def _shared() -> list[str]:
    own = inspect.get_annotations(ChatFields)
    return [name for name in ChatFields.model_fields if name in own and name not in OURS]


# --- fields of models ---


def _model_section(title: str, model: type[BaseModel], names: Sequence[str]) -> str:
    texts = _field_texts(model)
    rows = [_field_row(name, model.model_fields[name], texts) for name in names]
    return _table(title, ("argument", "also", "default", "what it is"), rows)


def _field_row(name: str, field: FieldInfo, texts: Mapping[str, str]) -> tuple[str, ...]:
    alias = f"`{field.alias}`" if field.alias else ""
    return f"`{name}`", alias, _default(field), texts.get(name, "")


def _default(field: FieldInfo) -> str:
    if field.default is not PydanticUndefined:
        return _shown(field.default)
    return "required" if field.default_factory is None else "see right"


@cache
def _field_texts(model: type[BaseModel]) -> dict[str, str]:
    """Read the string that stands under each field."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(node, ast.ClassDef)
    texts: dict[str, str] = {}
    for above, below in zip(node.body, node.body[1:], strict=False):
        if isinstance(above, ast.AnnAssign) and isinstance(above.target, ast.Name):
            texts[above.target.id] = _literal(below)
    return texts


def _literal(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return _line(str(node.value.value))
    return ""


# --- arguments of everything else ---


def _argument_section(name: str) -> str:
    subject = getattr(package, name)
    described = _described(subject)
    rows = [
        (f"`{parameter.name}`", _argument_default(parameter), described.get(parameter.name, ""))
        for parameter in inspect.signature(subject).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    summary = (inspect.getdoc(subject) or "").split("\n\n")[0]
    return _table(name, ("argument", "default", "what it is"), rows, _line(summary))


def _argument_default(parameter: inspect.Parameter) -> str:
    empty = parameter.default is inspect.Parameter.empty
    return "required" if empty else _shown(parameter.default)


def _described(subject: type) -> dict[str, str]:
    """Read what a docstring says of each argument or attribute."""
    texts: dict[str, str] = {}
    for holder in (subject, *(vars(kind).get("__init__") for kind in subject.__mro__[:-1])):
        for name, text in _entries(inspect.getdoc(holder) or ""):
            texts.setdefault(name, text)
    return texts


def _entries(doc: str) -> Iterator[tuple[str, str]]:
    for block in _SECTION.findall(doc):
        for found in _ENTRY.finditer(textwrap.dedent(block)):
            yield found[1], _line(found[2])


# --- the environment ---


def _environment_section() -> str:
    names: dict[str, list[str]] = {}
    for where, text in _all_texts():
        for name in re.findall(r"`((?:OPENAI|LC|LANGCHAIN|TAMMA)_[A-Z_]+)`", text):
            names.setdefault(name, [])
            if where not in names[name]:
                names[name].append(where)
    rows = [(f"`{name}`", ", ".join(f"`{w}`" for w in names[name])) for name in sorted(names)]
    return _table("Environment variables", ("variable", "read for"), rows)


def _all_texts() -> Iterator[tuple[str, str]]:
    for model in (ChatFields, TammaOpenAIConfig):
        yield from _field_texts(model).items()


# --- text ---


def _table(
    title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], summary: str = ""
) -> str:
    lines = [f"## {title}\n"]
    if summary:
        lines.append(f"{summary}\n")
    lines += [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return f'`"{value}"`'
    if callable(value):
        return "see right"
    shown = getattr(value, "value", value)
    return f"`{shown!r}`" if len(repr(shown)) < _LONGEST_DEFAULT else "see right"


def _line(text: str) -> str:
    return " ".join(text.split())


def main() -> int:
    """Write the page, or say whether it is current."""
    text = page()
    if "--check" not in sys.argv:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE.name} is not current: run {Path(__file__).name}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
