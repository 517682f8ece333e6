"""Prompts out of the LangSmith hub, through LangSmith's own client."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests
from langchain_core.load import dumpd
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langsmith import Client
from requests.adapters import BaseAdapter

from langchain_tamma_openai.errors import ConfigurationError, PromptError
from langchain_tamma_openai.prompts.registry import PromptRegistry


class CannedHub(BaseAdapter):
    """Answers the client's HTTP requests in place of the network."""

    def __init__(self, form: object, status: int = 200) -> None:
        super().__init__()
        self.requested: list[str] = []
        self._status = status
        manifest = dumpd(form)
        self._body = {"commit_hash": "abc12345", "manifest": manifest, "examples": []}

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:  # type: ignore[override]
        self.requested.append(str(request.url))
        response = requests.Response()
        response.status_code = self._status
        response._content = json.dumps(self._body).encode()
        response.url = str(request.url)
        response.request = request
        return response

    def close(self) -> None:
        """Nothing is open."""


class Unreachable(CannedHub):
    """Stands for a network that leads nowhere."""

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:  # type: ignore[override]
        raise requests.ConnectionError("no route to host", request=request)


HUB_PROMPT = ChatPromptTemplate.from_messages(
    [("system", "You help {customer}."), ("human", "{question}")]
)


@contextmanager
def hub_client(adapter: BaseAdapter) -> Iterator[Client]:
    session = requests.Session()
    session.mount("https://hub.example", adapter)
    client = Client(
        "https://hub.example",
        api_key="lsv2_pt_0123456789abcdef",
        session=session,
        auto_batch_tracing=False,
        disable_prompt_cache=True,
    )
    try:
        yield client
    finally:
        client.close()


def test_a_prompt_of_the_hub_is_pulled_with_its_commit() -> None:
    hub = CannedHub(HUB_PROMPT)
    registry = PromptRegistry()

    with hub_client(hub) as client:
        prompt = registry.pull("support-bot:abc12345", client=client)
        again = registry.pull("support-bot", client=client)
        other = registry.pull(
            "acme/support-bot",
            client=client,
            id="acme-support",
            category="service",
            dangerously_pull_public_prompt=True,
        )

    assert prompt is again
    assert prompt.reference == "support-bot@1"
    assert prompt.description == "LangSmith hub: support-bot:abc12345"
    assert registry.render("support-bot", customer="Ann") == "You help Ann."
    assert (other.id, other.category) == ("acme-support", "service")
    assert hub.requested == [
        "https://hub.example/commits/-/support-bot/abc12345",
        "https://hub.example/commits/-/support-bot/latest",
        "https://hub.example/commits/acme/support-bot/latest",
    ]


@pytest.mark.parametrize(
    ("adapter", "identifier", "words"),
    [
        (lambda: Unreachable(HUB_PROMPT), "p", "LangSmithConnectionError"),
        (lambda: CannedHub(HUB_PROMPT, 404), "p", "LangSmithNotFoundError"),
        (lambda: CannedHub(HUB_PROMPT, 401), "p", "LangSmithAuthError"),
        (lambda: CannedHub(HUB_PROMPT, 500), "p", "LangSmithAPIError"),
        (lambda: CannedHub(HUB_PROMPT), "acme/p", "dangerously_pull_public_prompt=True"),
        (lambda: CannedHub(PromptTemplate.from_template("x"), 200), "p:", "must be 'name'"),
        (lambda: CannedHub(HUB_PROMPT), "a/b/c", "must be 'name'"),
        (lambda: CannedHub(HUB_PROMPT), "", "must be 'name'"),
        (lambda: CannedHub(HUB_PROMPT), "../../x", "must be 'name'"),
        (lambda: CannedHub(ChatPromptTemplate.from_messages([("human", "{q}")])), "p", "0 system"),
    ],
)
def test_a_pull_that_fails_says_why_and_adds_nothing(
    adapter: Callable[[], BaseAdapter], identifier: str, words: str
) -> None:
    registry = PromptRegistry()

    with hub_client(adapter()) as client, pytest.raises(PromptError) as caught:
        registry.pull(identifier, client=client)

    assert words in str(caught.value)
    assert "0123456789abcdef" not in str(caught.value)
    assert registry == PromptRegistry()


def test_a_model_is_never_pulled_along() -> None:
    with pytest.raises(PromptError, match="include_model"):
        PromptRegistry().pull("p", include_model=True)


def test_without_the_client_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "langsmith", None)

    with pytest.raises(ConfigurationError, match="pip install langsmith"):
        PromptRegistry().pull("p")
