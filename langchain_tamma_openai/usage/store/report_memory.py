"""What a report needs, added up record by record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from operator import mul

from langchain_tamma_openai.usage.percentiles import quantiles_of
from langchain_tamma_openai.usage.record import RunStatus, UsageRecord
from langchain_tamma_openai.usage.record_codec import clean_text
from langchain_tamma_openai.usage.report.figures import (
    CACHE_COUNTS,
    DIMENSIONS,
    MEASURES,
    SLICE_COUNTS,
    Breakdown,
    LedgerFigures,
    ReportPlan,
    Times,
    TimeStep,
    Trouble,
    cache_use,
    choose_step,
    ranking,
    troubles_in_order,
)
from langchain_tamma_openai.usage.summary import (
    COUNT_NAMES,
    OTHERS,
    GroupKey,
    Tally,
    UsageFigures,
    keys_of,
    time_us,
)


def read_figures(records: Sequence[UsageRecord], plan: ReportPlan) -> LedgerFigures:
    """Read figures off records.

    Args:
        records: The runs that are meant, each once.
        plan: How much is wanted.
    """
    if not records:
        return LedgerFigures(
            step=plan.step or "day", breakdowns={n: Breakdown() for n in DIMENSIONS}
        )
    starts = [record.started_at for record in records]
    step = plan.step or choose_step(min(starts), max(starts))
    total = _sums(records, ())[()]
    by_time = _sums(records, (step,))
    breakdowns = {name: _breakdown(records, step, name, plan.top) for name in DIMENSIONS}
    requests = [record for record in records if not record.cache_hit]
    return LedgerFigures(
        first=min(starts),
        last=max(starts),
        step=step,
        total=UsageFigures(**total.fields()),
        by_time={str(key[0]): UsageFigures(**by_time[key].fields()) for key in sorted(by_time)},
        breakdowns=breakdowns,
        cache_use=cache_use(
            _only(_sums(requests, ("month", "model", "service_tier")), CACHE_COUNTS)
        ),
        troubles=_troubles(requests, step),
        times={name: _times(requests, step, name, breakdowns["model"].names) for name in MEASURES},
    )


def _sums(records: Iterable[UsageRecord], group_by: Sequence[str]) -> dict[GroupKey, Tally]:
    groups: dict[GroupKey, Tally] = {}
    for record in records:
        tally = Tally.of(record)
        for key in keys_of(record, group_by):
            groups.setdefault(key, Tally()).add(tally)
    return groups


def _breakdown(records: Sequence[UsageRecord], step: TimeStep, name: str, top: int) -> Breakdown:
    names = ranking(_sums(records, (name,)))
    kept = set(names[:top])
    groups: dict[GroupKey, Tally] = {}
    for (time, value), tally in _sums(records, (step, name)).items():
        folded = value if value is None or value in kept else OTHERS
        groups.setdefault((time, folded), Tally()).add(tally)
    return Breakdown.of(names[:top], len(names), _only(groups, SLICE_COUNTS))


def _only(groups: Mapping[GroupKey, Tally], counts: Sequence[str]) -> dict[GroupKey, Tally]:
    """Keep some counts and the total cost, as databases add up no others."""
    wanted = [name in counts for name in COUNT_NAMES]
    return {
        key: Tally(map(mul, tally.counts, wanted), (Decimal(0), Decimal(0), tally.amounts[-1]))
        for key, tally in groups.items()
    }


def _troubles(requests: Iterable[UsageRecord], step: TimeStep) -> tuple[Trouble, ...]:
    found: dict[tuple[str, str, str | None], list[int]] = {}
    for record in requests:
        retries = max(record.attempts - 1, 0)
        if record.status is RunStatus.OK and not retries:
            continue
        time, kind = keys_of(record, (step, "error_kind"))[0]
        counts = found.setdefault((str(time), record.status.value, kind), [0, 0, 0])
        for place, number in enumerate((1, int(retries > 0), retries)):
            counts[place] += number
    return troubles_in_order([Trouble(*key, *counts) for key, counts in found.items()])


def _times(
    requests: Iterable[UsageRecord], step: TimeStep, measure: str, models: Sequence[str]
) -> Times:
    times = [(time_us(record, measure), record) for record in requests]
    by_time = quantiles_of((keys_of(record, (step,))[0][0], us) for us, record in times)
    by_model = quantiles_of((_model(record, models), us) for us, record in times)
    overall = quantiles_of(((), us) for us, _ in times)
    return Times(
        overall.get(()),
        {str(time): by_time[time] for time in sorted(by_time, key=str)},
        {model: by_model[model] for model in sorted(by_model, key=lambda it: it or "")},
    )


def _model(record: UsageRecord, models: Sequence[str]) -> str | None:
    if record.model is None:
        return None
    name = clean_text(record.model)
    return name if name in models else OTHERS
