"""How large one batch of the API may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What one file of requests may hold; a job with more has several.

    Attributes:
        requests: Most requests.
        size: Most bytes.
    """

    requests: int = 50_000
    size: int = 200_000_000


LIMITS = BatchLimits()
"""OpenAI's (SDK, `batches.create`): 50,000 requests and 200 MB, read as the smaller megabytes."""
