"""One line of a batch's files to an answer, or to the error that `invoke` would have raised."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatResult

from langchain_tamma_openai.batches.journal import Json
from langchain_tamma_openai.batches.preparing import is_regional
from langchain_tamma_openai.batches.shapes import Shape
from langchain_tamma_openai.batches.status import BatchState, BatchStatus
from langchain_tamma_openai.chat_models.calls import HeaderInfo
from langchain_tamma_openai.chat_models.observing import answered_at, calculator
from langchain_tamma_openai.chat_models.received import Received
from langchain_tamma_openai.pricing_cost import Cost
from langchain_tamma_openai.transport.http_library import http_library
from langchain_tamma_openai.transport.translate import translate, translating
from langchain_tamma_openai.wire.completions import AnswerFacts, refusing_odd_answers
from langchain_tamma_openai.wire.usage import TokenUsage

if TYPE_CHECKING:
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

_GOOD = range(200, 300)
_API = "https://api.openai.com"


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of one input of a job.

    Attributes:
        index: Its place among the inputs.
        output: The result: the message, or what a parser behind the model made of it; None where
            there is an error.
        message: The model's answer, also where reading it further failed; None without one.
        error: What went wrong; None where nothing did.
        cost_usd: What it cost at the batch's price; None when unknown.
        custom_id: Its name in the batch.
        batch_id: The API's id of the batch.
        status_code: HTTP status of the request inside the batch; None when it was not made.
        request_id: The API's id of that request.
        tokens: What it used; None when nobody knows.
        response: The HTTP answer inside the batch as the API gives it, where it was asked for.
    """

    index: int
    output: Any = None
    message: AIMessage | None = None
    error: Exception | None = None
    cost_usd: Decimal | None = None
    custom_id: str | None = None
    batch_id: str | None = None
    status_code: int | None = None
    request_id: str | None = None
    tokens: TokenUsage | None = None
    response: Mapping[str, Any] | None = None

    @property
    def is_ok(self) -> bool:
        """Whether there is a result."""
        return self.error is None


