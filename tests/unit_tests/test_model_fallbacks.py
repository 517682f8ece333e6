"""Another model or account serves a call that has failed for good, whichever way it was made."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx2
import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from mock_api import (
    ALL_WAYS,
    Json,
    MockAPI,
    chunk,
    completion,
    sse,
    stream_reply,
    text_events,
)
from pydantic import BaseModel
from responses_api import answered, streamed, text_message

from langchain_tamma_openai import (
    ConfigurationError,
    FallbackAccount,
    FallbackModel,
    FallbackPolicy,
    ModelOverloadedError,
    RetryPolicy,
)
from langchain_tamma_openai.errors import (
    AuthenticationError,
    ContextOverflowError,
    QuotaExceededError,
    StreamInterruptedError,
    TammaError,
)
from langchain_tamma_openai.usage.callbacks import get_usage_callback

OVERLOADED: Json = {
    "error": {"message": "Overloaded", "type": "service_unavailable_error", "code": None}
}
ways = pytest.mark.parametrize("way", ALL_WAYS)


def refused(status: int, code: str | None = None, message: str = "No.") -> httpx2.Response:
    error = {"message": message, "type": "invalid_request_error", "code": code, "param": None}
    return httpx2.Response(status, json={"error": error})


def serve(refusals: dict[str, Any], **fields: Any) -> Any:
    """Answer as the model's name says: with its refusal, or as that model."""

    def reply(body: Json) -> Any:
        model = body["model"]
        if model in refusals:
            refusal = refusals[model]
            return refusal() if callable(refusal) else refusal
        if "input" in body:
            whole = answered(text_message("Hello"), model=model)
            return streamed(whole) if body.get("stream") else whole
        if not body.get("stream"):
            return completion(model=model, **fields)
        return [{**event, "model": model} for event in text_events()]

    return reply


def overloaded() -> httpx2.Response:
    return httpx2.Response(503, json=OVERLOADED)


@ways
def test_the_next_model_serves_when_the_first_is_overloaded(way: str) -> None:
    api = MockAPI(serve({"gpt-6-luna": overloaded}))
    answer = ALL_WAYS[way](api.tamma(fallback_models=["gpt-6-sol"]), "Hi")
    assert answer.text == "Hello"
    assert [body["model"] for body in api.bodies] == ["gpt-6-luna", "gpt-6-sol"]
    assert answer.response_metadata["fallback"] == {
        "requested_model": "gpt-6-luna",
        "served_model": "gpt-6-sol",
        "served_base_url": None,
        "action": "next_model",
        "reason": "model_overloaded",
        "failed": [{"model": "gpt-6-luna", "error": "model_overloaded", "code": None}],
    }


@ways
def test_an_answer_of_the_model_that_was_asked_says_nothing_of_fallbacks(way: str) -> None:
    answer = ALL_WAYS[way](MockAPI().tamma(fallback_models=["gpt-6-sol"]), "Hi")
    assert "fallback" not in answer.response_metadata


@ways
def test_cost_is_that_of_the_model_that_served(way: str) -> None:
    api = MockAPI(serve({"gpt-6-luna": overloaded}))
    llm = api.tamma(fallback_models=["gpt-6-sol"])
    with get_usage_callback() as totals:
        answer = ALL_WAYS[way](llm, "Hi")
    alone = ALL_WAYS[way](MockAPI(serve({})).tamma(model="gpt-6-sol"), "Hi")
    assert answer.response_metadata["cost"] == alone.response_metadata["cost"]
    assert totals.total_cost_usd == Decimal(answer.response_metadata["cost"]["total_usd"])
    assert list(totals.by_model) == ["gpt-6-sol"]


@ways
def test_each_model_has_all_the_attempts_of_the_policy(way: str) -> None:
    api = MockAPI(serve({"gpt-6-luna": overloaded, "gpt-6-sol": overloaded}))
    retry = RetryPolicy(max_attempts=2, base_delay_s=0, max_delay_s=0)
    llm = api.tamma(fallback_models=["gpt-6-sol"], retry=retry)
    with pytest.raises(ModelOverloadedError) as caught:
        ALL_WAYS[way](llm, "Hi")
    assert [body["model"] for body in api.bodies] == ["gpt-6-luna"] * 2 + ["gpt-6-sol"] * 2
    assert any("gpt-6-sol" in note for note in caught.value.__notes__)
    assert caught.value.model == "gpt-6-luna"


