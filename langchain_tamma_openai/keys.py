"""API keys: show them safely, name them in logs, and find mistakes before a byte is sent.

Keys are never judged by their length: OpenAI has changed it several times, and a rule for one kind
refuses all the others. Prefixes are known, but only for the official host: every other server
chooses its own keys.
"""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

_OFFICIAL_HOST = "api.openai.com"
_KEYS_PAGE = "https://platform.openai.com/api-keys"

# Longest first: the first match names the kind of key that is kept visible when it is redacted.
_OPENAI_PREFIXES = ("sk-svcacct-", "sk-admin-", "sk-proj-", "sk-None-", "sk-", "ek_")
_GATEWAY_PREFIX = "lsv2_"
_FOREIGN_PREFIXES = {
    "sk-ant-": "an Anthropic key",
    "sk-or-": "an OpenRouter key",
    "gsk_": "a Groq key",
    "AIza": "a Google key",
    "xai-": "an xAI key",
    "hf_": "a Hugging Face key",
    "pplx-": "a Perplexity key",
    "nvapi-": "an NVIDIA key",
}
_VISIBLE_TAIL_CHARS = 4
_MIN_CHARS_FOR_TAIL = 20


def redact_api_key(key: object) -> str:
    """Show a key without giving it away: its prefix and, for long keys, its last 4 characters.

    Args:
        key: Text, a `SecretStr`, a callable that makes keys, or `None`.

    Returns:
        For example `sk-proj-***wxyz`; `(not set)`, `(empty)` or `(callable)` when there is no text.
    """
    if key is None:
        return "(not set)"
    text = _secret_text(key)
    if text is None:
        return "(callable)" if callable(key) else f"({type(key).__name__})"
    if not text.strip():
        return "(empty)"
    prefix = next((p for p in (*_OPENAI_PREFIXES, _GATEWAY_PREFIX) if text.startswith(p)), "")
    body = text[len(prefix) :]
    tail = body[-_VISIBLE_TAIL_CHARS:] if len(body) >= _MIN_CHARS_FOR_TAIL else ""
    return f"{prefix}***{tail if tail.isascii() and tail.isprintable() else ''}"


def hash_api_key(key: object) -> str:
    """Name a key for logs and records: the first 8 hex digits of its SHA-256.

    Args:
        key: Text or a `SecretStr`.

    Returns:
        Eight hex digits, the same for the same key; they cannot be turned back into it.

    Raises:
        TypeError: Not a text (for example a callable: call it first).
    """
    text = _secret_text(key)
    if text is None:
        message = f"hash_api_key needs the key's text, not {type(key).__name__}"
        raise TypeError(message)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def check_api_key(value: object, base_url: object = None, field: str = "api_key") -> None:
    """Refuse a key that cannot be sent in an HTTP header at all, whatever the host.

    Args:
        value: Text or a `SecretStr`. `None` and callables pass: there is no text to look at yet.
        base_url: The server the key is for; it decides only what the message recommends.
        field: Name of the field, for the message.

    Raises:
        ConfigurationError: The key is blank, has whitespace, a line break or a control character
            in or around it, or a character outside ASCII. The message shows the key redacted.
    """
    text = _secret_text(value)
    if text is None or (text.isascii() and text.isprintable() and text and " " not in text):
        return
    from langchain_tamma_openai.errors import ConfigurationError

    message = f"{field} (OPENAI_API_KEY): got {redact_api_key(text)}, which {_text_problem(text)}"
    raise ConfigurationError(f"{message}; {_key_remedy(base_url)}")


def api_key_problem(value: object, base_url: object = None) -> str | None:
    """Say what looks wrong about a key for the official OpenAI host, judged by its prefix only.

    A finding is advice and not an error: whether a key works is for the server to say.

    Args:
        value: Text or a `SecretStr`; anything else has no prefix to judge.
        base_url: The server the key is for. Any host but OpenAI's own gives `None`.

    Returns:
        One sentence that names the field and the remedy and shows the key redacted, or `None`.
    """
    text = _secret_text(value)
    if text is None or not is_official_host(base_url):
        return None
    finding = _prefix_problem(text)
    if finding is None:
        return None
    return f"api_key (OPENAI_API_KEY): {redact_api_key(text)} {finding}"


def is_official_host(base_url: object) -> bool:
    """Tell whether a base URL is OpenAI's own: `api.openai.com` or a regional name under it.

    Args:
        base_url: The URL; `None` and the empty string mean the SDK's default, which is official.
    """
    if base_url is None or base_url == "":
        return True
    try:
        host = urlsplit(str(base_url)).hostname or ""
    except ValueError:
        return False
    return host == _OFFICIAL_HOST or host.endswith(f".{_OFFICIAL_HOST}")


def _secret_text(value: object) -> str | None:
    """Read a key from text or from anything that hides text as pydantic's SecretStr does."""
    if isinstance(value, str):
        return value
    reveal = getattr(value, "get_secret_value", None)
    return str(reveal()) if callable(reveal) else None


def _text_problem(text: str) -> str:
    if not text.strip():
        return "is blank"
    if "\n" in text or "\r" in text:
        return "contains a line break"
    if any(char.isspace() for char in text):
        return "contains whitespace"
    return "contains a control character" if text.isascii() else "contains a non-ASCII character"


def _key_remedy(base_url: object) -> str:
    if is_official_host(base_url):
        return f"copy the whole key, and nothing else, from {_KEYS_PAGE}"
    return "pass the key your server expects, or any word such as 'unused' if it expects none"


def _prefix_problem(text: str) -> str | None:
    if text.startswith("sk-admin-"):
        return f"is an admin key, which chat endpoints refuse; use a project key from {_KEYS_PAGE}"
    if text.startswith(_GATEWAY_PREFIX):
        return "is a LangSmith key; it works only with the LangSmith gateway as base_url"
    for prefix, owner in _FOREIGN_PREFIXES.items():
        if text.startswith(prefix):
            return f"looks like {owner}; set base_url to that provider or use an OpenAI key"
    if text.startswith(_OPENAI_PREFIXES):
        return None
    return f"does not start like an OpenAI key (sk-...); create one at {_KEYS_PAGE}"
