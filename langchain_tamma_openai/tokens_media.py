"""Sizes read from the first bytes of images and audio, and token estimates for files.

Nothing is fetched and no imaging library is needed: an image says its size in its header.
"""

from __future__ import annotations

import binascii
import math
import re
from base64 import b64decode
from dataclasses import dataclass

# Realtime prices audio at one token per 100 ms of the user's and 50 ms of the assistant's voice
# (https://developers.openai.com/api/docs/guides/realtime-costs); chat is assumed to do the same.
USER_AUDIO_TOKENS_PER_S = 10
ASSISTANT_AUDIO_TOKENS_PER_S = 20

# Compressed audio is taken to have the lowest usual bit rate, so that its length is a bound.
_PCM16_BYTES_PER_S = 48_000  # 24 kHz, mono
_COMPRESSED_BYTES_PER_S = 4_000  # 32 kbit/s
_COMPRESSED_RATE_SPAN = 10  # up to 320 kbit/s

_PDF_PAGE = re.compile(rb"/Type\s*/Page\b")
_PDF_BYTES_PER_PAGE = 50_000  # for documents whose page objects are compressed
_PDF_TEXT_TOKENS_PER_PAGE = 1_000
_BYTES_PER_TOKEN = 4
_TEXT_TYPES = re.compile(r"text/|application/(json|xml|x-yaml|yaml|javascript|x-ndjson|sql)")

_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset(range(0xD0, 0xD9)) | {0x01}


@dataclass(frozen=True, slots=True)
class FileTokens:
    """What a file is estimated to hold."""

    pages: int = 0
    """Pages that are sent as images as well."""
    text: str | None = None
    """The text itself, where the file is text."""
    text_tokens: int = 0
    """Estimated tokens of text, where it cannot be read."""
    limited: bool = True
    """Whether the estimate can be far exceeded; compressed documents hold any amount of text."""


def split_data_url(url: str) -> tuple[str, bytes] | None:
    """Split a base64 `data:` URL.

    Args:
        url: Any URL.

    Returns:
        The MIME type (may be empty) and the bytes, or `None` for any other or a broken URL.
    """
    head, comma, payload = url.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return None
    data = decode_base64(payload)
    return None if data is None else (head[5:].partition(";")[0].lower(), data)


def decode_base64(text: str) -> bytes | None:
    """Decode base64, or answer `None` when it is none."""
    try:
        return b64decode(text)
    except (binascii.Error, ValueError):
        return None


def image_size_px(data: bytes) -> tuple[int, int] | None:
    """Read width and height of a PNG, JPEG, GIF or WebP image.

    Args:
        data: The file; its first bytes are enough, for JPEG up to the frame header.

    Returns:
        Width and height in pixels, or `None` when they cannot be told.
    """
    size = None
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        size = _big(data[16:20]), _big(data[20:24])
    elif data.startswith((b"GIF87a", b"GIF89a")):
        size = _little(data[6:8]), _little(data[8:10])
    elif data.startswith(b"\xff\xd8"):
        size = _jpeg_size(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        size = _webp_size(data)
    return size if size is not None and min(size) > 0 else None


def audio_seconds(data: bytes, audio_format: str) -> float:
    """Tell how long an audio clip is: exactly for WAV, as an upper bound otherwise.

    Args:
        data: The clip.
        audio_format: `wav`, `pcm16`, `mp3` or another compressed format.
    """
    if audio_format == "wav":
        exact = _wav_seconds(data)
        if exact is not None:
            return exact
    raw = audio_format in {"wav", "pcm16"}
    return len(data) / (_PCM16_BYTES_PER_S if raw else _COMPRESSED_BYTES_PER_S)


def audio_bounds_s(data: bytes, audio_format: str) -> tuple[float, float]:
    """Tell the least and the greatest length of an audio clip in seconds.

    Args:
        data: The clip.
        audio_format: `wav`, `pcm16`, `mp3` or another compressed format.
    """
    longest_s = audio_seconds(data, audio_format)
    exact = audio_format == "wav" and _wav_seconds(data) is not None
    return longest_s if exact else longest_s / _COMPRESSED_RATE_SPAN, longest_s


def audio_tokens(seconds: float, *, assistant: bool = False) -> int:
    """Count the tokens of audio.

    Args:
        seconds: Length of the clip.
        assistant: Whether the model speaks; its audio costs twice as many tokens.
    """
    rate = ASSISTANT_AUDIO_TOKENS_PER_S if assistant else USER_AUDIO_TOKENS_PER_S
    return math.ceil(seconds * rate)


def file_tokens(mime_type: str, data: bytes) -> FileTokens:
    """Estimate what a file costs: its text, and for a PDF one image per page as well.

    Args:
        mime_type: For example `application/pdf`; may be empty.
        data: The file.
    """
    if mime_type == "application/pdf" or data.startswith(b"%PDF"):
        found = len(_PDF_PAGE.findall(data))
        pages = found or math.ceil(len(data) / _PDF_BYTES_PER_PAGE)
        tokens = pages * _PDF_TEXT_TOKENS_PER_PAGE
        return FileTokens(pages=pages, text_tokens=tokens, limited=bool(found))
    if _TEXT_TYPES.match(mime_type):
        return FileTokens(text=data.decode("utf-8", "replace"))
    return FileTokens(text_tokens=math.ceil(len(data) / _BYTES_PER_TOKEN), limited=False)


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Walk the segments to the frame header, which holds height and width."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:  # noqa: PLR2004 - starts every marker
        marker = data[at + 1]
        if marker in _JPEG_FRAMES:
            return _big(data[at + 7 : at + 9]), _big(data[at + 5 : at + 7])
        if marker == 0xFF:  # noqa: PLR2004 - padding
            at += 1
        else:
            at += 2 if marker in _JPEG_BARE else 2 + _big(data[at + 2 : at + 4])
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return _little(data[24:27]) + 1, _little(data[27:30]) + 1
    if kind == b"VP8L":
        bits = _little(data[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return _little(data[26:28]) & 0x3FFF, _little(data[28:30]) & 0x3FFF
    return None


def _wav_seconds(data: bytes) -> float | None:
    import io
    import wave

    try:
        with wave.open(io.BytesIO(data)) as clip:
            frame_bytes = clip.getnchannels() * clip.getsampwidth()
            # A streamed file may claim any number of frames: believe no more than its bytes.
            frames = min(clip.getnframes(), len(data) // frame_bytes)
            seconds: float = frames / clip.getframerate()
    except (wave.Error, EOFError, ZeroDivisionError):
        return None
    return seconds