@ways
def test_a_wrong_request_has_no_fallback(way: str) -> None:
    api = MockAPI(serve({"gpt-6-luna": lambda: refused(400, "invalid_value")}))
    with pytest.raises(TammaError):
        ALL_WAYS[way](api.tamma(fallback_models=["gpt-6-sol"]), "Hi")
    assert len(api.requests) == 1


@ways
def test_a_context_overflow_goes_to_the_first_model_with_a_larger_window(way: str) -> None:
    api = MockAPI(serve({"small": lambda: refused(400, "context_length_exceeded")}))
    models = [
        FallbackModel("small", context_window_tokens=1000),
        FallbackModel("smaller", context_window_tokens=500),
        FallbackModel("larger", context_window_tokens=5000),
    ]
    answer = ALL_WAYS[way](api.tamma(model="small", fallback_models=models), "Hi")
    assert [body["model"] for body in api.bodies] == ["small", "larger"]
    assert answer.response_metadata["fallback"]["action"] == "larger_window"


@ways
def test_a_context_overflow_is_raised_where_no_window_is_larger(way: str) -> None:
    api = MockAPI(serve({"small": lambda: refused(400, "context_length_exceeded")}))
    models = [FallbackModel("small", context_window_tokens=1000)]
    with pytest.raises(ContextOverflowError):
        ALL_WAYS[way](api.tamma(model="small", fallback_models=models), "Hi")
    assert len(api.requests) == 1


def by_account(keys: dict[str, Any]) -> Any:
    """Refuse some keys."""

    def handle(request: httpx2.Request, body: Json) -> Any:
        key = request.headers["authorization"].removeprefix("Bearer ")
        if key in keys:
            return keys[key]()
        return serve({})(body)

    return handle


class AccountAPI(MockAPI):
    """Answers by the key of a request."""

    def __init__(self, refusals: dict[str, Any]) -> None:
        super().__init__(lambda body: by_account(refusals)(self.requests[-1], body))

    @property
    def calls(self) -> list[tuple[str, str]]:
        """Key and host of each request."""
        return [
            (request.headers["authorization"].removeprefix("Bearer "), request.url.host)
            for request in self.requests
        ]


def dry() -> httpx2.Response:
    return refused(429, "insufficient_quota")


@ways
@pytest.mark.parametrize(
    ("refusal", "reason"),
    [(dry, "insufficient_quota"), (lambda: refused(401, "invalid_api_key"), "authentication")],
    ids=["quota", "auth"],
)
def test_another_account_serves_with_its_own_key_only(way: str, refusal: Any, reason: str) -> None:
    api = AccountAPI({"sk-test": refusal})
    account = FallbackAccount("sk-second", "https://second.example/v1")
    llm = api.tamma(
        fallback_models=FallbackPolicy(accounts=[account]), openai_organization="org-first"
    )
    answer = ALL_WAYS[way](llm, "Hi")
    assert api.calls == [("sk-test", "api.openai.com"), ("sk-second", "second.example")]
    assert "openai-organization" not in api.requests[1].headers
    assert answer.response_metadata["fallback"]["reason"] == reason
    assert answer.response_metadata["fallback"]["served_base_url"] == "https://second.example/v1"
    assert "sk-second" not in str(answer)


@ways
def test_a_second_call_knows_that_the_first_account_is_dry(way: str) -> None:
    api = AccountAPI({"sk-test": dry})
    llm = api.tamma(fallback_models=FallbackPolicy(accounts=[FallbackAccount("sk-second")]))
    for _ in range(3):
        assert ALL_WAYS[way](llm, "Hi").text == "Hello"
    assert [key for key, _host in api.calls] == ["sk-test", *["sk-second"] * 3]


