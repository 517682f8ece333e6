"""What has a say in a model's calls: retries, limits, quota, circuit, fallbacks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Self, cast

from pydantic import SecretStr

from langchain_tamma_openai.chat_models.accounts import Account, account_of
from langchain_tamma_openai.chat_models.mixin import Mixin
from langchain_tamma_openai.chat_models.settings import (
    CLIENT_FIELDS,
    CONNECTION_FIELDS,
    base_url,
)

if TYPE_CHECKING:
    from types import ModuleType

    import httpx2

    from langchain_tamma_openai.chat_models.calls import Call
    from langchain_tamma_openai.chat_models.run_link import RunLink
    from langchain_tamma_openai.resilience.deadline import Deadline
    from langchain_tamma_openai.resilience.fallback import FallbackPolicy, FallbackStep
    from langchain_tamma_openai.resilience.governors import Passage
    from langchain_tamma_openai.resilience.limits_info import RateLimitInfo
    from langchain_tamma_openai.resilience.quota import QuotaInfo, QuotaKey, QuotaMemory
    from langchain_tamma_openai.resilience.retry import RetryPolicy
    from langchain_tamma_openai.usage.sinks import UsageRecordSink

_DEFAULT_MAX_RETRIES = 2
_GOVERNING = frozenset(
    (
        "rate_limiter",
        "circuit_breaker",
        "quota_memory",
        "fallback_models",
        "allowed_models",
        "usage_tracker",
        "budget",
    )
)
_ALIVE = (
    "http_client",
    "http_async_client",
    "rate_limiter",
    "circuit_breaker",
    "quota_memory",
    "callbacks",
)
_RATE_LIMIT_PREFIX = b"x-ratelimit-"


@cache
def _passages() -> ModuleType:
    """Load what asks for leave, with the first call that somebody governs."""
    from langchain_tamma_openai.chat_models import passages

    return passages


class GoverningMixin(Mixin):
    """Finds the governors of each call, and tells what they know."""

    @property
    def _retry_policy(self) -> RetryPolicy:
        if self.retry is not None:
            return self.retry
        from langchain_tamma_openai.resilience.retry import RetryPolicy

        retries = _DEFAULT_MAX_RETRIES if self.max_retries is None else self.max_retries
        return RetryPolicy.from_max_retries(retries)

    # --- copies ---

    def __copy__(self) -> Self:
        """Copy the model: governors stay shared, what was derived from its settings does not."""
        other: Self = super().__copy__()
        other._others = {}
        other._rate_limits = dict(self._rate_limits)
        return other

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copy the settings deeply; governors and connections stay shared, being alive."""
        alive = (
            *(getattr(self, name) for name in _ALIVE),
            self._treasury,
            self._governors,
            self._runs,
        )
        shared = {id(thing): thing for thing in alive if thing is not None}
        clients, self._clients = self._clients, None
        others, self._others = self._others, {}
        try:
            return super().__deepcopy__({**(memo or {}), **shared})
        finally:
            self._clients, self._others = clients, others

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy the model, with some fields changed; see pydantic's `BaseModel.model_copy`.

        Args:
            update: New values by the fields' own names; they are not validated.
            deep: Copy the settings deeply.

        Raises:
            ConfigurationError: A new governor or fallback cannot be used.
        """
        other: Self = super().model_copy(update=update, deep=deep)
        if update and not CONNECTION_FIELDS.isdisjoint(update):
            other._clients = None
        if update and not _GOVERNING.isdisjoint(update):
            other._settle_governors()
        return other

    # --- asking for leave ---

    def _settle_governors(self) -> None:
        """Read the settings once; called when the model is made.

        Raises:
            ConfigurationError: One of them cannot be used.
        """
        limiter = getattr(self.rate_limiter, "per_attempt", None)
        if limiter is not None:
            # LangChain asks once per run; here each attempt asks for itself.
            self.rate_limiter = limiter()
        self._fallback_policy = None
        if self.fallback_models is not None:
            from langchain_tamma_openai.resilience.fallback import FallbackPolicy

            self._fallback_policy = FallbackPolicy.of(self.fallback_models)
            _check_allowed_fallbacks(self._fallback_policy, self.allowed_models)
        self._treasury = None
        if self.budget is not None:
            from langchain_tamma_openai.chat_models.treasury import BudgetTreasury

            self._treasury = BudgetTreasury.of(self.budget)
        self._runs = None
        if self.usage_tracker is not None:
            self._attach_tracker()
        _check_kind(self.circuit_breaker, "guard", "circuit_breaker", "a CircuitBreaker")
        if self.quota_memory is not False:
            _check_kind(self.quota_memory, "guard", "quota_memory", "a QuotaMemory, or False")
        self._gather()

    def _attach_tracker(self) -> None:
        """Take every run of this model for its tracker."""
        _check_kind(self.usage_tracker, "accepts_usage_records", "usage_tracker", "a UsageTracker")
        from langchain_tamma_openai.usage.model_runs import ModelRuns

        self._runs = ModelRuns(cast("UsageRecordSink", self.usage_tracker))

    def _gather(self) -> None:
        """Put the governors together, or leave None where there are none."""
        quota = self._quota
        members = (self._treasury, self._limiter, quota, self.circuit_breaker)
        if all(member is None for member in members):
            self._governors = None
            return
        from langchain_tamma_openai.resilience.governors import Governors

        self._governors = Governors(*members)

    @property
    def _limiter(self) -> Any:
        return self.rate_limiter if hasattr(self.rate_limiter, "per_attempt") else None

    @property
    def _quota(self) -> QuotaMemory | None:
        return self.quota_memory or None

    def _passage(
        self, call: Call, deadline: Deadline, link: RunLink | None, root: str | None
    ) -> Passage:
        """Prepare to ask the governors, of which there are some, for leave to send one request."""
        passage: Passage = _passages().passage_of(self, call, deadline, link, root)
        return passage

    async def _awarm(self, call: Call) -> None:
        """Load what the first bound needs in a thread: it would hold up the event loop."""
        if self._treasury is None or self._is_warm:
            return
        await asyncio.to_thread(_passages().upper_bound, self, call, base_url(self))
        self._is_warm = True

    @property
    def _quota_key(self) -> QuotaKey | None:
        return self._account(base_url(self)).quota

    def _limit_key(self, model: str) -> str:
        return f"{self._account(base_url(self)).limits}{model}"

    def _account(self, root: str | None) -> Account:
        key = self.openai_api_key
        return account_of(key if isinstance(key, SecretStr) else None, root)

    # --- fallbacks ---

    def _serving(self, step: FallbackStep) -> Self:
        """Return the model that makes a call as a fallback wants it."""
        if step.api_key is None and step.base_url is None:
            return self
        key = (step.api_key, step.base_url)
        if key not in self._others:
            changes: dict[str, Any] = {"openai_organization": None, "openai_project": None}
            if step.api_key is not None:
                changes["openai_api_key"] = step.api_key
            if step.base_url is not None:
                changes["openai_api_base"] = step.base_url
            self._others[key] = self._with_account(changes)
        other: Self = self._others[key]
        return other

    def _with_account(self, changes: Mapping[str, Any]) -> Self:
        other = self.model_copy(update=changes)
        for name in CLIENT_FIELDS:
            other.__dict__.pop(name, None)
        return other

    # --- what is known ---

    def _note_failure(self, error: Exception) -> None:
        """Remember what an error says about the account and its rate limits."""
        if (info := getattr(error, "rate_limit", None)) is not None:
            self._rate_limits[getattr(error, "model", None) or self.model_name] = info
        if self.quota_memory is not None or self._quota_key is None:
            return
        from langchain_tamma_openai.resilience.quota import QuotaMemory, quota_code

        if quota_code(error) is None or getattr(error, "response", None) is None:
            return
        # The first sign of a dry account: remembered from now on, so that not every call asks.
        self.quota_memory = QuotaMemory()
        self.quota_memory.guard(self._quota_key).__enter__().__exit__(type(error), error, None)
        self._gather()

    def _read_rate_limit(self, response: httpx2.Response, model: str) -> RateLimitInfo | None:
        headers = response.headers
        # The raw list: one look-up by name takes longer than going through all of them.
        if not any(name.lower().startswith(_RATE_LIMIT_PREFIX) for name, _value in headers.raw):
            return None
        from langchain_tamma_openai.resilience.limits_info import RateLimitInfo

        info = RateLimitInfo.from_headers(headers)
        if not info:
            return None
        self._rate_limits[model] = info
        return info

    def rate_limit_status(self, model: str | None = None) -> RateLimitInfo:
        """Tell the rate limits of a model as they are known now, without asking the server.

        Args:
            model: Its name; this instance's own when left out.

        Returns:
            What the rate limiter sees where there is an `OpenAIRateLimiter`; else what the last
            answer or error of this instance said. Unknown values are None.
        """
        name = model or self.model_name
        if self._limiter is not None:
            status: RateLimitInfo = self._limiter.status(self._limit_key(name))
            return status
        from langchain_tamma_openai.resilience.limits_info import RateLimitInfo

        found: RateLimitInfo | None = self._rate_limits.get(name)
        return found or RateLimitInfo()

    def quota_status(self) -> QuotaInfo | None:
        """Tell what is remembered of an account that ran dry; None when nothing is."""
        if self._quota is None or self._quota_key is None:
            return None
        return self._quota.info(self._quota_key)

    def clear_quota(self) -> None:
        """Forget that the account ran dry, because somebody paid."""
        if self._quota is not None and self._quota_key is not None:
            self._quota.clear(self._quota_key)


def _check_allowed_fallbacks(policy: FallbackPolicy, allowed: Sequence[str] | None) -> None:
    """Refuse fallbacks that could never serve."""
    if allowed is None:
        return
    for model in policy.listed:
        if model.model not in allowed:
            from langchain_tamma_openai.resilience.bounds import refuse

            names = ", ".join(allowed)
            refuse(
                "fallback_models", model.model, f"one of allowed_models ({names}), or added there"
            )


def _check_kind(value: object, method: str, field: str, expected: str) -> None:
    if value is None or hasattr(value, method):
        return
    from langchain_tamma_openai.resilience.bounds import refuse

    refuse(field, value, expected)
