"""Judges single values: type, range, length, and whether the model takes the parameter at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real

from langchain_tamma_openai.models import ModelInfo
from langchain_tamma_openai.parameters.constraints import EFFORTS, ParameterConstraint
from langchain_tamma_openai.parameters.problems import UNSET, ParameterProblem

_MAX_METADATA_KEY_CHARS = 64
_MAX_METADATA_VALUE_CHARS = 512
_LEAVE_OUT = "leave it out"


@dataclass(frozen=True, slots=True)
class Asked:
    """One value, and what there is to judge it by.

    Attributes:
        path: The parameter, nested ones with a dot.
        value: What was given.
        constraint: What it may be.
        info: The model.
        effort: The effort the model will use; None where that is not known.
    """

    path: str
    value: object
    constraint: ParameterConstraint
    info: ModelInfo
    effort: object

    def problem(
        self,
        code: str,
        message: str,
        remedy: str,
        fix: object = None,
    ) -> ParameterProblem:
        """Describe a problem; `fix` is the value to send instead, None when there is none."""
        fixes = None if fix is None else {self.path: fix}
        return ParameterProblem(self.path, self.value, code, message, remedy, fixes)


def judge(asked: Asked) -> ParameterProblem | None:
    """Find what is wrong with a value; its type and range matter only where the model takes it."""
    judges = (_JUDGES[asked.constraint.kind], _unsupported)
    first, second = reversed(judges) if asked.constraint.support == "never" else judges
    return first(asked) or second(asked)


# --- does the model take it? -----------------------------------------------------------------


def _unsupported(asked: Asked) -> ParameterProblem | None:
    support = asked.constraint.support
    if support in ("always", None) or asked.value in asked.constraint.harmless:
        return None
    name = asked.info.name
    if support == "never":
        return asked.problem(
            "unsupported_parameter",
            f"{name} does not take it",
            f"{_LEAVE_OUT}, or use a model that takes it",
            UNSET,
        )
    if asked.effort in (None, "none"):
        return None
    return asked.problem(
        "unsupported_while_reasoning",
        f"{name} takes it only with reasoning effort 'none' (the effort is {asked.effort!r})",
        f"{_LEAVE_OUT}, or pass reasoning_effort='none'",
        UNSET,
    )


# --- numbers ---------------------------------------------------------------------------------


def _number(asked: Asked) -> ParameterProblem | None:
    value = asked.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _other_type(asked, "must be a number", whole=False)
    if not _is_finite(value):
        return asked.problem("not_finite", "must be a finite number", _LEAVE_OUT)
    return _range(asked, value)


def _integer(asked: Asked) -> ParameterProblem | None:
    value = asked.value
    if isinstance(value, bool) or not isinstance(value, int):
        return _other_type(asked, "must be a whole number", whole=True)
    return _range(asked, value)


def _range(asked: Asked, value: float) -> ParameterProblem | None:
    low, high = asked.constraint.minimum, asked.constraint.maximum
    if low is not None and value < low:
        # A count below 1 is no small count but a mistake, or another server's "no limit".
        is_count = asked.constraint.kind == "integer" and low >= 1
        fix = None if is_count and value < 1 else low
        return asked.problem("out_of_range", f"must be {_between(low, high)}", f"use {low:g}", fix)
    if high is not None and value > high:
        limit = _of_the_model(asked) or f"must be {_between(low, high)}"
        return asked.problem("out_of_range", limit, f"use {high:.12g}", high)
    return None


def _of_the_model(asked: Asked) -> str | None:
    if asked.constraint.name != "max_tokens":
        return None
    return f"{asked.info.name} answers with at most {asked.info.max_output_tokens} tokens"


def _between(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"from {low:.12g} to {high:.12g}"
    return f"at least {low:g}" if low is not None else f"at most {high:.12g}"


def _other_type(asked: Asked, message: str, *, whole: bool) -> ParameterProblem:
    """Refuse a value that is no number, and offer the one number that it can mean, if any."""
    read = None if isinstance(asked.value, bool) else _read_number(asked.value)
    if read is None or not math.isfinite(read) or (whole and read != int(read)):
        return asked.problem("wrong_type", message, f"pass one, or {_LEAVE_OUT}")
    number = int(read) if whole else read
    outside = _range(asked, number)
    if outside is not None:
        return asked.problem(
            "wrong_type", message, outside.remedy, (outside.fix or {}).get(asked.path)
        )
    return asked.problem("wrong_type", message, f"pass {number!r}", number)


def _read_number(value: object) -> float | None:
    if not isinstance(value, str | Real | Decimal):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond the range of floats is finite
        return True


# --- words -----------------------------------------------------------------------------------


def _boolean(asked: Asked) -> ParameterProblem | None:
    if isinstance(asked.value, bool):
        return None
    return asked.problem("wrong_type", "must be True or False", f"pass one, or {_LEAVE_OUT}")


def _text(asked: Asked) -> ParameterProblem | None:
    value, limit = asked.value, asked.constraint.max_chars
    if not isinstance(value, str):
        return asked.problem("wrong_type", "must be text", f"pass text, or {_LEAVE_OUT}")
    if limit is not None and len(value) > limit:
        return asked.problem(
            "too_long",
            f"has {len(value)} characters, at most {limit} are allowed",
            "shorten it, or send a hash of it",
        )
    return None


def _choice(asked: Asked) -> ParameterProblem | None:
    choices, value = asked.constraint.choices, asked.value
    if value in choices:
        return None
    listed = ", ".join(repr(choice) for choice in choices)
    if not isinstance(value, str):
        return asked.problem("wrong_type", f"must be one of {listed}", f"pass one of {listed}")
    fix = _meant(value, choices, asked.constraint.name)
    what = f"must be one of {listed}"
    if asked.info.known and asked.constraint.name in ("reasoning_effort", "prompt_cache_retention"):
        what = f"{asked.info.name} takes only {listed}"
    remedy = (
        f"use {fix!r}" if isinstance(fix, str) else f"use one of {listed}{_spelled(value, choices)}"
    )
    return asked.problem("unsupported_value", what, remedy, fix)


def _meant(value: str, choices: tuple[str, ...], name: str) -> object:
    """Find the one allowed word that a word can stand for; None when there is none."""
    word = value.strip().lower()
    if word in choices:
        return word
    if name == "reasoning_effort" and word in EFFORTS:
        return nearest_effort(word, choices)
    return UNSET if name == "prompt_cache_retention" and word in ("in_memory", "24h") else None


def nearest_effort(effort: str, choices: tuple[str, ...]) -> str:
    """Give the allowed effort that is nearest to one that is not, the greater one of two."""
    wanted = EFFORTS.index(effort)
    return min(
        reversed(choices),
        key=lambda choice: abs(EFFORTS.index(choice) - wanted),
    )


def _spelled(value: str, choices: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(value.lower(), choices, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


# --- lists and mappings ----------------------------------------------------------------------


def _stop(asked: Asked) -> ParameterProblem | None:
    value = asked.value
    if isinstance(value, str):
        return None
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        return asked.problem("wrong_type", "must be text or a list of texts", "pass those")
    limit = int(asked.constraint.maximum or 0)
    if len(value) <= limit:
        return None
    distinct = list(dict.fromkeys(value))[:limit]
    return asked.problem(
        "too_many", f"at most {limit} sequences are allowed", f"pass {limit} of them", distinct
    )


def _logit_bias(asked: Asked) -> ParameterProblem | None:
    value = asked.value
    if not isinstance(value, Mapping):
        return asked.problem("wrong_type", "must map token ids to biases", "pass {token_id: bias}")
    for key, bias in value.items():
        if not _is_token_id(key):
            return asked.problem(
                "wrong_type",
                f"the key {key!r} is no token id",
                "use the whole numbers that TokenCounter().token_ids(text, model) gives",
            )
        if isinstance(bias, bool) or not isinstance(bias, int | float) or not _is_finite(bias):
            return asked.problem("wrong_type", "biases must be numbers", "use -100 to 100")
    return _bias_range(asked, value)


def _bias_range(asked: Asked, value: Mapping[object, float]) -> ParameterProblem | None:
    low, high = int(asked.constraint.minimum or 0), int(asked.constraint.maximum or 0)
    if all(low <= bias <= high for bias in value.values()):
        return None
    clamped = {key: min(max(bias, low), high) for key, bias in value.items()}
    return asked.problem(
        "out_of_range", f"biases must be from {low} to {high}", f"use {clamped!r}", clamped
    )


def _is_token_id(key: object) -> bool:
    if isinstance(key, str):
        return key.isascii() and key.isdigit()
    return isinstance(key, int) and not isinstance(key, bool) and key >= 0


def _metadata(asked: Asked) -> ParameterProblem | None:
    value = asked.value
    if not isinstance(value, Mapping):
        return asked.problem("wrong_type", "must map texts to texts", "pass {'key': 'value'}")
    limit = int(asked.constraint.maximum or 0)
    if len(value) > limit:
        return asked.problem(
            "too_many", f"has {len(value)} entries, at most {limit} are allowed", "leave some out"
        )
    for message in _metadata_faults(value):
        return asked.problem("unsupported_value", message, "shorten it or send it as text")
    return None


def _metadata_faults(metadata: Mapping[object, object]) -> Iterator[str]:
    for key, value in metadata.items():
        if not isinstance(key, str) or len(key) > _MAX_METADATA_KEY_CHARS:
            yield f"keys must be texts of at most {_MAX_METADATA_KEY_CHARS} characters"
        if not isinstance(value, str) or len(value) > _MAX_METADATA_VALUE_CHARS:
            yield f"values must be texts of at most {_MAX_METADATA_VALUE_CHARS} characters"


_JUDGES: Mapping[str, Callable[[Asked], ParameterProblem | None]] = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "text": _text,
    "choice": _choice,
    "stop": _stop,
    "logit_bias": _logit_bias,
    "metadata": _metadata,
}
