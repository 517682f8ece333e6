"""The OpenAI chat model for LangChain in production.

Every public name is imported from here and loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from langchain_tamma_openai._version import __version__

if TYPE_CHECKING:
    from langchain_tamma_openai.adaptive import AdaptiveChoice, AdaptiveParameters
    from langchain_tamma_openai.batch_run.problems import BatchConflictError, BatchInputError
    from langchain_tamma_openai.batch_run.progress import BatchProgress, BatchSummary
    from langchain_tamma_openai.batch_run.run import BatchRun
    from langchain_tamma_openai.batches.answers import BatchResult
    from langchain_tamma_openai.batches.errors import (
        BatchAnswerMissingError,
        BatchCancelledError,
        BatchExpiredError,
    )
    from langchain_tamma_openai.batches.job import BatchJob, asubmit_batch, submit_batch
    from langchain_tamma_openai.batches.status import BatchProblem, BatchState, BatchStatus
    from langchain_tamma_openai.batches.store import BatchStore
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
    from langchain_tamma_openai.finding import ConfigurableChatModel, init_chat_model
    from langchain_tamma_openai.history import HistoryProblem, check_history
    from langchain_tamma_openai.history_repair import HistoryRepair, repair_history
    from langchain_tamma_openai.keys import hash_api_key, redact_api_key
    from langchain_tamma_openai.kinds import ErrorKind
    from langchain_tamma_openai.lint import Problem
    from langchain_tamma_openai.models import ModelCatalog, ModelInfo
    from langchain_tamma_openai.parameters.problems import (
        ParameterAdjustedWarning,
        ParameterChange,
        ParameterProblem,
    )
    from langchain_tamma_openai.parameters.validator import ParameterValidator
    from langchain_tamma_openai.parameters.values import ModelParameters
    from langchain_tamma_openai.pricing import Cost, CostCalculator
    from langchain_tamma_openai.pricing_estimate import CostEstimate, UpperBound
    from langchain_tamma_openai.pricing_overview import PricingRow
    from langchain_tamma_openai.prompts.merge import apply_system_prompt, resolve_system_prompt
    from langchain_tamma_openai.prompts.model import (
        RenderedPrompt,
        SystemPrompt,
        SystemPromptTemplate,
    )
    from langchain_tamma_openai.prompts.problems import InvalidPromptError, PromptProblem
    from langchain_tamma_openai.prompts.registry import PromptRegistry
    from langchain_tamma_openai.prompts.variables import PromptVariable
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
    from langchain_tamma_openai.resilience.retry import RetryPolicy, no_waiting
    from langchain_tamma_openai.tokens import TokenCount, TokenCounter
    from langchain_tamma_openai.tools.arguments import (
        apply_argument_policy,
        check_tool_arguments,
        judge_call,
        tool_errors_as_messages,
    )
    from langchain_tamma_openai.tools.definitions import (
        validate_response_format,
        validate_tool_definition,
        validate_tool_definitions,
    )
    from langchain_tamma_openai.tools.executor import ToolExecutor
    from langchain_tamma_openai.tools.handlers import HandlerInfo
    from langchain_tamma_openai.tools.loop import (
        arun_tool_loop,
        astream_tool_loop,
        run_tool_loop,
        stream_tool_loop,
    )
    from langchain_tamma_openai.tools.loop_state import ToolLoopResult
    from langchain_tamma_openai.tools.middleware import ToolCallRecovery
    from langchain_tamma_openai.tools.problems import ToolProblem
    from langchain_tamma_openai.tools.strict import to_strict
    from langchain_tamma_openai.usage.budget import (
        Budget,
        BudgetAlert,
        BudgetReservation,
        BudgetStatus,
        affordable_output_tokens,
        areserve_all,
        reserve_all,
    )
    from langchain_tamma_openai.usage.callbacks import (
        AsyncUsageCallbackHandler,
        UsageCallbackHandler,
        get_usage_callback,
    )
    from langchain_tamma_openai.usage.export import export_records
    from langchain_tamma_openai.usage.logs import UsageLog
    from langchain_tamma_openai.usage.otel import OpenTelemetryCallbackHandler
    from langchain_tamma_openai.usage.reconcile import (
        Drift,
        DriftKind,
        Reconciliation,
        reconcile,
    )
    from langchain_tamma_openai.usage.record import (
        AttemptOutcome,
        AttemptRecord,
        Delivery,
        Measurement,
        RunStatus,
        UsageRecord,
    )
    from langchain_tamma_openai.usage.report.data import UsageReport
    from langchain_tamma_openai.usage.report.gather import ausage_report, usage_report
    from langchain_tamma_openai.usage.summary import UsageSummary
    from langchain_tamma_openai.usage.totals import UsageTotals
    from langchain_tamma_openai.usage.tracker import UsageTracker

_HOMES = {
    "adaptive": ("AdaptiveChoice", "AdaptiveParameters"),
    "batch_run.problems": ("BatchConflictError", "BatchInputError"),
    "batch_run.progress": ("BatchProgress", "BatchSummary"),
    "batch_run.run": ("BatchRun",),
    "batches.answers": ("BatchResult",),
    "batches.errors": ("BatchAnswerMissingError", "BatchCancelledError", "BatchExpiredError"),
    "batches.job": ("BatchJob", "asubmit_batch", "submit_batch"),
    "batches.status": ("BatchProblem", "BatchState", "BatchStatus"),
    "batches.store": ("BatchStore",),
    "chat_models.base": ("ChatTammaOpenAI",),
    "chunk_buffer": ("ChunkBuffer",),
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
    "finding": ("ConfigurableChatModel", "init_chat_model"),
    "history": ("HistoryProblem", "check_history"),
    "history_repair": ("HistoryRepair", "repair_history"),
    "keys": ("hash_api_key", "redact_api_key"),
    "kinds": ("ErrorKind",),
    "lint": ("Problem",),
    "models": ("ModelCatalog", "ModelInfo"),
    "parameters.problems": ("ParameterAdjustedWarning", "ParameterChange", "ParameterProblem"),
    "parameters.validator": ("ParameterValidator",),
    "parameters.values": ("ModelParameters",),
    "pricing": ("Cost", "CostCalculator"),
    "pricing_estimate": ("CostEstimate", "UpperBound"),
    "pricing_overview": ("PricingRow",),
    "prompts.merge": ("apply_system_prompt", "resolve_system_prompt"),
    "prompts.model": ("RenderedPrompt", "SystemPrompt", "SystemPromptTemplate"),
    "prompts.problems": ("InvalidPromptError", "PromptProblem"),
    "prompts.registry": ("PromptRegistry",),
    "prompts.variables": ("PromptVariable",),
    "resilience.advice": ("ErrorAdvice", "advise"),
    "resilience.circuit": ("CircuitBreaker", "CircuitEvent", "CircuitKey", "CircuitListener"),
    "resilience.classify": ("ClassifiedError", "ErrorClassifier"),
    "resilience.fallback": (
        "FallbackAccount",
        "FallbackModel",
        "FallbackPolicy",
        "FallbackStep",
        "Fallbacks",
        "arun_with_fallbacks",
        "run_with_fallbacks",
    ),
    "resilience.limits": ("OpenAIRateLimiter",),
    "resilience.limits_info": ("RateLimitInfo",),
    "resilience.quota": ("QuotaInfo", "QuotaKey", "QuotaMemory"),
    "resilience.retry": ("RetryPolicy", "no_waiting"),
    "tokens": ("TokenCount", "TokenCounter"),
    "tools.arguments": (
        "apply_argument_policy",
        "check_tool_arguments",
        "judge_call",
        "tool_errors_as_messages",
    ),
    "tools.definitions": (
        "validate_response_format",
        "validate_tool_definition",
        "validate_tool_definitions",
    ),
    "tools.executor": ("ToolExecutor",),
    "tools.handlers": ("HandlerInfo",),
    "tools.loop": ("arun_tool_loop", "astream_tool_loop", "run_tool_loop", "stream_tool_loop"),
    "tools.loop_state": ("ToolLoopResult",),
    "tools.middleware": ("ToolCallRecovery",),
    "tools.problems": ("ToolProblem",),
    "tools.strict": ("to_strict",),
    "usage.budget": (
        "Budget",
        "BudgetAlert",
        "BudgetReservation",
        "BudgetStatus",
        "affordable_output_tokens",
        "areserve_all",
        "reserve_all",
    ),
    "usage.callbacks": ("AsyncUsageCallbackHandler", "UsageCallbackHandler", "get_usage_callback"),
    "usage.export": ("export_records",),
    "usage.logs": ("UsageLog",),
    "usage.otel": ("OpenTelemetryCallbackHandler",),
    "usage.reconcile": ("Drift", "DriftKind", "Reconciliation", "reconcile"),
    "usage.record": (
        "AttemptOutcome",
        "AttemptRecord",
        "Delivery",
        "Measurement",
        "RunStatus",
        "UsageRecord",
    ),
    "usage.report.data": ("UsageReport",),
    "usage.report.gather": ("ausage_report", "usage_report"),
    "usage.summary": ("UsageSummary",),
    "usage.totals": ("UsageTotals",),
    "usage.tracker": ("UsageTracker",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AdaptiveChoice",
    "AdaptiveParameters",
    "AsyncUsageCallbackHandler",
    "AttemptOutcome",
    "AttemptRecord",
    "AuthenticationError",
    "BatchAnswerMissingError",
    "BatchCancelledError",
    "BatchConflictError",
    "BatchExpiredError",
    "BatchInputError",
    "BatchJob",
    "BatchProblem",
    "BatchProgress",
    "BatchResult",
    "BatchRun",
    "BatchState",
    "BatchStatus",
    "BatchStore",
    "BatchSummary",
    "Budget",
    "BudgetAlert",
    "BudgetExceededError",
    "BudgetReservation",
    "BudgetStatus",
    "ChatTammaOpenAI",
    "ChunkBuffer",
    "CircuitBreaker",
    "CircuitEvent",
    "CircuitKey",
    "CircuitListener",
    "CircuitOpenError",
    "ClassifiedError",
    "ConfigurableChatModel",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailedError",
    "ContentFilterError",
    "ContextOverflowError",
    "Cost",
    "CostCalculator",
    "CostEstimate",
    "Delivery",
    "Drift",
    "DriftKind",
    "ErrorAdvice",
    "ErrorClassifier",
    "ErrorKind",
    "FallbackAccount",
    "FallbackModel",
    "FallbackPolicy",
    "FallbackStep",
    "Fallbacks",
    "HandlerInfo",
    "HistoryProblem",
    "HistoryRepair",
    "InvalidParameterError",
    "InvalidPromptError",
    "InvalidRequestError",
    "InvalidToolError",
    "MalformedResponseError",
    "Measurement",
    "ModelCatalog",
    "ModelInfo",
    "ModelOverloadedError",
    "ModelParameters",
    "NotFoundError",
    "OpenAIRateLimiter",
    "OpenTelemetryCallbackHandler",
    "OutputTruncatedError",
    "ParameterAdjustedWarning",
    "ParameterChange",
    "ParameterProblem",
    "ParameterValidator",
    "PermissionDeniedError",
    "PricingRow",
    "Problem",
    "PromptError",
    "PromptProblem",
    "PromptRegistry",
    "PromptVariable",
    "QuotaExceededError",
    "QuotaInfo",
    "QuotaKey",
    "QuotaMemory",
    "RateLimitError",
    "RateLimitInfo",
    "Reconciliation",
    "RefusalError",
    "RenderedPrompt",
    "RequestTimeoutError",
    "RequestTooLargeError",
    "RetryPolicy",
    "RunStatus",
    "ServerError",
    "StorageError",
    "StreamInterruptedError",
    "StreamStalledError",
    "SystemPrompt",
    "SystemPromptTemplate",
    "TammaError",
    "TammaOpenAIConfig",
    "TokenCount",
    "TokenCounter",
    "ToolCallRecovery",
    "ToolExecutor",
    "ToolLoopResult",
    "ToolProblem",
    "UnclassifiedError",
    "UnknownParameterError",
    "UpperBound",
    "UsageCallbackHandler",
    "UsageLog",
    "UsageRecord",
    "UsageReport",
    "UsageSummary",
    "UsageTotals",
    "UsageTracker",
    "__version__",
    "advise",
    "affordable_output_tokens",
    "apply_argument_policy",
    "apply_system_prompt",
    "areserve_all",
    "arun_tool_loop",
    "arun_with_fallbacks",
    "astream_tool_loop",
    "asubmit_batch",
    "ausage_report",
    "check_history",
    "check_tool_arguments",
    "export_records",
    "get_usage_callback",
    "hash_api_key",
    "init_chat_model",
    "judge_call",
    "no_waiting",
    "reconcile",
    "redact_api_key",
    "repair_history",
    "reserve_all",
    "resolve_system_prompt",
    "run_tool_loop",
    "run_with_fallbacks",
    "stream_tool_loop",
    "submit_batch",
    "to_strict",
    "tool_errors_as_messages",
    "usage_report",
    "validate_response_format",
    "validate_tool_definition",
    "validate_tool_definitions",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from langchain_tamma_openai.loading import uncollected

    with uncollected():
        home = importlib.import_module(f"{__name__}.{_HOME_OF[name]}")
    value: object = getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return __all__