@ways
def test_two_dry_accounts_are_asked_once_each(way: str) -> None:
    api = AccountAPI({"sk-test": dry, "sk-second": dry})
    llm = api.tamma(fallback_models=FallbackPolicy(accounts=[FallbackAccount("sk-second")]))
    for _ in range(3):
        with pytest.raises(QuotaExceededError):
            ALL_WAYS[way](llm, "Hi")
    assert [key for key, _host in api.calls] == ["sk-test", "sk-second"]


@ways
def test_an_error_of_the_only_account_is_raised(way: str) -> None:
    api = AccountAPI({"sk-test": lambda: refused(401, "invalid_api_key")})
    with pytest.raises(AuthenticationError):
        ALL_WAYS[way](api.tamma(fallback_models=["gpt-6-sol"]), "Hi")
    assert len(api.requests) == 1


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_that_broke_before_anything_was_seen_goes_to_the_next_model(way: str) -> None:
    api = MockAPI(serve({"gpt-6-luna": lambda: stream_reply(sse([], done=True))}))
    answer = ALL_WAYS[way](api.tamma(fallback_models=["gpt-6-sol"]), "Hi")
    assert answer.text == "Hello"
    assert answer.response_metadata["fallback"]["reason"] == "stream_interrupted"


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_of_which_something_was_seen_has_no_fallback(way: str) -> None:
    piece = sse([chunk({"content": "Hel"})], done=False)
    api = MockAPI(serve({"gpt-6-luna": lambda: stream_reply(piece)}))
    with pytest.raises(StreamInterruptedError) as caught:
        ALL_WAYS[way](api.tamma(fallback_models=["gpt-6-sol"]), "Hi")
    assert caught.value.delivered
    assert len(api.requests) == 1


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "batch"])
def test_a_streaming_invoke_turns_to_the_next_model_as_nobody_saw_the_first(way: str) -> None:
    piece = sse([chunk({"content": "Hel"})], done=False)
    api = MockAPI(serve({"gpt-6-luna": lambda: stream_reply(piece)}))
    llm = api.tamma(fallback_models=["gpt-6-sol"], streaming=True)
    assert ALL_WAYS[way](llm, "Hi").text == "Hello"
    assert [body["model"] for body in api.bodies] == ["gpt-6-luna", "gpt-6-sol"]


@ways
def test_a_model_of_the_other_api_serves_through_it(way: str) -> None:
    api = MockAPI(serve({"gpt-6-luna": overloaded}))
    answer = ALL_WAYS[way](api.tamma(fallback_models=["o3-pro"]), "Hi")
    assert [request.url.path for request in api.requests] == [
        "/v1/chat/completions",
        "/v1/responses",
    ]
    assert answer.text == "Hello"
    assert answer.response_metadata["fallback"]["served_model"] == "o3-pro"


@ways
def test_the_parameters_of_the_call_go_to_the_model_that_serves(way: str) -> None:
    api = MockAPI(serve({"gpt-6-luna": overloaded}))
    llm = api.tamma(fallback_models=["gpt-6-sol"], max_tokens=50)
    ALL_WAYS[way](llm, "Hi", stop=["x"], user="me")
    for body in api.bodies:
        assert (body["max_completion_tokens"], body["stop"], body["user"]) == (50, ["x"], "me")


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


class Fact(BaseModel):
    """A fact."""

    text: str


@ways
def test_bound_tools_go_to_the_model_that_serves(way: str) -> None:
    api = MockAPI(serve({"gpt-6-luna": overloaded}))
    bound: Any = api.tamma(fallback_models=["gpt-6-sol"]).bind_tools([add])
    ALL_WAYS[way](bound, "Hi")
    assert api.bodies[0]["tools"] == api.bodies[1]["tools"]


def test_structured_output_may_come_from_the_model_that_serves() -> None:
    def reply(body: Json) -> Any:
        if body["model"] == "gpt-6-luna":
            return overloaded()
        return completion({"content": '{"text": "yes"}'})

    llm = MockAPI(reply).tamma(fallback_models=["gpt-6-sol"])
    assert llm.with_structured_output(Fact).invoke("Hi") == Fact(text="yes")


