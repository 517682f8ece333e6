"""Cheap checks of constructor values, run every time a model or a config is made.

Each check returns nothing when the value is fine and raises `ConfigurationError` otherwise, naming
the field, the value (without secrets) and the way out. Nothing heavy is imported here: the error
classes load only when there is an error to raise.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from numbers import Real
from typing import NoReturn
from urllib.parse import urlsplit

_TIMEOUT_PARTS = ("connect", "read", "write", "pool")
_MAX_TIMEOUT_PARTS = len(_TIMEOUT_PARTS)
_SHOWN_CHARS = 60


def check_base_url(value: object, field: str = "base_url") -> None:
    """Check that a base URL has an http or https scheme, a host and a valid port.

    Args:
        value: The URL, as text or as an object whose `str()` is the URL. `None` and the empty
            string mean "not given" and pass.
        field: Name of the field, for the message.

    Raises:
        ConfigurationError: The URL cannot be used. A password in it is never shown.
    """
    if value is None or value == "":
        return
    url = str(value)
    problem = _url_problem(url)
    if problem is not None:
        _refuse(
            field, shown(safe_url(url)), f"{problem}; pass a full URL such as https://host:8000/v1"
        )


def check_timeout(value: object, field: str = "timeout") -> None:
    """Check a timeout: finite numbers of seconds greater than 0.

    Args:
        value: `None` (use the default), a number of seconds, a tuple `(connect, read)` with at
            most four parts `(connect, read, write, pool)`, or a timeout object of the HTTP
            library (anything with those four attributes). A part may be `None`: no limit.
        field: Name of the field, for the message.

    Raises:
        ConfigurationError: A negative, zero, NaN or infinite number, a bool, text, or a tuple of
            the wrong length.
    """
    if value is None or _is_seconds(value):
        return
    parts = _timeout_parts(value)
    if parts is None or not all(part is None or _is_seconds(part) for part in parts):
        _refuse(
            field,
            shown(value),
            "must be a finite number of seconds greater than 0, or a tuple (connect, read); "
            f"pass {field}=60, or leave it out for the default",
        )


def check_count(
    value: object, field: str, minimum: int | None = 0, maximum: int | None = None
) -> None:
    """Check a whole number against its bounds.

    Args:
        value: The number. `None` means "not given" and passes.
        field: Name of the field, for the message.
        minimum: Smallest allowed value, or `None` for no lower bound.
        maximum: Largest allowed value, or `None` for no upper bound.

    Raises:
        ConfigurationError: Not a whole number (a bool is not one), or out of bounds.
    """
    if value is None:
        return
    if isinstance(value, int) and not isinstance(value, bool):
        above = minimum is None or value >= minimum
        if above and (maximum is None or value <= maximum):
            return
    bounds = _bounds_text(minimum, maximum)
    _refuse(field, shown(value), f"must be a whole number{bounds}; correct it or leave it out")


@lru_cache(maxsize=256)
def safe_url(url: str) -> str:
    """Give a URL without user name, password, query and fragment, which may hold secrets.

    Args:
        url: Any text; what is no URL comes back without the same parts.
    """
    head = url.partition("?")[0].partition("#")[0]
    scheme, separator, rest = head.rpartition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def shown(value: object) -> str:
    """Show a value in an error message: its `repr`, without secrets, cut when long.

    Args:
        value: Anything a caller may have passed by mistake.
    """
    from langchain_tamma_openai.redact import redact_secrets

    text = redact_secrets(repr(value))
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def _is_seconds(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, Real)):
        return False
    return not value <= 0 and value <= sys.float_info.max  # a NaN fails the second comparison


def _timeout_parts(value: object) -> tuple[object, ...] | None:
    """Split a timeout into its parts, or answer None when it is no kind of timeout."""
    if isinstance(value, tuple):
        return value if 2 <= len(value) <= _MAX_TIMEOUT_PARTS else None  # noqa: PLR2004 - (connect, read)
    if all(hasattr(value, part) for part in _TIMEOUT_PARTS):
        return tuple(getattr(value, part) for part in _TIMEOUT_PARTS)
    return None


def _url_problem(url: str) -> str | None:
    if " " in url or not url.isprintable():  # other whitespace is not printable either
        return "contains whitespace or control characters"
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port  # both are parsed, and so checked, on access
    except ValueError:
        return "has a host or port that cannot be read"
    if parts.scheme not in {"http", "https"}:
        return "must start with http:// or https://"
    return None if host else "has no host"


def _bounds_text(minimum: int | None, maximum: int | None) -> str:
    if minimum is not None and maximum is not None:
        return f" from {minimum} to {maximum}"
    if minimum is not None:
        return f" of at least {minimum}"
    return "" if maximum is None else f" of at most {maximum}"


def _refuse(field: str, value_text: str, remedy: str) -> NoReturn:
    from langchain_tamma_openai.errors import ConfigurationError

    raise ConfigurationError(f"{field}: got {value_text}, {remedy}")
