"""The SDK's clients of a model: when they are made, from what, and what they send."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import openai
import pytest
from mock_api import ALL_WAYS, MockAPI, Way, completion
from pydantic import SecretStr

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.errors import ConfigurationError
from langchain_tamma_openai.transport.clients import ClientSettings, SdkClients, finite_timeout
from langchain_tamma_openai.transport.pools import SharedAsyncTransport, SharedTransport

DEFAULT_TIMEOUT = {"connect": 5.0, "read": 600.0, "write": 600.0, "pool": 600.0}
ways = pytest.mark.parametrize("way", ALL_WAYS.values(), ids=list(ALL_WAYS))


def _clients(**settings: Any) -> SdkClients:
    return SdkClients(ClientSettings(**{"api_key": SecretStr("sk-test"), **settings}))


def test_clients_are_made_once_and_over_the_shared_pools() -> None:
    clients = _clients()
    assert clients.sync_client is clients.sync_client
    assert clients.async_client is clients.async_client
    assert isinstance(clients.sync_client._client._transport, SharedTransport)
    assert isinstance(clients.async_client._client._transport, SharedAsyncTransport)


def test_threads_that_ask_together_get_the_same_client() -> None:
    clients = _clients()
    together = threading.Barrier(4)

    def get(_number: int) -> tuple[object, object]:
        together.wait(10)
        return clients.sync_client, clients.async_client

    with ThreadPoolExecutor(4) as executor:
        assert len(set(executor.map(get, range(4)))) == 1


def test_settings_reach_both_clients() -> None:
    clients = _clients(
        base_url="https://host/v1",
        organization="org",
        timeout=7,
        max_retries=4,
        default_headers={"X-Team": "blue"},
        default_query={"q": "1"},
        sdk_options={"project": "proj"},
    )
    for client in (clients.sync_client, clients.async_client):
        assert str(client.base_url) == "https://host/v1/"
        assert (client.organization, client.project) == ("org", "proj")
        assert (client.timeout, client.max_retries) == (7, 4)
        assert client.default_headers["X-Team"] == "blue"
        assert client.default_query == {"q": "1"}


def test_clients_of_the_users_own_are_taken_as_they_are() -> None:
    sync_client, async_client = httpx2.Client(timeout=3), httpx2.AsyncClient(timeout=4)
    clients = _clients(http_client=sync_client, http_async_client=async_client)
    assert clients.sync_client._client is sync_client
    assert clients.async_client._client is async_client
    assert clients.sync_client.timeout == httpx2.Timeout(3)


# --- timeouts ---


@ways
def test_the_default_timeout_is_finite(way: Way) -> None:
    api = MockAPI()
    way(api.tamma(stream_chunk_timeout=None), "hi")
    assert api.requests[0].extensions["timeout"] == DEFAULT_TIMEOUT


@ways
@pytest.mark.parametrize(
    ("timeout", "expected"),
    [
        (7, dict.fromkeys(("connect", "read", "write", "pool"), 7)),
        ((2, 9), {"connect": 2, "read": 9, "write": 9, "pool": 2}),
        ((2, 9, 3), {"connect": 2, "read": 9, "write": 3, "pool": 2}),
        ((2, 9, 3, 4), {"connect": 2, "read": 9, "write": 3, "pool": 4}),
        (openai.Timeout(8, connect=1), {"connect": 1, "read": 8, "write": 8, "pool": 8}),
    ],
)
def test_a_given_timeout(way: Way, timeout: Any, expected: dict[str, float]) -> None:
    api = MockAPI()
    way(api.tamma(timeout=timeout), "hi")
    way(api.tamma(), "hi", timeout=timeout)
    assert [request.extensions["timeout"] for request in api.requests] == [expected] * 2


def test_finite_timeout_leaves_other_forms_alone() -> None:
    assert finite_timeout(None) is None
    assert finite_timeout(3.5) == 3.5


# --- keys ---


def _key() -> str:
    return "sk-from-a-function"


async def _akey() -> str:
    return "sk-from-a-coroutine"


@ways
def test_a_key_from_a_function(way: Way) -> None:
    api = MockAPI()
    way(api.tamma(api_key=_key), "hi")
    assert api.requests[0].headers["authorization"] == "Bearer sk-from-a-function"


def test_a_key_function_does_not_hold_up_the_loop() -> None:
    threads: list[threading.Thread] = []

    def key() -> str:
        threads.append(threading.current_thread())
        return "sk-slow"

    asyncio.run(MockAPI().tamma(api_key=key).ainvoke("hi"))
    assert threads
    assert threading.main_thread() not in threads


def test_a_key_from_a_coroutine() -> None:
    api = MockAPI()
    asyncio.run(api.tamma(api_key=_akey).ainvoke("hi"))
    assert api.requests[0].headers["authorization"] == "Bearer sk-from-a-coroutine"


@pytest.mark.parametrize("call", [lambda llm: llm.invoke("hi"), lambda llm: list(llm.stream("hi"))])
def test_a_sync_call_cannot_await_a_key(call: Callable[[ChatTammaOpenAI], Any]) -> None:
    llm = MockAPI().tamma(api_key=_akey)
    assert llm.root_client is None
    assert llm.client is None
    with pytest.raises(ConfigurationError, match="use ainvoke, astream or abatch"):
        call(llm)


def test_the_sdks_objects_belong_together() -> None:
    llm = MockAPI().tamma()
    assert llm.client is llm.root_client.chat.completions
    assert llm.async_client is llm.root_async_client.chat.completions
    with pytest.raises(AttributeError):
        _ = llm.no_such_thing


@pytest.mark.parametrize("field", ["client", "root_client"])
def test_a_client_of_the_sdk_may_be_given(field: str) -> None:
    api = MockAPI(completion())
    root = api.tamma().root_client
    given = root if field == "root_client" else root.chat.completions
    llm = ChatTammaOpenAI(model="gpt-6-luna", api_key="sk-unused", **{field: given})
    assert llm.invoke("hi").text == "Hello"
    assert api.requests[0].headers["authorization"] == "Bearer sk-test"


def test_something_else_as_client_is_refused() -> None:
    llm = ChatTammaOpenAI(model="gpt-6-luna", api_key="sk-test", client=object())
    with pytest.raises(ConfigurationError, match="client: got a object"):
        llm.invoke("hi")
