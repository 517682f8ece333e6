"""Running totals of tokens and money over model runs, safe to share between threads."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from langchain_tamma_openai.pricing_cost import EXACT, Cost
from langchain_tamma_openai.wire.usage import TokenUsage

UNKNOWN_MODEL = "unknown"
_REMEMBERED_RUNS = 4096
_NO_TOKENS = TokenUsage()


@dataclass(frozen=True, slots=True)
class RunUsage:
    """What one model run used.

    `cost` is None, or has None amounts, when it is not known. `cache_hit` runs were answered by
    LangChain's cache and cost nothing. `failed` runs ended in an error after tokens were spent, or
    (with a `usage` of None) before any were known to be.
    """

    model: str | None = None
    usage: TokenUsage | None = None
    cost: Cost | None = None
    cache_hit: bool = False
    failed: bool = False
    run_id: UUID | None = None


class UsageSink(Protocol):
    """Anything that takes model runs, such as `UsageTotals`."""

    def record(self, run: RunUsage) -> None:
        """Take one run."""
        ...


@dataclass(frozen=True, slots=True)
class UsageSum:
    """Totals at one moment.

    `requests` counts answers of the provider (LangChain cache hits and failures without usage are
    not among them); `unpriced_requests` of these have no known cost and are missing from the
    amounts; `estimated_requests` are in the amounts with an estimate.
    """

    requests: int = 0
    cache_hits: int = 0
    failed_requests: int = 0
    unpriced_requests: int = 0
    estimated_requests: int = 0
    tokens: TokenUsage = _NO_TOKENS
    priced_input_usd: Decimal = Decimal(0)
    priced_output_usd: Decimal = Decimal(0)

    @property
    def input_tokens(self) -> int:
        """Input tokens, cached and cache-written ones included."""
        return self.tokens.input_tokens

    @property
    def output_tokens(self) -> int:
        """Output tokens, reasoning included."""
        return self.tokens.output_tokens

    @property
    def total_tokens(self) -> int:
        """Input and output tokens."""
        return self.tokens.total_tokens

    @property
    def cached_tokens(self) -> int:
        """Input tokens read from the provider's prompt cache."""
        return self.tokens.cached_tokens

    @property
    def cache_write_tokens(self) -> int:
        """Input tokens written to the provider's prompt cache."""
        return self.tokens.cache_write_tokens

    @property
    def reasoning_tokens(self) -> int:
        """Output tokens spent on reasoning."""
        return self.tokens.reasoning_tokens

    @property
    def input_cost_usd(self) -> Decimal | None:
        """Cost of the input of the priced requests; see `total_cost_usd`."""
        return None if self._nothing_priced else self.priced_input_usd

    @property
    def output_cost_usd(self) -> Decimal | None:
        """Cost of the output of the priced requests; see `total_cost_usd`."""
        return None if self._nothing_priced else self.priced_output_usd

    @property
    def total_cost_usd(self) -> Decimal | None:
        """Cost of the priced requests in US dollars; None when there were only unpriced ones."""
        if self._nothing_priced:
            return None
        return EXACT.add(self.priced_input_usd, self.priced_output_usd)

    @property
    def _nothing_priced(self) -> bool:
        return self.requests > 0 and self.unpriced_requests == self.requests

    def plus(self, run: RunUsage) -> UsageSum:
        """Add one run."""
        if run.cache_hit:
            return replace(self, cache_hits=self.cache_hits + 1)
        failed_requests = self.failed_requests + run.failed
        if run.failed and run.usage is None:
            return replace(self, failed_requests=failed_requests)
        cost = run.cost or Cost()
        is_unpriced = cost.input_usd is None or cost.output_usd is None
        return UsageSum(
            requests=self.requests + 1,
            cache_hits=self.cache_hits,
            failed_requests=failed_requests,
            unpriced_requests=self.unpriced_requests + is_unpriced,
            estimated_requests=self.estimated_requests + cost.estimated,
            tokens=self.tokens + (run.usage or _NO_TOKENS),
            priced_input_usd=EXACT.add(self.priced_input_usd, cost.input_usd or Decimal(0)),
            priced_output_usd=EXACT.add(self.priced_output_usd, cost.output_usd or Decimal(0)),
        )


