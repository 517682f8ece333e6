"""What is left of a batch will cost: the sums of what its requests will."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from langchain_tamma_openai.batch_run.asking import Asker
from langchain_tamma_openai.batch_run.lines import BatchLine
from langchain_tamma_openai.batch_run.plan import ResumePlan, make_plan
from langchain_tamma_openai.chat_models.observing import calculator

if TYPE_CHECKING:
    from langchain_tamma_openai.batch_run.files import BatchInput, InputFacts
    from langchain_tamma_openai.batch_run.session import Standing, Wishes
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI
    from langchain_tamma_openai.pricing_estimate import CostEstimate


@dataclass(slots=True)
class BatchEstimate:
    """What is left of a batch, and what it will cost.

    Attributes:
        total: Lines that can be asked.
        answered: Lines with an answer.
        failed: Lines with an error that stays.
        unknown: Lines that were sent, outcome unknown.
        bad_count: Lines that cannot be asked.
        left: Lines that would be asked now.
        input_tokens: The likely input of these.
        low_usd: The least that they can cost; None when a price is unknown.
        expected_usd: The likely amount; None when a price is unknown.
        high_usd: The most; None when it is not bounded.
        unpriced: How many of them have no known price.
    """

    total: int = 0
    answered: int = 0
    failed: int = 0
    unknown: int = 0
    bad_count: int = 0
    left: int = 0
    input_tokens: int = 0
    low_usd: Decimal | None = Decimal(0)
    expected_usd: Decimal | None = Decimal(0)
    high_usd: Decimal | None = Decimal(0)
    unpriced: int = 0

    def add(self, one: CostEstimate) -> None:
        """Add a line that would be asked.

        Args:
            one: What it will cost.
        """
        self.left += 1
        self.input_tokens += one.input_tokens
        self.unpriced += one.expected is None
        self.low_usd = _sum(self.low_usd, one.low)
        self.expected_usd = _sum(self.expected_usd, one.expected)
        self.high_usd = _sum(self.high_usd, one.high)


def estimate_batch(
    llm: ChatTammaOpenAI,
    source: BatchInput,
    facts: InputFacts,
    standing: Standing | None,
    wishes: Wishes,
) -> BatchEstimate:
    """Price what is left of a batch.

    Args:
        llm: The model.
        source: The input.
        facts: What reading it told.
        standing: What the files of the batch tell; None for standard output.
        wishes: How it is to be gone on with.
    """
    plan = ResumePlan()
    if standing is not None:
        plan = make_plan(
            standing.journal,
            standing.output,
            retry_errors=wishes.retry_errors,
            ask_unknown=wishes.ask_unknown,
        )
    estimate = BatchEstimate(
        total=facts.lines,
        answered=len(plan.answered),
        failed=len(plan.failed),
        unknown=len(plan.unknown),
        bad_count=facts.bad_count,
    )
    asker, prices = Asker(llm, wishes.api), calculator(llm.price_overrides)
    for found in source.read():
        if isinstance(found, BatchLine) and plan.is_left(found.line):
            estimate.add(prices.estimate_payload(asker.payload(found)))
    return estimate


def _sum(left: Decimal | None, right: Decimal | None) -> Decimal | None:
    return None if left is None or right is None else left + right