def test_a_fallback_serves_inside_an_agent() -> None:
    from langchain.agents import create_agent

    api = MockAPI(serve({"gpt-6-luna": overloaded}))
    agent: Any = create_agent(api.tamma(fallback_models=["gpt-6-sol"]), tools=[add])
    last = agent.invoke({"messages": [("user", "Hi")]})["messages"][-1]
    assert isinstance(last, AIMessage)
    assert last.response_metadata["fallback"]["served_model"] == "gpt-6-sol"


def test_a_fallback_that_is_not_allowed_is_refused_when_the_model_is_made() -> None:
    with pytest.raises(ConfigurationError, match=r"fallback_models.*gpt-6-sol.*allowed_models"):
        MockAPI().tamma(fallback_models=["gpt-6-sol"], allowed_models=["gpt-6-luna"])


@ways
def test_a_fallback_that_is_allowed_serves(way: str) -> None:
    names = ["gpt-6-luna", "gpt-6-sol"]
    api = MockAPI(serve({"gpt-6-luna": overloaded}))
    llm = api.tamma(fallback_models=["gpt-6-sol"], allowed_models=names)
    assert ALL_WAYS[way](llm, "Hi").text == "Hello"


@ways
def test_a_larger_model_of_the_catalogue_that_is_not_allowed_is_not_asked(way: str) -> None:
    api = MockAPI(serve({"gpt-4.1-mini": lambda: refused(400, "context_length_exceeded")}))
    policy = FallbackPolicy(larger_window="catalogue")
    llm = api.tamma(
        model="gpt-4o", fallback_models=policy, allowed_models=["gpt-4o", "gpt-4.1-mini"]
    )
    api.replies = [serve({"gpt-4o": lambda: refused(400, "context_length_exceeded")})]
    try:
        answer = ALL_WAYS[way](llm, "Hi")
    except ContextOverflowError:
        assert len(api.requests) == 1
    else:
        assert answer.response_metadata["fallback"]["served_model"] == "gpt-4.1-mini"


def test_a_copy_with_other_fallbacks_uses_them() -> None:
    api = MockAPI(serve({"gpt-6-luna": overloaded}))
    llm = api.tamma(fallback_models=["gpt-6-sol"])
    copy = llm.model_copy(update={"fallback_models": ["gpt-6-astra"]})
    assert copy.invoke("Hi").response_metadata["fallback"]["served_model"] == "gpt-6-astra"
    assert llm.invoke("Hi").response_metadata["fallback"]["served_model"] == "gpt-6-sol"


def test_a_copy_with_other_settings_keeps_them_on_another_account() -> None:
    api = AccountAPI({"sk-test": dry})
    llm = api.tamma(fallback_models=FallbackPolicy(accounts=[FallbackAccount("sk-second")]))
    llm.invoke("Hi")
    llm.model_copy(update={"temperature": 0.25}).invoke("Hi")
    assert api.bodies[-1]["temperature"] == 0.25


@ways
def test_the_records_of_a_run_tell_who_failed_and_who_served(way: str) -> None:
    api = MockAPI(serve({"gpt-6-luna": overloaded}))
    from langchain_tamma_openai.usage import run_log

    logs: list[run_log.RunLog] = []

    class Watcher:
        def on_run_log(self, log: run_log.RunLog) -> None:
            logs.append(log)

    from uuid import uuid4

    run_id = uuid4()
    watcher = Watcher()
    run_log.watch(run_id, watcher)
    llm = api.tamma(fallback_models=["gpt-6-sol"])
    config = {"run_id": run_id} if "batch" not in way else [{"run_id": run_id}]
    ALL_WAYS[way](llm, "Hi", config=config)
    run_log.unwatch(run_id, watcher)
    (log,) = logs
    first, second = log.finish()
    assert (first.outcome, second.outcome) == ("fallback_loser", "success")
    assert second.requested_model == "gpt-6-sol"
