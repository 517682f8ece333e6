"""Image tokens: the documented vectors, the bounds, and sizes read from the first bytes."""

from __future__ import annotations

import io
import struct
import wave
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from langchain_tamma_openai.errors import InvalidParameterError, TammaError
from langchain_tamma_openai.tokens import TokenCounter
from langchain_tamma_openai.tokens_images import DETAILS, count_image, image_bound
from langchain_tamma_openai.tokens_media import (
    audio_seconds,
    audio_tokens,
    decode_base64,
    file_tokens,
    image_size_px,
    split_data_url,
)

COUNTER = TokenCounter()
MODELS = [
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1-mini",
    "gpt-5",
    "gpt-5.4",
    "gpt-5.5",
    "gpt-5.6-sol",
    "gpt-6-luna",
    "o4-mini",
    "my-model",
]


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", width, height) + b"\x08\x06"


def data_url(mime_type: str, data: bytes) -> str:
    return f"data:{mime_type};base64,{b64encode(data).decode()}"


def wav(seconds: float) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as clip:
        clip.setnchannels(1)
        clip.setsampwidth(2)
        clip.setframerate(8_000)
        clip.writeframes(b"\0\0" * int(8_000 * seconds))
    return buffer.getvalue()


def extra(parts: list[dict[str, Any]], model: str = "gpt-4o") -> int:
    """Tokens that content parts add to an empty user message."""
    plain: list[dict[str, Any]] = [{"role": "user", "content": ""}]
    counted = COUNTER.count_messages([{"role": "user", "content": parts}], model)
    return counted - COUNTER.count_messages(plain, model)


@pytest.mark.parametrize(
    ("model", "square", "tall", "low"),
    [
        ("gpt-4o", 765, 1105, 85),
        ("gpt-4o-2024-08-06", 765, 1105, 85),
        ("chatgpt-4o-latest", 765, 1105, 85),
        ("gpt-4.1", 765, 1105, 85),
        ("ft:gpt-4.1-2025-04-14:org::id", 765, 1105, 85),
        ("gpt-4.5-preview", 765, 1105, 85),
        ("gpt-5", 630, 910, 70),
        ("gpt-5-chat-latest", 630, 910, 70),
        ("o3", 675, 975, 75),
        ("o1-pro", 675, 975, 75),
        ("gpt-4o-mini", 25501, 36835, 2833),
        ("computer-use-preview", 65 + 129 * 4, 65 + 129 * 6, 65),
    ],
)
def test_tile_vectors(model: str, square: int, tall: int, low: int) -> None:
    assert COUNTER.count_image(1024, 1024, model, "high") == square
    assert COUNTER.count_image(2048, 4096, model) == tall
    assert COUNTER.count_image(4096, 2048, model, "auto") == tall
    assert COUNTER.count_image(4096, 8192, model, "low") == low
    assert not COUNTER.count_image(1024, 1024, model).estimated


def test_small_images_are_not_scaled_up() -> None:
    assert COUNTER.count_image(512, 512, "gpt-4o") == 255


@pytest.mark.parametrize(
    "model", ["gpt-5.2", "gpt-5.3-codex", "gpt-5.1-codex-mini", "gpt-5.2-chat-latest"]
)
def test_patch_vectors(model: str) -> None:
    assert COUNTER.count_image(1024, 1024, model, "high") == 1024
    assert COUNTER.count_image(1800, 2400, model, "high") == 1452
    assert COUNTER.count_image(1, 1, model) == 1
    assert COUNTER.count_image(33, 32, model) == 2


@pytest.mark.parametrize(
    ("model", "square", "tall"),
    [
        ("gpt-5-mini", 1659, 2353),  # 1658.88 and 2352.24
        ("gpt-5.4-mini", 1659, 2353),
        ("gpt-4.1-mini", 1659, 2353),
        ("gpt-5-nano", 2520, 3572),  # 2519.04 and 3571.92
        ("gpt-5.4-nano", 2520, 3572),
        ("gpt-4.1-nano", 2520, 3572),
        ("o4-mini", 1762, 2498),  # 1761.28 and 2497.44
    ],
)
def test_factors_are_rounded_up_and_marked(model: str, square: int, tall: int) -> None:
    assert COUNTER.count_image(1024, 1024, model) == square
    assert COUNTER.count_image(1800, 2400, model) == tall
    assert COUNTER.count_image(1024, 1024, model).estimated


