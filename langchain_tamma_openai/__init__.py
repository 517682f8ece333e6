"""The OpenAI chat model for LangChain in production.

Every public name is imported from here and loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from langchain_tamma_openai._version import __version__

if TYPE_CHECKING:
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI
    from langchain_tamma_openai.chunk_buffer import ChunkBuffer
    from langchain_tamma_openai.config import TammaOpenAIConfig
    from langchain_tamma_openai.errors import (
        AuthenticationError,
        BudgetExceededError,
        CircuitOpenError,
        ConfigurationError,
        ConflictError,
        ConnectionFailedError,
        ContentFilterError,
        ContextOverflowError,
        InvalidParameterError,
        InvalidRequestError,
        InvalidToolError,
        MalformedResponseError,
        ModelOverloadedError,
        NotFoundError,
        OutputTruncatedError,
        PermissionDeniedError,
        PromptError,
        QuotaExceededError,
        RateLimitError,
        RefusalError,
        RequestTimeoutError,
        RequestTooLargeError,
        ServerError,
        StorageError,
        StreamInterruptedError,
        StreamStalledError,
        TammaError,
        UnclassifiedError,
        UnknownParameterError,
    )
    from langchain_tamma_openai.keys import hash_api_key, redact_api_key
    from langchain_tamma_openai.kinds import ErrorKind
    from langchain_tamma_openai.models import ModelCatalog, ModelInfo
    from langchain_tamma_openai.pricing import Cost, CostCalculator
    from langchain_tamma_openai.resilience.advice import ErrorAdvice, advise
    from langchain_tamma_openai.resilience.circuit import (
        CircuitBreaker,
        CircuitEvent,
        CircuitKey,
        CircuitListener,
    )
    from langchain_tamma_openai.resilience.classify import ClassifiedError, ErrorClassifier
    from langchain_tamma_openai.resilience.fallback import (
        FallbackAccount,
        FallbackModel,
        FallbackPolicy,
        Fallbacks,
        FallbackStep,
        arun_with_fallbacks,
        run_with_fallbacks,
    )
    from langchain_tamma_openai.resilience.limits import OpenAIRateLimiter
    from langchain_tamma_openai.resilience.limits_info import RateLimitInfo
    from langchain_tamma_openai.resilience.quota import QuotaInfo, QuotaKey, QuotaMemory
    from langchain_tamma_openai.resilience.retry import RetryPolicy
    from langchain_tamma_openai.tokens import TokenCounter
    from langchain_tamma_openai.usage.callbacks import (
        AsyncUsageCallbackHandler,
        UsageCallbackHandler,
        get_usage_callback,
    )
    from langchain_tamma_openai.usage.totals import UsageTotals

_HOMES = {
    "chunk_buffer": ("ChunkBuffer",),
    "resilience.advice": ("ErrorAdvice", "advise"),
    "resilience.circuit": ("CircuitBreaker", "CircuitEvent", "CircuitKey", "CircuitListener"),
    "resilience.fallback": (
        "FallbackAccount",
        "FallbackModel",
        "FallbackPolicy",
        "FallbackStep",
        "Fallbacks",
        "arun_with_fallbacks",
        "run_with_fallbacks",
    ),
    "resilience.quota": ("QuotaInfo", "QuotaKey", "QuotaMemory"),
    "resilience.limits": ("OpenAIRateLimiter",),
    "resilience.limits_info": ("RateLimitInfo",),
    "chat_models.base": ("ChatTammaOpenAI",),
    "config": ("TammaOpenAIConfig",),
    "errors": (
        "AuthenticationError",
        "BudgetExceededError",
        "CircuitOpenError",
        "ConfigurationError",
        "ConflictError",
        "ConnectionFailedError",
        "ContentFilterError",
        "ContextOverflowError",
        "InvalidParameterError",
        "InvalidRequestError",
        "InvalidToolError",
        "MalformedResponseError",
        "ModelOverloadedError",
        "NotFoundError",
        "OutputTruncatedError",
        "PermissionDeniedError",
        "PromptError",
        "QuotaExceededError",
        "RateLimitError",
        "RefusalError",
        "RequestTimeoutError",
        "RequestTooLargeError",
        "ServerError",
        "StorageError",
        "StreamInterruptedError",
        "StreamStalledError",
        "TammaError",
        "UnclassifiedError",
        "UnknownParameterError",
    ),
    "keys": ("hash_api_key", "redact_api_key"),
    "kinds": ("ErrorKind",),
    "models": ("ModelCatalog", "ModelInfo"),
    "pricing": ("Cost", "CostCalculator"),
    "resilience.classify": ("ClassifiedError", "ErrorClassifier"),
    "resilience.retry": ("RetryPolicy",),
    "tokens": ("TokenCounter",),
    "usage.callbacks": (
        "AsyncUsageCallbackHandler",
        "UsageCallbackHandler",
        "get_usage_callback",
    ),
    "usage.totals": ("UsageTotals",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AsyncUsageCallbackHandler",
    "AuthenticationError",
    "BudgetExceededError",
    "ChatTammaOpenAI",
    "ChunkBuffer",
    "CircuitBreaker",
    "CircuitEvent",
    "CircuitKey",
    "CircuitListener",
    "CircuitOpenError",
    "ClassifiedError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailedError",
    "ContentFilterError",
    "ContextOverflowError",
    "Cost",
    "CostCalculator",
    "ErrorAdvice",
    "ErrorClassifier",
    "ErrorKind",
    "FallbackAccount",
    "FallbackModel",
    "FallbackPolicy",
    "FallbackStep",
    "Fallbacks",
    "InvalidParameterError",
    "InvalidRequestError",
    "InvalidToolError",
    "MalformedResponseError",
    "ModelCatalog",
    "ModelInfo",
    "ModelOverloadedError",
    "NotFoundError",
    "OpenAIRateLimiter",
    "OutputTruncatedError",
    "PermissionDeniedError",
    "PromptError",
    "QuotaExceededError",
    "QuotaInfo",
    "QuotaKey",
    "QuotaMemory",
    "RateLimitError",
    "RateLimitInfo",
    "RefusalError",
    "RequestTimeoutError",
    "RequestTooLargeError",
    "RetryPolicy",
    "ServerError",
    "StorageError",
    "StreamInterruptedError",
    "StreamStalledError",
    "TammaError",
    "TammaOpenAIConfig",
    "TokenCounter",
    "UnclassifiedError",
    "UnknownParameterError",
    "UsageCallbackHandler",
    "UsageTotals",
    "__version__",
    "advise",
    "arun_with_fallbacks",
    "get_usage_callback",
    "hash_api_key",
    "redact_api_key",
    "run_with_fallbacks",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return __all__
