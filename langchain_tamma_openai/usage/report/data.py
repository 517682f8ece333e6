"""What a report says, before it is drawn. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from langchain_tamma_openai.usage.percentiles import Percentiles
from langchain_tamma_openai.usage.report.forecast import Forecast
from langchain_tamma_openai.usage.summary import UsageGroup, UsageSummary

OTHERS = "others"
NOBODY = "(none)"


@dataclass(frozen=True, slots=True)
class Ranking:
    """Groups of one name, the dearest first.

    Attributes:
        name: What they are grouped by, such as "user_id".
        groups: The groups that are shown.
        others: How many more there are.
        others_usd: What they cost together.
    """

    name: str
    groups: tuple[UsageGroup, ...]
    others: int = 0
    others_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class ReportData:
    """The figures of a report; each is that of `UsageTracker.summary`.

    Attributes:
        title: What it is called.
        store: The ledger, without secrets.
        made_at: When; UTC.
        start: First moment; None for the beginning.
        end: First moment after it; None for now.
        filters: Which runs, in words.
        period: "hour", "day" or "month": what the charts over time are in.
        total: All runs.
        by_time: By period.
        by_time_and_model: By period and model.
        by_time_and_error: Failed runs by period and kind of error.
        rankings: By model, user, organization and tag.
        latency: Times by period.
        latency_by_model: Times by model.
        first_token: Times to the first token by period.
        cache_saving_usd: What tokens from the provider's cache would have cost more; None when
            that is not known of any.
        forecast: Where it is going; None with fewer than two periods.
        budget_usd: What may be spent in the range; None for no limit.
    """

    title: str
    store: str
    made_at: datetime
    start: datetime | None
    end: datetime | None
    filters: Mapping[str, str]
    period: str
    total: UsageSummary
    by_time: tuple[UsageGroup, ...] = ()
    by_time_and_model: tuple[UsageGroup, ...] = ()
    by_time_and_error: tuple[UsageGroup, ...] = ()
    rankings: tuple[Ranking, ...] = ()
    latency: tuple[Percentiles, ...] = ()
    latency_by_model: tuple[Percentiles, ...] = ()
    first_token: tuple[Percentiles, ...] = ()
    cache_saving_usd: Decimal | None = None
    forecast: Forecast | None = None
    budget_usd: Decimal | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def retries(self) -> int:
        """HTTP attempts beyond the first of each run."""
        return max(0, self.total.total_attempts - self.total.total_requests)


def label(value: str | None) -> str:
    """Show the value of a group.

    Args:
        value: None for runs without one.
    """
    return NOBODY if value is None else value


def ranking(name: str, groups: tuple[UsageGroup, ...], shown: int) -> Ranking:
    """Order groups by cost and keep the dearest.

    Args:
        name: What they are grouped by.
        groups: All of them.
        shown: How many to keep.
    """
    ordered = sorted(groups, key=lambda group: (-group.known_total_usd, -group.total_tokens))
    rest = ordered[shown:]
    rest_usd = sum((group.known_total_usd for group in rest), Decimal(0))
    return Ranking(name, tuple(ordered[:shown]), len(rest), rest_usd)