@pytest.mark.parametrize(
    ("model", "low", "high", "original", "auto"),
    [
        ("gpt-5.2", 256, 1521, 1521, 1521),
        ("gpt-5.4", 256, 2500, 10_000, 2500),
        ("gpt-5.5", 256, 2500, 10_000, 10_000),
        ("gpt-5.6-sol", 256, 2500, 15_625, 15_625),
        ("gpt-6-luna", 256, 2500, 15_625, 15_625),
    ],
)
def test_detail_decides_the_budget(
    model: str, low: int, high: int, original: int, auto: int
) -> None:
    counts = {detail: COUNTER.count_image(4000, 4000, model, detail) for detail in (*DETAILS, None)}
    assert counts == {"low": low, "high": high, "original": original, "auto": auto, None: auto}
    assert counts["low"].estimated
    assert counts["high"].estimated is model.startswith("gpt-6")


def test_a_long_side_is_limited_even_within_the_budget() -> None:
    assert COUNTER.count_image(3000, 400, "gpt-5.2") == 64 * 9  # scaled to 2048 x 273


@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-5.1", "chat-latest", "my-model"])
def test_models_outside_the_tables_are_marked(model: str) -> None:
    assert COUNTER.count_image(640, 480, model).estimated


@settings(deadline=None)
@given(
    width=st.integers(1, 20_000),
    height=st.integers(1, 20_000),
    model=st.sampled_from(MODELS),
    detail=st.sampled_from(DETAILS),
)
def test_a_count_is_positive_symmetric_and_within_its_bound(
    width: int, height: int, model: str, detail: str
) -> None:
    image = count_image(width, height, model, detail)
    tokens = image.tokens
    assert tokens >= 1
    assert image.low_tokens is None or image.low_tokens <= tokens
    assert image.high_tokens is None or image.high_tokens >= tokens
    assert tokens == count_image(height, width, model, detail).tokens
    unlimited = model.startswith(("gpt-5.6", "gpt-6")) and detail in {"original", "auto"}
    assert unlimited or tokens <= image_bound(model, detail).tokens


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, -1), (True, 5), (1.5, 5), ("5", 5)])
def test_impossible_sizes_are_refused(width: Any, height: Any) -> None:
    with pytest.raises(InvalidParameterError, match=r"^(width|height): got .* at least 1"):
        COUNTER.count_image(width, height, "gpt-4o")


def test_unknown_detail_is_refused() -> None:
    with pytest.raises(
        ValueError, match="detail: got 'medium', must be one of low, high"
    ) as caught:
        COUNTER.count_image(5, 5, "gpt-4o", "medium")
    assert isinstance(caught.value, TammaError)


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    b"\xff\xff\xff\x01\xff\xc2\x00\x11\x08" + struct.pack(">HH", 480, 640) + b"\x03"
)


@pytest.mark.parametrize(
    "data",
    [
        png(640, 480),
        b"GIF89a" + struct.pack("<HH", 640, 480),
        b"GIF87a" + struct.pack("<HH", 640, 480),
        JPEG,
        b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0"
        + (639).to_bytes(3, "little")
        + (479).to_bytes(3, "little"),
        b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", 639 | 479 << 14),
        b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640, 480),
    ],
)
def test_sizes_are_read_from_the_header(data: bytes) -> None:
    assert image_size_px(data) == (640, 480)
    parts = [{"type": "image_url", "image_url": {"url": data_url("image/x", data)}}]
    assert extra(parts) == COUNTER.count_image(640, 480, "gpt-4o")


