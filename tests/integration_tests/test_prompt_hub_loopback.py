"""The LangSmith hub over real connections, with the client that a pull makes for itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from langchain_core.load import dumpd
from langchain_core.prompts import ChatPromptTemplate
from langsmith import utils

from langchain_tamma_openai.errors import PromptError
from langchain_tamma_openai.prompts.registry import PromptRegistry

FORM = ChatPromptTemplate.from_messages([("system", "You help {customer}."), ("human", "{q}")])


class Hub(BaseHTTPRequestHandler):
    """Serves one prompt to those who have the key."""

    def do_GET(self) -> None:
        known = self.path.startswith("/commits/-/support-bot/")
        allowed = self.headers["x-api-key"] == "lsv2_pt_0123456789abcdef"
        status = 401 if not allowed else 200 if known else 404
        answer = {"commit_hash": "abc12345", "manifest": dumpd(FORM), "examples": []}
        body = json.dumps(answer if status == 200 else {"detail": "no"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _forget_environment() -> None:
    """The client remembers the environment."""
    vars(utils)["get_env_var"].cache_clear()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A hub that LangSmith's settings in the environment point to."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        for name in ("LANGCHAIN_ENDPOINT", "LANGCHAIN_API_KEY", "LANGSMITH_WORKSPACE_ID"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("LANGSMITH_ENDPOINT", url)
        monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_pt_0123456789abcdef")
        _forget_environment()
        yield url
        server.shutdown()
        thread.join()
    _forget_environment()


def test_a_pull_needs_no_client(hub: str) -> None:
    registry = PromptRegistry()

    prompt = registry.pull("support-bot")

    assert hub
    assert prompt.description == "LangSmith hub: support-bot:abc12345"
    assert registry.render("support-bot", customer="Ann") == "You help Ann."


def test_what_the_hub_does_not_have_is_said(hub: str) -> None:
    with pytest.raises(PromptError, match=r"other: could not be fetched \(LangSmithNotFound"):
        PromptRegistry().pull("other")
    assert hub


def test_a_wrong_key_is_said_and_not_shown(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_pt_fedcba9876543210")
    _forget_environment()

    with pytest.raises(PromptError, match="LangSmithAuthError") as caught:
        PromptRegistry().pull("support-bot")

    assert hub
    assert "fedcba9876543210" not in str(caught.value)


def test_a_hub_that_is_not_there_is_said(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_ENDPOINT", "http://127.0.0.1:9")
    _forget_environment()

    with pytest.raises(PromptError, match="LangSmithConnectionError"):
        PromptRegistry().pull("support-bot")
    assert hub
