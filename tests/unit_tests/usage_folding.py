"""What a ledger must answer, by plain sums over the records, written apart from its own code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from functools import reduce
from typing import Any

from hypothesis import strategies as st

from langchain_tamma_openai.usage.record import RunStatus, UsageRecord
from langchain_tamma_openai.usage.record_codec import clean_text, record_from_dict, record_to_dict
from langchain_tamma_openai.usage.summary import GROUPS, UsageFigures
from langchain_tamma_openai.usage.tracker import UsageTracker
from langchain_tamma_openai.wire.usage import TokenUsage

_WIDE = Context(prec=500, Emax=MAX_EMAX, Emin=MIN_EMIN)
group_bys = st.lists(st.sampled_from(GROUPS), max_size=3, unique=True).map(tuple)


def distinct(records: Sequence[UsageRecord]) -> list[UsageRecord]:
    """Give the first record of each run, with texts as stores keep them."""
    first = {record.run_id: record for record in reversed(records)}
    return [record_from_dict(record_to_dict(record)) for record in first.values()]


@st.composite
def filters(draw: st.DrawFn, records: Sequence[UsageRecord]) -> dict[str, Any]:
    """Draw filters that mean some of the records, or none."""
    chosen: dict[str, Any] = {}
    if not records:
        return chosen
    pick = st.sampled_from(records)
    for name in draw(st.sets(st.sampled_from(["model", "user_id", "status", "api"]), max_size=2)):
        chosen[name] = getattr(draw(pick), name)
    if draw(st.booleans()):
        chosen["tags"] = draw(st.sets(st.sampled_from(["a", "b"])))
    start, end = sorted([draw(pick).started_at, draw(pick).started_at])
    if draw(st.booleans()):
        chosen["start"] = start
    if draw(st.booleans()):
        chosen["end"] = end
    return chosen


def check_answers(
    tracker: UsageTracker,
    records: Sequence[UsageRecord],
    group_by: tuple[str, ...],
    wanted: Mapping[str, Any] | None = None,
) -> None:
    """Compare all answers of a tracker with those of plain sums."""
    wanted = wanted or {}
    runs = [run for run in distinct(records) if _is_wanted(run, dict(wanted))]
    summary = tracker.summary(group_by=group_by, **wanted)
    check_figures(summary, runs)
    members: dict[tuple[str | None, ...], list[UsageRecord]] = {}
    for run in runs:
        for key in _keys(run, group_by):
            members.setdefault(key, []).append(run)
    assert {tuple(group.key.values()) for group in summary.groups} == (
        set(members) if group_by else set()
    )
    for group in summary.groups:
        check_figures(group, members[tuple(group.key.values())])
    found = [record_from_dict(record_to_dict(record)) for record in tracker.records(**wanted)]
    assert {run.run_id: run for run in found} == {run.run_id: run for run in runs}
    assert len(found) == len(runs)
    assert [run.started_at for run in found] == sorted(run.started_at for run in runs)


def check_figures(figures: UsageFigures, runs: Sequence[UsageRecord]) -> None:
    """Compare figures with plain sums over runs."""
    requests = [run for run in runs if not run.cache_hit]
    priced = [run.cost for run in requests if run.cost and run.cost.total_usd is not None]
    assert figures.total_requests == len(requests)
    assert figures.cache_hits == len(runs) - len(requests)
    for status in RunStatus:
        expected = sum(run.status == status for run in requests)
        assert figures.requests_by_status[status] == expected
    assert figures.tokens == sum((run.tokens for run in requests if run.tokens), TokenUsage())
    assert figures.unpriced_requests == sum(
        run.attempts > 0 and (run.cost is None or run.cost.total_usd is None) for run in requests
    )
    assert figures.estimated_requests == sum(
        run.estimated or (run.cost is not None and run.cost.estimated) for run in requests
    )
    assert figures.total_attempts == sum(run.attempts for run in requests)
    assert figures.latency_us == sum(round(run.latency_s * 10**6) for run in requests)
    assert figures.known_total_usd == _sum([cost.total_usd for cost in priced])
    assert figures.known_input_usd == _sum([cost.input_usd for cost in priced])
    assert figures.known_output_usd == _sum([cost.output_usd for cost in priced])


def _is_wanted(run: UsageRecord, wanted: dict[str, Any]) -> bool:
    start, end = wanted.pop("start", None), wanted.pop("end", None)
    tags = wanted.pop("tags", ())
    return (
        (start is None or start <= run.started_at)
        and (end is None or run.started_at < end)
        and all(tag in run.tags for tag in tags)
        and all(
            value is None or getattr(run, name) == clean_text(value)
            for name, value in wanted.items()
        )
    )


def _sum(amounts: Sequence[Decimal | None]) -> Decimal:
    return reduce(_WIDE.add, (amount for amount in amounts if amount is not None), Decimal(0))


def _keys(run: UsageRecord, group_by: tuple[str, ...]) -> list[tuple[str | None, ...]]:
    keys: list[tuple[str | None, ...]] = [()]
    for name in group_by:
        keys = [(*key, value) for key in keys for value in _values(run, name)]
    return keys


def _values(run: UsageRecord, name: str) -> list[str | None]:
    when = run.started_at
    if name == "tag":
        return list(dict.fromkeys(run.tags)) or [None]
    if name == "month":
        return [when.strftime("%Y-%m")]
    if name == "day":
        return [when.strftime("%Y-%m-%d")]
    if name == "hour":
        return [when.strftime("%Y-%m-%dT%H:00Z")]
    value = getattr(run, name)
    return [None if value is None else str(value)]
