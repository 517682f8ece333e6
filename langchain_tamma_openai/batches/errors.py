"""What can become of a request of a batch, besides an answer and the errors of any request."""

from __future__ import annotations

import openai
from langchain_core import exceptions as lc

from langchain_tamma_openai.error_base import TammaError
from langchain_tamma_openai.errors import MalformedResponseError, RequestTimeoutError
from langchain_tamma_openai.kinds import ErrorKind

__all__ = ["BatchAnswerMissingError", "BatchCancelledError", "BatchExpiredError"]


class BatchExpiredError(RequestTimeoutError):
    """The batch's time was over before the request was worked on; it costs nothing."""

    default_code = "batch_expired"


class BatchCancelledError(TammaError, lc.ModelError, openai.OpenAIError):
    """The batch was cancelled before the request was worked on; it costs nothing."""

    kind = ErrorKind.CANCELLED
    default_code = "batch_cancelled"


class BatchAnswerMissingError(MalformedResponseError):
    """The batch has ended, and neither of its files says what became of the request."""

    default_code = "batch_answer_missing"
