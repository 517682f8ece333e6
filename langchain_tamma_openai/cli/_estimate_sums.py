"""The sums of `estimate`: tokens and dollars of many requests, where nothing unknown becomes 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from langchain_tamma_openai.models import ModelCatalog
from langchain_tamma_openai.pricing import CostCalculator
from langchain_tamma_openai.pricing_cost import EXACT
from langchain_tamma_openai.pricing_estimate import CostEstimate


@dataclass(slots=True)
class Amount:
    """A sum in US dollars.

    Attributes:
        known: The sum of what is known.
        unknown: How many requests are missing in it.
    """

    known: Decimal = Decimal(0)
    unknown: int = 0

    def add(self, usd: Decimal | None) -> None:
        """Add one request's amount."""
        if usd is None:
            self.unknown += 1
        else:
            self.known = EXACT.add(self.known, usd)

    @property
    def usd(self) -> Decimal | None:
        """The sum; None when that of any request is not known."""
        return None if self.unknown else self.known


@dataclass(slots=True)
class Sum:
    """What requests to one model will use, and cost.

    Attributes:
        requests: How many.
        input_tokens: Likely input.
        expected_output_tokens: Likely output.
        high_output_tokens: The most output; None when that of any request is not known.
        too_long: Requests whose input does not fit into the model.
        low: The least.
        expected: A likely amount.
        high: The most.
        batch_expected: A likely amount through the Batch API.
        batch_high: The most through the Batch API.
        reasons: Why amounts are unknown.
    """

    requests: int = 0
    input_tokens: int = 0
    expected_output_tokens: int = 0
    high_output_tokens: int | None = 0
    too_long: int = 0
    low: Amount = field(default_factory=Amount)
    expected: Amount = field(default_factory=Amount)
    high: Amount = field(default_factory=Amount)
    batch_expected: Amount = field(default_factory=Amount)
    batch_high: Amount = field(default_factory=Amount)
    reasons: set[str] = field(default_factory=set)

    def add(self, estimate: CostEstimate, batch: CostEstimate, room_tokens: int | None) -> None:
        """Add one request.

        Args:
            estimate: At the price of the tier asked for.
            batch: At the price of the Batch API.
            room_tokens: The most input that the model takes; None when that is not known.
        """
        self.requests += 1
        self.input_tokens += estimate.input_tokens
        self.expected_output_tokens += estimate.expected_output_tokens
        most = estimate.high_output_tokens
        if most is None or self.high_output_tokens is None:
            self.high_output_tokens = None
        else:
            self.high_output_tokens += most
        self.too_long += room_tokens is not None and estimate.input_tokens > room_tokens
        self.low.add(estimate.low)
        self.expected.add(estimate.expected)
        self.high.add(estimate.high)
        self.batch_expected.add(batch.expected)
        self.batch_high.add(batch.high)
        if estimate.unknown_reason:
            self.reasons.add(estimate.unknown_reason)

    def as_json(self) -> dict[str, object]:
        """Give the figures; amounts are None when those of any request are not known."""
        return {
            "requests": self.requests,
            "input_tokens": self.input_tokens,
            "expected_output_tokens": self.expected_output_tokens,
            "high_output_tokens": self.high_output_tokens,
            "too_long_requests": self.too_long,
            "low_usd": self.low.usd,
            "expected_usd": self.expected.usd,
            "high_usd": self.high.usd,
            "batch_expected_usd": self.batch_expected.usd,
            "batch_high_usd": self.batch_high.usd,
            "unpriced_requests": self.expected.unknown,
            "unknown_reasons": sorted(self.reasons),
        }


@dataclass(frozen=True, slots=True)
class Terms:
    """How requests are made.

    Attributes:
        service_tier: The tier to ask for; None for that of the body.
        expected_output_tokens: The length of answer to expect; None for an ordinary one.
        max_tokens: The output limit where a request names none.
        system: A system prompt in front of texts.
    """

    service_tier: str | None = None
    expected_output_tokens: int | None = None
    max_tokens: int | None = None
    system: str | None = None


class Estimator:
    """Estimates one request after the other."""

    def __init__(self, terms: Terms) -> None:
        """Begin.

        Args:
            terms: How requests are made.
        """
        self._terms = terms
        self._calculator = CostCalculator()
        self._rooms: dict[str, int | None] = {}

    def add(self, payload: Mapping[str, Any], model: str, *sums: Sum) -> None:
        """Estimate a request for a model.

        Args:
            payload: Its body.
            model: The model.
            sums: Where to add it.
        """
        body = self._completed(payload)
        terms = self._terms
        expected = terms.expected_output_tokens
        estimate = self._calculator.estimate_payload(
            body, model, service_tier=terms.service_tier, expected_output_tokens=expected
        )
        batch = self._calculator.estimate_payload(
            {**body, "service_tier": None}, model, batch=True, expected_output_tokens=expected
        )
        for one in sums:
            one.add(estimate, batch, self._room(model))

    def _completed(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        body = dict(payload)
        limit = self._terms.max_tokens
        if limit is not None and not any(body.get(name) for name in _LIMITS):
            body["max_output_tokens" if "input" in body else "max_completion_tokens"] = limit
        if self._terms.system is not None and "messages" in body:
            system = {"role": "system", "content": self._terms.system}
            body["messages"] = [system, *body["messages"]]
        return body

    def _room(self, model: str) -> int | None:
        if model not in self._rooms:
            info = ModelCatalog().get(model)
            self._rooms[model] = info.max_input_tokens or info.context_window_tokens
        return self._rooms[model]


_LIMITS = ("max_output_tokens", "max_completion_tokens", "max_tokens")
