"""Takes secrets out of text before it can reach an error, a log, a trace or a pickle.

Nothing here checks a key: a length rule would miss most keys in use today. Anything that starts
like one is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # OpenAI keys (sk-, sk-proj-, sk-svcacct-, sk-admin-) and look-alikes of other vendors.
    (re.compile(r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_\-]{6,}"), "sk-***"),
    # Short-lived client secrets of the Realtime API.
    (re.compile(r"(?<![A-Za-z0-9])ek_[A-Za-z0-9]{8,}"), "ek_***"),
    # LangSmith keys, which travel to its gateway in place of an OpenAI key.
    (re.compile(r"(?<![A-Za-z0-9])lsv2_[a-z]{2}_[A-Za-z0-9_]{8,}"), "lsv2_***"),
    # Authorization values; a plain word after "bearer" is prose, not a token.
    (
        re.compile(
            r"""\b(bearer|basic)(\s+)(?=[^\s"',]*[0-9_=./+~\-])[^\s"',]{6,}""", re.IGNORECASE
        ),
        r"\1\2***",
    ),
    # A header or query parameter that carries a key, e.g. Azure's `api-key`.
    (
        re.compile(
            r"""(\b(?:api[-_]key|access_token)\b["']?\s*[:=]\s*["']?)"""
            r"""(?=[^\s"',&]*\d)[^\s"',&]{12,}""",
            re.IGNORECASE,
        ),
        r"\1***",
    ),
    # Credentials in a URL, as in a proxy address.
    (re.compile(r"(://)[^\s/@:]+:[^\s/@]+(?=@)"), r"\1***:***"),
)


def redact_secrets(text: str) -> str:
    """Hide everything in ``text`` that looks like a credential.

    Args:
        text: Any text, such as the message of a server or of another library's exception.

    Returns:
        The same text with API keys, bearer tokens and URL passwords replaced by ``***``.
    """
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact_value(value: object) -> object:
    """Hide credentials inside a decoded JSON value.

    Args:
        value: Text, a mapping or a list, nested to any depth; other values pass through.

    Returns:
        A copy of the same shape with every text, keys of mappings included, made safe.
    """
    if isinstance(value, str):
        return redact_secrets(value)
    if isinstance(value, Mapping):
        return {redact_value(key): redact_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_value(item) for item in value]
    return value
