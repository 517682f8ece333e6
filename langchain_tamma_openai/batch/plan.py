"""What is sent: each input as the line that `invoke` would have sent as a request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables import Runnable, RunnableParallel, RunnableSequence
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.config import ensure_config, merge_configs

from langchain_tamma_openai.errors import InvalidParameterError

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

MAX_REQUESTS = 50_000
"""Requests in one file, as OpenAI documents it."""
MAX_BYTES = 190_000_000
"""Bytes of one file; OpenAI's limit is 200 MB."""
_NOT_OF_A_BATCH = ("stream", "stream_options", "background", "service_tier", "timeout")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A model with what is bound to it, and what is done before and after it.

    Attributes:
        model: The model.
        kwargs: Parameters that are bound to it.
        config: Configuration that is bound to it.
        before: What is done with an input.
        after: What is done with an answer.
        key: Name under which the answer is handed on; None for the answer itself.
    """

    model: ChatTammaOpenAI
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    config: RunnableConfig | None = None
    before: tuple[Runnable[Any, Any], ...] = ()
    after: tuple[Runnable[Any, Any], ...] = ()
    key: str | None = None

    def messages(self, given: object, config: RunnableConfig) -> Any:
        """Make the model's input out of an input of the whole.

        Args:
            given: What the user passed.
            config: Of this input.
        """
        for step in self.before:
            given = step.invoke(given, config)
        return self.model._convert_input(given).to_messages()  # type: ignore[arg-type]  # core checks it

    def hand_on(self, message: object) -> object:
        """Give an answer the form in which the next step wants it.

        Args:
            message: The answer.
        """
        return message if self.key is None else {self.key: message}


def pipeline(runnable: object) -> Pipeline:
    """Find the model in a runnable: `llm`, `llm.bind_tools(...)`, `prompt | llm | parser`.

    Args:
        runnable: A model, a binding of one, or a sequence with one in it.

    Raises:
        InvalidParameterError: There is no `ChatTammaOpenAI` in it, or more than one.
    """
    found = _find(runnable)
    if found is None:
        raise InvalidParameterError(
            f"runnable: got {type(runnable).__name__}, must be a ChatTammaOpenAI, a binding of one "
            "(bind_tools, with_structured_output) or a sequence with exactly one in it",
            param="runnable",
        )
    return found


def _find(runnable: object) -> Pipeline | None:
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

    if isinstance(runnable, ChatTammaOpenAI):
        return Pipeline(runnable)
    if isinstance(runnable, RunnableBindingBase):
        return _of_binding(runnable)
    if isinstance(runnable, RunnableSequence):
        return _of_sequence(runnable.steps)
    if isinstance(runnable, RunnableParallel) and len(runnable.steps__) == 1:
        ((key, inner),) = runnable.steps__.items()
        found = _find(inner)
        return None if found is None or found.after else _with(found, key=key)
    return None


def _of_binding(binding: RunnableBindingBase[Any, Any]) -> Pipeline | None:
    found = _find(binding.bound)
    if found is None:
        return None
    config = merge_configs(found.config, binding.config)
    return _with(found, kwargs={**found.kwargs, **binding.kwargs}, config=config)


def _of_sequence(steps: Sequence[Runnable[Any, Any]]) -> Pipeline | None:
    found = [(place, each) for place, step in enumerate(steps) if (each := _find(step))]
    if len(found) != 1:
        return None
    place, inner = found[0]
    return _with(
        inner,
        before=(*steps[:place], *inner.before),
        after=(*inner.after, *steps[place + 1 :]),
    )


def _with(found: Pipeline, **changes: Any) -> Pipeline:
    from dataclasses import replace

    return replace(found, **changes)


@dataclass(frozen=True, slots=True)
class Line:
    """One request.

    Attributes:
        index: Place of its input.
        endpoint: `/v1/chat/completions` or `/v1/responses`.
        body: What `invoke` would send.
        labels: Metadata and tags of its run, for ledger and traces.
    """

    index: int
    endpoint: str
    body: Mapping[str, Any]
    labels: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self.body.get("model"))

    def encode(self, job_id: str) -> bytes:
        """Write it as a line of an input file.

        Args:
            job_id: The job, a part of the line's custom id.
        """
        line = {
            "custom_id": custom_id(job_id, self.index),
            "method": "POST",
            "url": self.endpoint,
            "body": self.body,
        }
        return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def lines(
    plan: Pipeline,
    inputs: Iterable[object],
    configs: RunnableConfig | Sequence[RunnableConfig] | None,
    stop: list[str] | None,
    kwargs: Mapping[str, Any],
) -> Iterator[Line]:
    """Make the requests.

    Args:
        plan: The model and what is bound to it.
        inputs: What `invoke` takes, one for each request.
        configs: One for all, or one for each.
        stop: Where to stop generating.
        kwargs: Parameters of all requests.

    Raises:
        InvalidParameterError: A request cannot be made, or not be in a batch; it names which.
    """
    for index, given in enumerate(inputs):
        config = _config(plan, configs, index)
        yield _line(plan, (index, given, config), stop, kwargs)


def _line(
    plan: Pipeline,
    one: tuple[int, object, RunnableConfig],
    stop: list[str] | None,
    kwargs: Mapping[str, Any],
) -> Line:
    index, given, config = one
    options = {**plan.kwargs, **kwargs}
    options = {name: value for name, value in options.items() if not name.startswith("ls_")}
    given_stop = cast("list[str] | None", options.pop("stop", None))
    try:
        prepared = plan.model._prepare(plan.messages(given, config), {**options, "stream": False})
        call = plan.model._call(prepared.messages, stop or given_stop, dict(prepared.options))
    except InvalidParameterError as error:
        error.add_note(f"in input {index} of the batch")
        raise
    if call.runs_in_background:
        raise InvalidParameterError(
            "background: True cannot be in a batch, which is one already; leave it out",
            param="background",
        )
    body = {**call.request.body, **(call.request.options.get("extra_json") or {})}
    kept = {name: value for name, value in body.items() if name not in _NOT_OF_A_BATCH}
    labels = {"metadata": config.get("metadata") or {}, "tags": config.get("tags") or []}
    return Line(index, f"/v1{call.request.path}", kept, labels)


def _config(
    plan: Pipeline, configs: RunnableConfig | Sequence[RunnableConfig] | None, index: int
) -> RunnableConfig:
    if isinstance(configs, Sequence):
        if index >= len(configs):
            raise InvalidParameterError(
                f"config: got {len(configs)} for more inputs; pass one for each, or one for all",
                param="config",
            )
        return ensure_config(merge_configs(plan.config, configs[index]))
    return ensure_config(merge_configs(plan.config, configs))


def parts(made: Sequence[Line], job_id: str) -> Iterator[list[Line]]:
    """Split requests into files: one endpoint and model each, and no more than the API takes.

    Args:
        made: All requests.
        job_id: The job.
    """
    kinds: dict[tuple[str, str], list[Line]] = {}
    for line in made:
        kinds.setdefault((line.endpoint, line.model), []).append(line)
    for listed in kinds.values():
        part: list[Line] = []
        size = 0
        for line in listed:
            length = len(line.encode(job_id))
            if part and (len(part) >= MAX_REQUESTS or size + length > MAX_BYTES):
                yield part
                part, size = [], 0
            part.append(line)
            size += length
        yield part


def custom_id(job_id: str, index: int) -> str:
    """Name a request, so that its place can be read from its name alone.

    Args:
        job_id: The job.
        index: Place of its input.
    """
    return f"{job_id}-{index}"


def index_of(name: str) -> int:
    """Read the place of an input from the name of its request; -1 for a name of another's.

    Args:
        name: The custom id.
    """
    digits = name.rpartition("-")[2]
    return int(digits) if digits.isdigit() else -1


def fingerprint(made: Iterable[Line]) -> str:
    """Tell one set of requests from another.

    Args:
        made: The requests.
    """
    digest = hashlib.sha256()
    for line in made:
        digest.update(line.encode(""))
    return digest.hexdigest()
