"""The packaged vocabularies: the right one for each model, unharmed, and equal to tiktoken's."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import pytest
import tiktoken
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiktoken import registry

from langchain_tamma_openai import tokens_encodings
from langchain_tamma_openai.errors import ConfigurationError
from langchain_tamma_openai.models import ModelCatalog
from langchain_tamma_openai.tokens import TokenCounter
from langchain_tamma_openai.tokens_encodings import (
    base_model_name,
    encode,
    encoding_for_model,
    load_encoding,
)

_THEIRS: dict[
    str, tiktoken.Encoding
] = {}  # what tiktoken loaded from our files, kept for all tests
ENCODINGS = Path(str(files("langchain_tamma_openai") / "data" / "encodings"))


@pytest.fixture
def _tiktoken_reads_our_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tiktoken itself load the packaged files; its registry is put back afterwards."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(ENCODINGS))
    monkeypatch.setattr(registry, "ENCODINGS", _THEIRS)


@pytest.mark.parametrize(
    ("model", "name", "assumed"),
    [
        ("gpt-4", "cl100k_base", False),
        ("gpt-4-turbo-preview", "cl100k_base", False),
        ("gpt-4-0613", "cl100k_base", False),
        ("gpt-3.5-turbo", "cl100k_base", False),
        ("gpt-35-turbo-16k", "cl100k_base", False),
        ("ft:gpt-3.5-turbo-0125:org::id", "cl100k_base", False),
        ("text-embedding-3-small", "cl100k_base", False),
        ("gpt-4o", "o200k_base", False),
        ("gpt-4o-mini-2024-07-18", "o200k_base", False),
        ("chatgpt-4o-latest", "o200k_base", False),
        ("ft:gpt-4o-2024-08-06:org::id", "o200k_base", False),
        ("gpt-4.1-nano", "o200k_base", False),
        ("ft:gpt-4.1-2025-04-14:org::id", "o200k_base", False),
        ("ft:o4-mini-2025-04-16:org::id", "o200k_base", False),
        ("gpt-4.5-preview", "o200k_base", False),
        ("o1", "o200k_base", False),
        ("o3-mini", "o200k_base", False),
        ("gpt-5", "o200k_base", False),
        ("GPT-5.4-mini", "o200k_base", False),
        ("openai/gpt-5.6-sol", "o200k_base", False),
        ("gpt-oss-120b", "o200k_harmony", False),
        ("openai/gpt-oss-20b", "o200k_harmony", False),
        ("gpt-6-luna", "o200k_base", True),
        ("gpt-6.2-sol", "o200k_base", True),
        ("chat-latest", "o200k_base", True),
        ("gpt-audio", "o200k_base", True),
        ("codex-mini-latest", "o200k_base", True),
        ("computer-use-preview", "o200k_base", True),
        ("gpt-4.7", "o200k_base", True),
        ("llama-4", "o200k_base", True),
        ("", "o200k_base", True),
    ],
)
def test_encoding_of_a_model(model: str, name: str, assumed: bool) -> None:  # noqa: FBT001 - a parameter
    choice = encoding_for_model(model)
    assert (choice.name, choice.assumed) == (name, assumed)


def test_the_catalogue_names_encodings_of_the_package_and_no_other_than_tiktoken() -> None:
    for info in ModelCatalog().list():
        choice = encoding_for_model(info.name)
        assert load_encoding(choice.name) is not None
        try:
            published = tiktoken.encoding_name_for_model(info.name)
        except KeyError:
            continue
        assert choice.name == published, info.name


def test_base_names() -> None:
    assert base_model_name("openai/FT:GPT-4.1-mini:org::id") == "gpt-4.1-mini"
    assert base_model_name("gpt-4o") == "gpt-4o"


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base", "o200k_harmony"])
@pytest.mark.usefixtures("_tiktoken_reads_our_files")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(max_size=200))
def test_encodes_as_tiktoken_does(name: str, text: str) -> None:
    assert encode(text, name) == tiktoken.get_encoding(name).encode(text, disallowed_special=())


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
@pytest.mark.usefixtures("_tiktoken_reads_our_files")
def test_packaged_ranks_are_tiktokens(name: str) -> None:
    assert load_encoding(name)._mergeable_ranks == tiktoken.get_encoding(name)._mergeable_ranks


def test_loading_leaves_tiktoken_and_the_environment_alone(tmp_path: Path) -> None:
    """In a fresh process, with tiktoken's cache pointed at nothing and no sockets."""
    script = (
        "import os, socket\n"
        "def refuse(*args, **kwargs): raise AssertionError('a socket was opened')\n"
        "socket.socket = refuse\n"
        "from langchain_tamma_openai.tokens import TokenCounter\n"
        "before = dict(os.environ)\n"
        "assert TokenCounter().count_text('hello world', 'gpt-6-luna') == 2\n"
        "assert TokenCounter().count_text('hello world', 'gpt-4') == 2\n"
        "assert dict(os.environ) == before\n"
        "from tiktoken import registry\n"
        "assert registry.ENCODINGS == {}\n"
        "assert os.listdir(os.environ['TIKTOKEN_CACHE_DIR']) == []\n"
        "print('fine')\n"
    )
    folders = dict.fromkeys(("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"), str(tmp_path))
    environ = {**os.environ, **folders}
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=False
    )
    assert done.stdout == "fine\n", done.stderr


