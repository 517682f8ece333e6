"""What a comparison came to: drifts, each with its cause and its sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import reduce

from langchain_tamma_openai.usage.money import add_exactly, sum_exactly


class DriftKind(StrEnum):
    """Why the two accounts differ."""

    MISSING_IN_LEDGER = "missing_in_ledger"
    """The provider billed calls that the ledger does not know."""
    MISSING_AT_PROVIDER = "missing_at_provider"
    """The ledger has calls that the provider did not bill."""
    WRONG_SERVICE_TIER = "wrong_service_tier"
    """The provider billed another service tier than the ledger wrote down."""
    BATCH_DISCOUNT = "batch_discount"
    """Only one of the two counts calls as those of the Batch API, which is cheaper."""
    REGIONAL_UPLIFT = "regional_uplift"
    """The provider billed regional processing, which the ledger does not know of."""
    STALE_PRICE = "stale_price"
    """The ledger reckoned with another price than the provider."""
    TOKEN_MISMATCH = "token_mismatch"  # noqa: S105 - tokens of a model
    """Both have the call, with other numbers of tokens."""
    ESTIMATED_RECORD = "estimated_record"
    """The ledger had to estimate the call, or never saw its answer; the provider measured it."""
    MODEL_MISMATCH = "model_mismatch"
    """Both have the call, for different models."""
    DUPLICATE = "duplicate"
    """One of the two has the same call more than once."""
    NO_PRICE = "no_price"
    """The ledger knows no price for what the provider billed."""
    CURRENCY = "currency"
    """The provider billed in another currency than US dollars."""
    OTHER_SERVICE = "other_service"
    """Fees that are not for tokens of a model: tools, storage, other endpoints."""


_CAUSES: Mapping[DriftKind, tuple[str, str]] = {
    DriftKind.MISSING_IN_LEDGER: (
        "calls that no ledger wrote down",
        "look for programs without a usage_tracker, another ledger, or a spill file",
    ),
    DriftKind.MISSING_AT_PROVIDER: (
        "calls that the provider did not bill",
        "another project or account may have been billed, or the export ends too early",
    ),
    DriftKind.WRONG_SERVICE_TIER: (
        "billed at another service tier than recorded",
        "see which tier the answers name; a project's default tier may have changed",
    ),
    DriftKind.BATCH_DISCOUNT: (
        "only one side counts the calls as those of the Batch API",
        "see whether a batch was run without its usage_tracker, or at the full price",
    ),
    DriftKind.REGIONAL_UPLIFT: (
        "billed with the surcharge of regional processing",
        "see which project or address is bound to a region; give the model that base_url",
    ),
    DriftKind.STALE_PRICE: (
        "recorded at another price than billed",
        "update genai-prices, or give price_overrides with the date of the change",
    ),
    DriftKind.TOKEN_MISMATCH: (
        "the same calls with other numbers of tokens",
        "see whether a proxy or server in between rewrites usage",
    ),
    DriftKind.ESTIMATED_RECORD: (
        "calls that broke off, and were estimated or never seen",
        "nothing to do: the provider's number is the right one",
    ),
    DriftKind.MODEL_MISMATCH: ("billed for another model", "see which model the answers name"),
    DriftKind.DUPLICATE: (
        "the same call twice on one side",
        "if billed twice, ask for a correction; if recorded twice, give the tracker only once",
    ),
    DriftKind.NO_PRICE: ("no price was known", "give price_overrides for the model"),
    DriftKind.CURRENCY: (
        "billed in another currency",
        "export in US dollars, or convert these amounts",
    ),
    DriftKind.OTHER_SERVICE: (
        "fees beside tokens: tools, storage, other endpoints",
        "nothing to do: a ledger of chat models does not hold them",
    ),
}


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference.

    Attributes:
        kind: Its cause, as a stable word.
        provider_usd: What the provider bills for it; None when its price is not known.
        ledger_usd: What the ledger has for it; None when its price is not known.
        requests: How many calls it is about; 0 where nobody can tell.
        input_tokens: By how many input tokens the provider has more; negative for fewer.
        output_tokens: The same for output tokens.
        model: Name of the model, without its date.
        service_tier: The tier that the provider billed.
        recorded_tier: The tier that the ledger wrote down.
        start: First moment of the time that it is about; UTC.
        end: First moment after it.
        calls: Ids of the calls, where they could be told.
        detail: What else is known, in words.
    """

    kind: DriftKind
    provider_usd: Decimal | None = Decimal(0)
    ledger_usd: Decimal | None = Decimal(0)
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    model: str | None = None
    service_tier: str | None = None
    recorded_tier: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    calls: tuple[str, ...] = ()
    detail: str = ""

    @property
    def difference_usd(self) -> Decimal | None:
        """By how much the provider's amount is larger; None when one of the two is not known."""
        if self.provider_usd is None or self.ledger_usd is None:
            return None
        return add_exactly(self.provider_usd, -self.ledger_usd)

    @property
    def cause(self) -> str:
        """The cause in words."""
        return _CAUSES[self.kind][0]

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return _CAUSES[self.kind][1]


@dataclass(frozen=True, slots=True, repr=False)
class Reconciliation:
    """The comparison of a provider's file with a ledger.

    Attributes:
        form: What the file holds: "calls", "usage" or "costs".
        drifts: The differences, largest sums first.
        matched_requests: Calls of the ledger that the provider billed as they were recorded.
        provider_usd: What the provider bills in all; of a file without amounts, its tokens at
            known prices.
        ledger_usd: What the ledger has in all.
        start: First moment that was compared; UTC.
        end: First moment after it.
        notes: What was allowed for, such as calls around midnight.
    """

    form: str
    drifts: tuple[Drift, ...] = ()
    matched_requests: int = 0
    provider_usd: Decimal = Decimal(0)
    ledger_usd: Decimal = Decimal(0)
    start: datetime | None = None
    end: datetime | None = None
    notes: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        """Say in a few words what was found."""
        from langchain_tamma_openai.usage.reconcile.shown import reconciliation_text

        return reconciliation_text(self)

    def _repr_html_(self) -> str:
        from langchain_tamma_openai.usage.reconcile.shown import reconciliation_html

        return reconciliation_html(self)

    @property
    def agrees(self) -> bool:
        """Whether there is no drift."""
        return not self.drifts

    @property
    def difference_usd(self) -> Decimal:
        """By how much the provider's sum is larger."""
        return add_exactly(self.provider_usd, -self.ledger_usd)

    @property
    def explained_usd(self) -> Decimal:
        """The part of it that the drifts explain."""
        known = (drift.difference_usd for drift in self.drifts)
        return sum_exactly(amount for amount in known if amount is not None)

    @property
    def unexplained_usd(self) -> Decimal:
        """The rest; roundings of the provider's file are in it."""
        return add_exactly(self.difference_usd, -self.explained_usd)

    def by_kind(self) -> dict[DriftKind, tuple[int, int, Decimal | None]]:
        """Add drifts up by cause: how many, of how many calls, and their sum in US dollars."""
        found: dict[DriftKind, tuple[int, int, Decimal | None]] = {}
        for kind in DriftKind:
            drifts = [drift for drift in self.drifts if drift.kind is kind]
            if drifts:
                amounts = [drift.difference_usd for drift in drifts]
                requests = sum(drift.requests for drift in drifts)
                found[kind] = (len(drifts), requests, _sum(amounts))
        return found


def _sum(amounts: list[Decimal | None]) -> Decimal | None:
    known = [amount for amount in amounts if amount is not None]
    return reduce(add_exactly, known) if len(known) == len(amounts) and known else None