class UsageTotals:
    """Totals that grow while model runs end. Reading is always consistent.

    A run is counted once, however often it is reported.
    """

    def __init__(self) -> None:
        """Start at nothing."""
        self._lock = threading.Lock()
        self._sum = UsageSum()
        self._by_model: dict[str, UsageSum] = {}
        self._run_ids: set[UUID] = set()
        self._run_order: deque[UUID] = deque()

    def record(self, run: RunUsage) -> None:
        """Count one run, unless a run with its id was counted already."""
        model = run.model or UNKNOWN_MODEL
        with self._lock:
            if self._is_repeated(run.run_id):
                return
            self._sum = self._sum.plus(run)
            self._by_model[model] = self._by_model.get(model, UsageSum()).plus(run)

    def _is_repeated(self, run_id: UUID | None) -> bool:
        """Remember a run id. Reports of one run come close together: the last few suffice."""
        if run_id is None:
            return False
        if run_id in self._run_ids:
            return True
        self._run_ids.add(run_id)
        self._run_order.append(run_id)
        if len(self._run_order) > _REMEMBERED_RUNS:
            self._run_ids.discard(self._run_order.popleft())
        return False

    def snapshot(self) -> UsageSum:
        """Give all totals of one moment."""
        return self._sum

    @property
    def by_model(self) -> dict[str, UsageSum]:
        """Totals of this moment by the model that served the requests."""
        with self._lock:
            return dict(self._by_model)

    @property
    def requests(self) -> int:
        """Answers of the provider, failed ones with known usage included."""
        return self._sum.requests

    @property
    def cache_hits(self) -> int:
        """Runs answered by LangChain's cache: they use no tokens and cost nothing."""
        return self._sum.cache_hits

    @property
    def failed_requests(self) -> int:
        """Runs that ended in an error."""
        return self._sum.failed_requests

    @property
    def unpriced_requests(self) -> int:
        """Requests whose cost is unknown and therefore not in the amounts."""
        return self._sum.unpriced_requests

    @property
    def estimated_requests(self) -> int:
        """Requests whose cost is an estimate."""
        return self._sum.estimated_requests

    @property
    def tokens(self) -> TokenUsage:
        """Tokens by every kind."""
        return self._sum.tokens

    @property
    def input_tokens(self) -> int:
        """Input tokens, cached and cache-written ones included."""
        return self._sum.input_tokens

    @property
    def output_tokens(self) -> int:
        """Output tokens, reasoning included."""
        return self._sum.output_tokens

    @property
    def total_tokens(self) -> int:
        """Input and output tokens."""
        return self._sum.total_tokens

    @property
    def cached_tokens(self) -> int:
        """Input tokens read from the provider's prompt cache."""
        return self._sum.cached_tokens

    @property
    def cache_write_tokens(self) -> int:
        """Input tokens written to the provider's prompt cache."""
        return self._sum.cache_write_tokens

    @property
    def reasoning_tokens(self) -> int:
        """Output tokens spent on reasoning."""
        return self._sum.reasoning_tokens

    @property
    def input_cost_usd(self) -> Decimal | None:
        """Cost of the input of the priced requests in US dollars; see `total_cost_usd`."""
        return self._sum.input_cost_usd

    @property
    def output_cost_usd(self) -> Decimal | None:
        """Cost of the output of the priced requests in US dollars; see `total_cost_usd`."""
        return self._sum.output_cost_usd

    @property
    def total_cost_usd(self) -> Decimal | None:
        """Cost of the priced requests in US dollars; None when there were only unpriced ones.

        See `unpriced_requests` for how many are missing from it.
        """
        return self._sum.total_cost_usd

    def __repr__(self) -> str:
        """Name the totals."""
        now = self._sum
        return (
            f"UsageTotals(requests={now.requests}, input_tokens={now.input_tokens}, "
            f"output_tokens={now.output_tokens}, total_cost_usd={now.total_cost_usd}, "
            f"unpriced_requests={now.unpriced_requests}, cache_hits={now.cache_hits})"
        )