def test_an_encoding_loads_once_for_all_threads() -> None:
    tokens_encodings._load.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(load_encoding, ["cl100k_base"] * 16))
    assert tokens_encodings._load.cache_info().misses == 1
    assert all(each is loaded[0] for each in loaded)


def test_harmony_shares_the_ranks() -> None:
    assert load_encoding("o200k_harmony") is load_encoding("o200k_base")


def test_unknown_encoding() -> None:
    with pytest.raises(LookupError, match="p50k_base"):
        load_encoding("p50k_base")


@pytest.mark.parametrize("harm", [b"", b"AA== 0\n", None])
def test_a_harmed_vocabulary_is_refused(tmp_path: Path, harm: bytes | None) -> None:
    file = tmp_path / "vocabulary"
    if harm is not None:
        file.write_bytes(harm)
    with pytest.raises(ConfigurationError, match=r"vocabulary: missing or changed .* reinstall"):
        tokens_encodings._read_ranks(file, "0" * 64)


def test_readme_tells_the_truth() -> None:
    readme = (ENCODINGS / "README.md").read_text(encoding="utf-8")
    names = {path.name for path in ENCODINGS.iterdir() if len(path.name) == 40}
    assert len(names) == 2
    for name in names:
        data = (ENCODINGS / name).read_bytes()
        row = f"| {len(data)} | `{hashlib.sha256(data).hexdigest()}` |"
        assert row in next(line for line in readme.splitlines() if name in line)
    for encoding in ("cl100k_base", "o200k_base"):
        url = f"https://openaipublic.blob.core.windows.net/encodings/{encoding}.tiktoken"
        assert hashlib.sha1(url.encode()).hexdigest() in names  # noqa: S324 - a file name
        assert url in readme


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base"])
def test_a_million_blanks_do_not_break_the_tokenizer(name: str) -> None:
    text = "a" + " " * 1_200_000 + "b"
    tokens = encode(text, name)
    assert load_encoding(name).decode(tokens) == text


@pytest.mark.parametrize("start", [0, 1, 249_999, 250_000, 499_999, 777_777])
def test_a_long_blank_run_is_found_wherever_it_is(start: int) -> None:
    run = " \n" * 250_000
    assert tokens_encodings._has_long_blank_run("x" * start + run + "y")
    assert not tokens_encodings._has_long_blank_run("x" * start + run[:-1] + "y")
    assert not tokens_encodings._has_long_blank_run("x" * start)


def test_long_text_without_long_blanks_is_encoded_in_one_piece() -> None:
    text = "The quick brown fox. " * 30_000
    assert encode(text, "o200k_base") == load_encoding("o200k_base").encode_ordinary(text)


def test_lone_surrogates_are_counted() -> None:
    assert len(encode("a\ud800b", "o200k_base")) >= 3


def test_a_text_counted_before_counts_the_same() -> None:
    for text in ("x" * 100, "\ud800" * 70, "word " * 1_000):
        first, again = (TokenCounter().count_text(text, "gpt-4o") for _ in range(2))
        assert first == again == len(TokenCounter().token_ids(text, "gpt-4o"))
        assert TokenCounter().count_text(text, "gpt-4") == len(
            TokenCounter().token_ids(text, "gpt-4")
        )


def test_remembered_counts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_encodings, "_MAX_REMEMBERED", 3)
    monkeypatch.setattr(tokens_encodings, "_remembered", {})
    for number in range(10):
        TokenCounter().count_text(
            f"{number} is a number in a text that is long enough to be kept" * 2, "o3"
        )
    assert 1 <= len(tokens_encodings._remembered) <= 3
