"""The values that may fill a variable, and the text they become."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from uuid import UUID

_SCALARS = (int, float, Decimal, Fraction, date, time, timedelta, UUID, PurePath)
_TYPE_WORDS = {
    "NoneType": "nothing",
    "bool": "true or false",
    "dict": "a mapping",
    "float": "a number",
    "int": "a number",
    "list": "a list",
    "str": "text",
}


def plain_value(value: object) -> object:
    """Take the value out of an enum member; other values come back as they are.

    Args:
        value: What a caller passed for a variable.
    """
    return value.value if isinstance(value, Enum) else value


def text_of(value: object) -> str:
    """Write a value as text: text as it is, everything else as `str()` writes it.

    Args:
        value: Text, a number, a bool, a date or time, a UUID, a path, or an enum member whose
            value is one of these.

    Raises:
        ValueError: The value has no text that could be meant; the message says why.
    """
    value = plain_value(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, _SCALARS):
        return str(value)  # a ValueError for a whole number of more digits than Python converts
    raise ValueError(_refusal(value))


def value_problem(value: object) -> str | None:
    """Say why a value cannot fill a variable, or None when it can.

    Args:
        value: What a caller passed for a variable.
    """
    if isinstance(value, str):
        return None
    try:
        text_of(value)
    except ValueError as exc:
        return str(exc)
    return None


def kind_of(value: object) -> str:
    """Name the type of a value in words for an error message, without its content.

    Args:
        value: Anything.
    """
    name = type(value).__name__
    return _TYPE_WORDS.get(name, f"a value of type {name}")


def _refusal(value: object) -> str:
    if value is None:
        return "is None; leave the variable out to use its default, or pass '' for nothing"
    return f"is {kind_of(value)}; pass text, for example json.dumps(...) of it"
