"""What is loaded when: nothing large with the class, no more than a call needs with the call."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import weakref

import pytest

from langchain_tamma_openai.loading import uncollected

HEAVY = (
    "altair",
    "genai_prices",
    "jsonschema",
    "langchain_openai",
    "numpy",
    "openai",
    "opentelemetry.exporter",
    "pyarrow",
    "redis",
    "referencing",
    "regex",
    "sqlalchemy",
    "sqlite3",
    "tiktoken",
    "tokenizers",
    "transformers",
    "yaml.representer",
)
ROOMS = ("transport", "wire", "resilience", "usage", "parameters", "prompts", "tools", "tokens")

# Everything that core itself loads is loaded before; what comes on top is ours.
LOADED = """
import gc, json, sys
from langchain_core.language_models.chat_models import BaseChatModel
before = set(sys.modules)
{code}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
# A server of one answer that needs no socket: the transport of the user's own client.
CALL = """
from langchain_tamma_openai import ChatTammaOpenAI
import httpx2
def answer(request):
    choice = {"index": 0, "finish_reason": "stop",
              "message": {"role": "assistant", "content": "Hello."}}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    body = {"id": "c", "object": "chat.completion", "created": 1790000000, "model": "gpt-4o",
            "choices": [choice], "usage": usage}
    return httpx2.Response(200, json=body)
client = httpx2.Client(transport=httpx2.MockTransport(answer))
model = ChatTammaOpenAI(model="gpt-4o", api_key="sk-not-a-key-at-all-0123456789",
                        http_client=client)
assert model.invoke("Hi").response_metadata["cost"]["total_usd"] == "0.0000275"
"""


def _loaded(code: str) -> list[str]:
    done = subprocess.run(  # noqa: S603 - fixed commands
        [sys.executable, "-c", LOADED.format(code=code)],
        check=True,
        capture_output=True,
        text=True,
    )
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def _of(modules: list[str], names: tuple[str, ...]) -> list[str]:
    return [m for m in modules if any(m == name or m.startswith(f"{name}.") for name in names)]


def test_the_class_loads_nothing_large() -> None:
    loaded = _loaded("from langchain_tamma_openai import ChatTammaOpenAI")
    assert _of(loaded, HEAVY) == []


def test_the_class_loads_none_of_the_rooms_it_ties_together() -> None:
    loaded = _loaded("from langchain_tamma_openai import ChatTammaOpenAI")
    assert _of(loaded, tuple(f"langchain_tamma_openai.{room}" for room in ROOMS)) == []
    assert [m for m in loaded if not m.startswith("langchain_tamma_openai")] == []


def test_a_constructed_model_has_not_loaded_the_sdk() -> None:
    loaded = _loaded(
        "from langchain_tamma_openai import ChatTammaOpenAI\n"
        "ChatTammaOpenAI(model='gpt-4o', api_key='sk-not-a-key-at-all-0123456789')"
    )
    assert _of(loaded, HEAVY) == []


def test_a_first_call_loads_no_more_than_it_needs() -> None:
    loaded = _loaded(CALL)
    assert "openai" in loaded
    assert _of(loaded, tuple(name for name in HEAVY if name != "openai")) == []
    beside = ("usage.callbacks", "usage.tracker", "tools", "prompts", "tokens", "wire.responses_v1")
    assert _of(loaded, tuple(f"langchain_tamma_openai.{name}" for name in beside)) == []


def test_the_collector_rests_while_modules_load_and_works_again_afterwards() -> None:
    assert gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            assert not gc.isenabled()
    assert gc.isenabled()


def test_the_collector_works_again_after_a_failed_import() -> None:
    with pytest.raises(ModuleNotFoundError), uncollected():
        import no_such_module  # type: ignore[import-not-found]  # noqa: F401
    assert gc.isenabled()


def test_a_collector_that_was_switched_off_stays_off() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


class _Node:
    def __init__(self) -> None:
        self.me = self


def test_what_is_made_meanwhile_is_collected_later_like_anything_else() -> None:
    with uncollected():
        seen = weakref.ref(_Node())
    assert seen() is not None
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert seen() is None


def test_objects_that_somebody_froze_stay_frozen() -> None:
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with uncollected():
            pass
        assert gc.get_freeze_count() == frozen
    finally:
        gc.unfreeze()
