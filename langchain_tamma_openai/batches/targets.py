"""Finds the model inside of what is to be run: a model, a bound one, or a chain with one in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from langchain_core.runnables import (
    Runnable,
    RunnableConfig,
    RunnableLambda,
    RunnableParallel,
    RunnableSequence,
)
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.config import merge_configs
from langchain_core.runnables.configurable import DynamicRunnable
from langchain_core.runnables.fallbacks import RunnableWithFallbacks

from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

Step = Runnable[Any, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """A model, and what comes before and after it.

    Attributes:
        model: The model.
        kwargs: Parameters bound to it.
        config: The configuration bound to it or to the whole.
        before: Makes the model's input; None where the input is the model's own.
        after: Makes the result of an answer; None where the answer is the result.
    """

    model: ChatTammaOpenAI
    kwargs: dict[str, Any] = field(default_factory=dict)
    config: RunnableConfig = field(default_factory=RunnableConfig)
    before: Step | None = None
    after: Step | None = None


def find_target(runnable: object, config: RunnableConfig | None = None) -> Target:
    """Find the model of something that can be invoked.

    Args:
        runnable: A `ChatTammaOpenAI`, also bound (`bind_tools`, `with_config`), with structured
            output, chosen by configuration, or as the one model of a chain.
        config: The configuration that chooses a configurable model.

    Raises:
        InvalidParameterError: There is no such model in it, or more than one.
    """
    target = _find(runnable, config)
    if target is None:
        _refuse(runnable, "has no ChatTammaOpenAI in it")
    return target


def _find(runnable: object, config: RunnableConfig | None) -> Target | None:
    if isinstance(runnable, ChatTammaOpenAI):
        return Target(runnable)
    if hasattr(type(runnable), "_chosen"):
        return _find(runnable._chosen(config), config)  # type: ignore[attr-defined]  # a model chosen by configuration
    if isinstance(runnable, DynamicRunnable):
        return _find(runnable.prepare(config)[0], config)
    if isinstance(runnable, RunnableWithFallbacks):
        if _find(runnable.runnable, config) is None:
            return None
        _refuse(runnable, "has fallbacks, which a batch cannot turn to; submit the runnable itself")
    finder = next((find for kind, find in _FINDERS if isinstance(runnable, kind)), None)
    return None if finder is None else finder(runnable, config)


def _bound(binding: RunnableBindingBase[Any, Any], config: RunnableConfig | None) -> Target | None:
    target = _find(binding.bound, config)
    if target is None:
        return None
    if binding.kwargs and target.before is not None:
        _refuse(binding, "binds parameters to a chain; bind them to the model inside of it")
    made = [factory(binding.config) for factory in binding.config_factories]
    return replace(
        target,
        kwargs={**target.kwargs, **binding.kwargs},
        config=merge_configs(target.config, binding.config, *made),
    )


def _in_sequence(
    sequence: RunnableSequence[Any, Any], config: RunnableConfig | None
) -> Target | None:
    steps = sequence.steps
    found = [(place, target) for place, each in enumerate(steps) if (target := _find(each, config))]
    if not found:
        return None
    if len(found) > 1:
        _refuse(sequence, f"has {len(found)} models in it; a batch asks one, so submit one by one")
    place, target = found[0]
    return replace(
        target,
        before=_chain([*steps[:place], target.before]),
        after=_chain([target.after, *steps[place + 1 :]]),
    )


def _in_parallel(parallel: RunnableParallel[Any], config: RunnableConfig | None) -> Target | None:
    found = {
        key: target for key, each in parallel.steps__.items() if (target := _find(each, config))
    }
    if not found:
        return None
    if len(parallel.steps__) > 1:
        _refuse(parallel, "runs a model beside other steps; submit the model's own chain")
    ((key, target),) = found.items()
    return replace(target, after=_chain([target.after, RunnableLambda(_under(key))]))


_FINDERS: tuple[tuple[Any, Callable[[Any, RunnableConfig | None], Target | None]], ...] = (
    (RunnableBindingBase, _bound),
    (RunnableSequence, _in_sequence),
    (RunnableParallel, _in_parallel),
)


def _under(key: str) -> Callable[[Any], dict[str, Any]]:
    def put(value: Any) -> dict[str, Any]:
        return {key: value}

    return put


def _chain(steps: Sequence[Step | None]) -> Step | None:
    given = [step for step in steps if step is not None]
    if len(given) < 2:  # noqa: PLR2004 - a chain has two
        return given[0] if given else None
    return RunnableSequence(*given)


def _refuse(runnable: object, why: str) -> NoReturn:
    from langchain_tamma_openai.errors import InvalidParameterError

    raise InvalidParameterError(f"runnable: the {type(runnable).__name__} {why}", param="runnable")
