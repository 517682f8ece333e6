"""Checks of a governor's settings, each naming the field, the value and the way out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NoReturn

from langchain_tamma_openai.checks import shown


def check_seconds(value: object, field: str) -> None:
    """Check a length of time.

    Args:
        value: Seconds.
        field: Name of the field, for the message.

    Raises:
        ConfigurationError: Not a finite number greater than 0; a bool is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_positive(value):
        refuse(field, value, "a finite number of seconds greater than 0")


def check_positive_count(value: object, field: str) -> None:
    """Check a number of things.

    Args:
        value: How many.
        field: Name of the field, for the message.

    Raises:
        ConfigurationError: Not a whole number of at least 1; a bool is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        refuse(field, value, "a whole number of at least 1")


def check_choice(value: object, field: str, choices: Sequence[str]) -> None:
    """Check a word against those that mean something.

    Args:
        value: The word.
        field: Name of the field, for the message.
        choices: The words that are allowed.

    Raises:
        ConfigurationError: It is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        refuse(field, value, "one of " + ", ".join(repr(choice) for choice in choices))


def check_flag(value: object, field: str) -> None:
    """Check a switch.

    Args:
        value: On or off.
        field: Name of the field, for the message.

    Raises:
        ConfigurationError: Neither True nor False.
    """
    if not isinstance(value, bool):
        refuse(field, value, "True or False")


def refuse(field: str, value: object, expected: str) -> NoReturn:
    """Refuse a setting.

    Args:
        field: Its name.
        value: What was given; shown without secrets.
        expected: What it must be.

    Raises:
        ConfigurationError: Always.
    """
    from langchain_tamma_openai.errors import ConfigurationError

    raise ConfigurationError(
        f"{field}: got {shown(value)}, must be {expected}; correct it or leave it out", param=field
    )


def _is_positive(value: float) -> bool:
    try:
        return math.isfinite(value) and value > 0
    except OverflowError:
        return False