@dataclass(slots=True)
class Reading:
    """One line while it is read.

    Attributes:
        raw: The line; None where neither file has one.
        shape: What is known of its request.
        part: The batch.
        received: What has been found, in the form that records are made from.
    """

    raw: Json | None
    shape: Shape
    part: BatchStatus
    received: Received

    @property
    def response(self) -> Mapping[str, Any]:
        """The HTTP answer inside the line; empty without one."""
        found = (self.raw or {}).get("response")
        return found if isinstance(found, Mapping) else {}

    @property
    def status_code(self) -> int | None:
        """Status of that answer."""
        found = self.response.get("status_code")
        return found if isinstance(found, int) else None

    @property
    def request_id(self) -> str | None:
        """The API's id of the request."""
        found = self.response.get("request_id")
        return found if isinstance(found, str) and found else None

    @property
    def is_answered(self) -> bool:
        """Whether the request was carried out, and is billed."""
        return self.status_code in _GOOD

    def result(self, model: ChatTammaOpenAI) -> ChatResult:
        """Read the answer.

        Args:
            model: Says how.

        Raises:
            TammaError: There is none, or it cannot be read.
        """
        if not self.is_answered:
            raise self._failure()
        body = self.response.get("body")
        if not isinstance(body, Mapping):
            raise _malformed(f"The answer's body is a {type(body).__name__} and no object")
        self.received.body = json.dumps(body).encode()
        call = self.shape.call()
        with translating(self.shape.model), refusing_odd_answers(body):
            result, facts = call.result(body, HeaderInfo(), model.output_version)
        model._judge_tools(result, call)
        cost = self.price(model, facts)
        message = cast("AIMessage", result.generations[0].message)
        message.response_metadata["cost"] = cost.as_metadata()
        message.response_metadata.update(self.shape.notes)
        self.received.take(result, facts, cost)
        return result

    def price(self, model: ChatTammaOpenAI, facts: AnswerFacts) -> Cost:
        """Price what an answer used at the batch's price.

        Args:
            model: Whose prices count.
            facts: What it used, and who served it.
        """
        return calculator(model.price_overrides).cost(
            facts.tokens,
            facts.model or self.shape.model,
            service_tier=facts.service_tier,
            at=answered_at(facts),
            batch=True,
            regional=is_regional(model),
        )

    def cost(self, model: ChatTammaOpenAI) -> Cost | None:
        """Give what the request cost, also where its answer could not be read.

        Args:
            model: Whose prices count.
        """
        if not self.is_answered:
            return Cost(Decimal(0), Decimal(0), Decimal(0))
        facts = self.received.facts
        if self.received.cost is None and facts is not None:
            return self.price(model, facts)
        return self.received.cost

    def tokens(self) -> TokenUsage | None:
        """Give what the request used; None when nobody knows."""
        if not self.is_answered:
            return TokenUsage()
        return None if self.received.facts is None else self.received.facts.tokens

    # --- failures ---

    def _failure(self) -> Exception:
        if self.raw is None:
            return self._missing()
        if self.status_code is not None:
            return self._refusal(self.status_code)
        error = self.raw.get("error")
        fields = error if isinstance(error, Mapping) else {}
        code, message = fields.get("code"), str(fields.get("message") or "no reason was given")
        if code == "batch_expired":
            return _expired(message)
        if code == "batch_cancelled":
            return _cancelled(message)
        return self._translated(message, fields)

    def _missing(self) -> Exception:
        """Say why there is no line: what ended the batch, as far as that is a reason."""
        state = self.part.state
        if state is BatchState.EXPIRED:
            return _expired("The batch expired before this request was worked on")
        if state is BatchState.CANCELLED:
            return _cancelled("The batch was cancelled before this request was worked on")
        if state is BatchState.FAILED:
            return self._refused_file()
        from langchain_tamma_openai.batches.errors import BatchAnswerMissingError

        return BatchAnswerMissingError(
            f"The batch {self.part.id} is {state.value}, but neither its output file nor its error "
            "file has a line for this request; submit the input again",
            model=self.shape.model,
        )

    def _refused_file(self) -> Exception:
        """Say why the API refused the whole file, and where."""
        problem = next(iter(self.part.problems), None)
        if problem is None:
            return self._translated(f"The batch {self.part.id} failed without a reason", {})
        where = "" if problem.line is None else f" (line {problem.line} of its file)"
        message = f"The batch {self.part.id} was refused{where}: {problem.message or problem.code}"
        fields = {"code": problem.code, "param": problem.param, "message": message}
        return self._translated(message, fields, type_="invalid_request_error")

    def _refusal(self, status: int) -> Exception:
        body = self.response.get("body")
        library = http_library()
        response = library.Response(
            status,
            headers={} if self.request_id is None else {"x-request-id": self.request_id},
            json=body,
            request=library.Request("POST", f"{_API}{self.shape.endpoint}"),
        )
        inner = body.get("error", body) if isinstance(body, Mapping) else body
        said = inner.get("message") if isinstance(inner, Mapping) else None
        message = str(said or f"Error code: {status} - {body}")
        raised = _status_class(status)(message, response=response, body=inner)
        return translate(raised, self.shape.model) or raised

    def _translated(
        self, message: str, fields: Mapping[str, Any], type_: str | None = None
    ) -> Exception:
        import openai

        request = http_library().Request("POST", f"{_API}{self.shape.endpoint}")
        body = {"type": type_, **fields, "message": message}
        raised = openai.APIError(message, request=request, body=body)
        return translate(raised, self.shape.model) or raised


def _status_class(status: int) -> Any:
    """Find the class that the SDK raises for a status."""
    import openai

    classes = {
        400: openai.BadRequestError,
        401: openai.AuthenticationError,
        403: openai.PermissionDeniedError,
        404: openai.NotFoundError,
        409: openai.ConflictError,
        422: openai.UnprocessableEntityError,
        429: openai.RateLimitError,
    }
    if status >= 500:  # noqa: PLR2004 - statuses of servers that failed
        return openai.InternalServerError
    return classes.get(status, openai.APIStatusError)


def _expired(message: str) -> Exception:
    from langchain_tamma_openai.batches.errors import BatchExpiredError

    return BatchExpiredError(message)


def _cancelled(message: str) -> Exception:
    from langchain_tamma_openai.batches.errors import BatchCancelledError

    return BatchCancelledError(message)


def _malformed(message: str) -> Exception:
    from langchain_tamma_openai.errors import MalformedResponseError

    return MalformedResponseError(message)
