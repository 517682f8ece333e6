"""Encodings from the package's own files: no network, no cache folder, no environment variable.

tiktoken's `get_encoding` downloads a vocabulary at first use, or reads it from the folder that
`TIKTOKEN_CACHE_DIR` names. Here a `tiktoken.Encoding` is built directly from the ranks and the
pattern in `data/encodings/`, checked by SHA-256, once per process. tiktoken's own registry is not
touched. The encodings know no special tokens: `<|endoftext|>` in a text is text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    import tiktoken

# What tiktoken publishes, with its error about fine-tuned gpt-4.1 models put right.
_PUBLISHED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"gpt-oss(-|$)"), "o200k_harmony"),
    (re.compile(r"(chat)?gpt-4o(-|$)|gpt-4\.[15](-|$)|gpt-5"), "o200k_base"),
    (re.compile(r"(o1|o3|o4-mini)(-|$)"), "o200k_base"),
    (re.compile(r"gpt-4(-|$)|gpt-3\.?5(-|$)"), "cl100k_base"),
    (re.compile(r"text-embedding-|(davinci|babbage)-002"), "cl100k_base"),
)
_FALLBACK = "o200k_base"
_SAME_RANKS = {"o200k_harmony": "o200k_base"}

# A run of a million blanks overflows the stack of tiktoken's regular expression and panics.
_MAX_BLANK_RUN_CHARS = 500_000
_BLANK_RUN = re.compile(rf"\s{{{_MAX_BLANK_RUN_CHARS}}}")
_PROBE_STEP_CHARS = _MAX_BLANK_RUN_CHARS // 2
_PROBE_CHARS = 100

# Counts of texts that come again with every turn of a conversation; the texts are not kept.
_MIN_REMEMBERED_CHARS = 64
_MAX_NAME_CHARS = 16
_MAX_REMEMBERED = 8_192
_remembered: dict[tuple[str, bytes], int] = {}

_lock = Lock()


@dataclass(frozen=True, slots=True)
class EncodingChoice:
    """Which encoding a model uses, and whether that is known or assumed."""

    name: str
    assumed: bool


def base_model_name(model: str) -> str:
    """Reduce a model id to the name its tokenizer and image rules go by.

    Args:
        model: For example `gpt-4o`, `openai/gpt-4o`, `ft:gpt-4.1-mini-2025-04-14:org::id`.

    Returns:
        The lower-case name without a provider path and without the parts of a fine-tuned id.
    """
    name = model.rpartition("/")[2].strip().lower()
    return name.split(":")[1] if name.startswith("ft:") else name


@lru_cache(maxsize=256)
def encoding_for_model(model: str) -> EncodingChoice:
    """Choose the encoding of a model: the catalogue's, else its family's.

    Args:
        model: Any model id. Where OpenAI has published no tokenizer (`gpt-6*`, unknown models) the
            choice is an assumption.
    """
    from langchain_tamma_openai.models import ModelCatalog

    name = base_model_name(model)
    published = next((encoding for known, encoding in _PUBLISHED if known.match(name)), None)
    listed = ModelCatalog().get(name).encoding
    return EncodingChoice(listed or published or _FALLBACK, assumed=published is None)


def encode(text: str, encoding_name: str) -> list[int]:
    """Encode a text; special-token text such as `<|endoftext|>` counts as text.

    Args:
        text: Any text, of any length.
        encoding_name: `o200k_base`, `o200k_harmony` or `cl100k_base`.
    """
    encoding = load_encoding(encoding_name)
    if len(text) > _MAX_BLANK_RUN_CHARS and _has_long_blank_run(text):
        size = _MAX_BLANK_RUN_CHARS
        pieces = (text[start : start + size] for start in range(0, len(text), size))
        return [token for piece in pieces for token in encoding.encode_ordinary(piece)]
    return encoding.encode_ordinary(text)


def count_tokens(text: str, encoding_name: str) -> int:
    """Count the tokens of a text; a text that was counted before costs only its digest.

    Args:
        text: Any text, of any length.
        encoding_name: `o200k_base`, `o200k_harmony` or `cl100k_base`.
    """
    if len(text) <= _MAX_NAME_CHARS:  # roles and names
        return _count_short(text, encoding_name)
    if len(text) < _MIN_REMEMBERED_CHARS:
        return len(encode(text, encoding_name))
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    key = _SAME_RANKS.get(encoding_name, encoding_name), digest
    count = _remembered.get(key)
    if count is None:
        count = len(encode(text, encoding_name))
        if len(_remembered) >= _MAX_REMEMBERED:
            _remembered.clear()
        _remembered[key] = count
    return count


@lru_cache(maxsize=512)
def _count_short(text: str, encoding_name: str) -> int:
    return len(encode(text, encoding_name))


def _has_long_blank_run(text: str) -> bool:
    """Look for a run of blanks long enough to break the tokenizer; nearly free for other texts."""
    starts = range(0, len(text), _PROBE_STEP_CHARS)  # a long run covers one of the probes
    probed = any(text[start : start + _PROBE_CHARS].isspace() for start in starts)
    return probed and _BLANK_RUN.search(text) is not None


def load_encoding(name: str) -> tiktoken.Encoding:
    """Load an encoding from the package, once per process.

    Args:
        name: `o200k_base`, `o200k_harmony` (for plain text the same) or `cl100k_base`.

    Raises:
        ConfigurationError: The vocabulary file is missing or not the one that was shipped.
        LookupError: No such encoding in the package.
    """
    with _lock:  # a first use by several threads at once must not load it several times
        return _load(_SAME_RANKS.get(name, name))


@cache
def _load(name: str) -> tiktoken.Encoding:
    import json
    from importlib.resources import files

    import tiktoken

    folder = files("langchain_tamma_openai") / "data" / "encodings"
    entry = json.loads((folder / "encodings.json").read_text(encoding="utf-8"))[name]
    ranks = _read_ranks(folder / entry["file"], entry["sha256"])
    return tiktoken.Encoding(
        name, pat_str=entry["pattern"], mergeable_ranks=ranks, special_tokens={}
    )


def _read_ranks(file: Traversable, sha256: str) -> dict[bytes, int]:
    """Read lines of `base64(token) rank`."""
    from base64 import b64decode
    from hashlib import sha256 as digest

    data = file.read_bytes() if file.is_file() else b""
    if digest(data).hexdigest() != sha256:
        from langchain_tamma_openai.errors import ConfigurationError

        raise ConfigurationError(
            f"vocabulary file {file.name}: missing or changed since it was packaged; "
            "reinstall langchain-tamma-openai"
        )
    pairs = (line.split() for line in data.splitlines())
    return {b64decode(token): int(rank) for token, rank in pairs}