@pytest.mark.parametrize(
    "data",
    [b"", b"%PDF", png(0, 480), JPEG[:30], b"\xff\xd8\x00\x00" * 5, b"RIFF\0\0\0\0WEBPALPH" * 3],
)
def test_unreadable_sizes_are_unknown(data: bytes) -> None:
    assert image_size_px(data) is None


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_break_the_size_reader(tail: bytes) -> None:
    for head in (b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X"):
        size = image_size_px(head + tail)
        assert size is None or min(size) > 0


@pytest.mark.parametrize(
    ("model", "detail", "tokens"),
    [
        ("gpt-4o", "auto", 85 + 8 * 170),
        ("gpt-4o", "low", 85),
        ("gpt-5.4", "high", 2500),
        ("gpt-5.5", "auto", 10_000),
        ("gpt-5.6-sol", "auto", 10_000),
        ("gpt-5-mini", "auto", 2489),  # 1536 * 1.62
    ],
)
def test_a_remote_image_counts_at_its_upper_bound(model: str, detail: str, tokens: int) -> None:
    image = {"url": "https://example.com/cat.png", "detail": detail}
    messages = [HumanMessage([{"type": "image_url", "image_url": image}])]
    count = COUNTER.count_messages(messages, model)
    assert count == tokens + 7
    assert any("none is fetched" in note for note in count.notes)


@pytest.mark.parametrize(
    "image",
    [
        {"url": "data:image/png;base64,not*base64"},
        {"url": "data:image/png,raw"},
        {"url": data_url("image/png", b"junk"), "detail": "huge"},
        {},
        "https://example.com/cat.png",
    ],
)
def test_unreadable_images_count_at_the_bound_too(image: object) -> None:
    assert extra([{"type": "image_url", "image_url": image}]) == 85 + 8 * 170


def test_langchain_image_blocks() -> None:
    block = {
        "type": "image",
        "base64": b64encode(png(1024, 1024)).decode(),
        "mime_type": "image/png",
    }
    assert COUNTER.count_messages([HumanMessage([block])], "gpt-4o") == 765 + 7
    raw = {"role": "user", "content": [block]}
    assert COUNTER.count_messages([raw], "gpt-4o") == 765 + 7


def test_audio_counts_by_its_length() -> None:
    assert audio_seconds(wav(2.5), "wav") == 2.5
    assert audio_tokens(2.5) == 25
    assert audio_tokens(2.5, assistant=True) == 50
    assert audio_tokens(0.01) == 1
    part = {"type": "input_audio", "input_audio": {"data": b64encode(wav(3)).decode()}}
    part["input_audio"]["format"] = "wav"  # type: ignore[index]
    assert extra([part]) == 30
    assert COUNTER.count_messages([{"role": "user", "content": [part]}], "gpt-4o").estimated


@pytest.mark.parametrize(
    ("data", "audio_format", "seconds"),
    [
        (b"\0" * 48_000, "pcm16", 1),
        (b"\0" * 4_000, "mp3", 1),
        (b"\0" * 48_000, "wav", 1),  # no header
        (b"", "wav", 0),
        (wav(1)[:8044], "wav", 0.50275),  # cut: no longer than its bytes
    ],
)
def test_audio_without_a_readable_length(data: bytes, audio_format: str, seconds: float) -> None:
    assert audio_seconds(data, audio_format) == seconds


def test_broken_audio_costs_nothing_but_is_marked() -> None:
    assert extra([{"type": "input_audio", "input_audio": {"data": "*", "format": "mp3"}}]) == 0


def test_files() -> None:
    two_pages = b"%PDF-1.7 <</Type /Page>> <</Type/Page>> <</Type /Pages>>"
    assert file_tokens("application/pdf", two_pages).pages == 2
    assert file_tokens("", b"%PDF-1.7" + b"\0" * 120_000).pages == 3
    assert file_tokens("text/csv", b"a,b").text == "a,b"
    assert file_tokens("application/zip", b"12345").text_tokens == 2


def test_files_in_messages_are_estimates() -> None:
    page = b"%PDF-1.7 <</Type /Page>>"
    pdf = {"file_data": data_url("application/pdf", page), "filename": "a"}
    assert extra([{"type": "file", "file": pdf}]) == 1 + 1000 + 85 + 8 * 170
    text = {"file_data": data_url("text/plain", b"hello world")}
    assert extra([{"type": "file", "file": text}]) == 2
    count = COUNTER.count_messages(
        [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}], "gpt-4o"
    )
    assert count == 3 + 3 + 1
    assert "not counted" in count.notes[0]


def test_content_without_a_form_in_chat_counts_by_its_text() -> None:
    blob = "A" * 100_000
    video = HumanMessage([{"type": "video", "base64": blob, "mime_type": "video/mp4"}, "hello"])
    count = COUNTER.count_messages([video], "gpt-4o")
    assert count.estimated
    assert count < 100
    raw = {"role": "user", "content": [{"type": "odd", "things": ["hello", 1, blob]}, 5]}
    assert 5 < COUNTER.count_messages([raw], "gpt-4o") < 100


def test_an_earlier_spoken_answer_is_marked_as_not_counted() -> None:
    message = {"role": "assistant", "content": None, "audio": {"id": "audio_1"}}
    count = COUNTER.count_messages([message], "gpt-4o")
    assert count == 3 + 3 + 1
    assert "not counted" in count.notes[0]


@pytest.mark.parametrize("url", ["https://x/y", "data:text/plain,hi", "data:;base64,a", ""])
def test_other_urls_hold_no_data(url: str) -> None:
    assert split_data_url(url) is None


def test_data_urls_are_split() -> None:
    assert split_data_url("data:Text/Plain;charset=utf-8;base64,aGk=") == ("text/plain", b"hi")
    assert decode_base64("é") is None
