"""Inputs to files of requests: each line holds the body that `invoke` would send."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from langchain_core.language_models._utils import _normalize_messages
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config, merge_configs

from langchain_tamma_openai.batches import limits
from langchain_tamma_openai.batches.journal import Entry, Json, Part, custom_id
from langchain_tamma_openai.batches.parsers import describe
from langchain_tamma_openai.batches.shapes import Shape, encode
from langchain_tamma_openai.batches.store import BatchStore
from langchain_tamma_openai.batches.targets import Target
from langchain_tamma_openai.chat_models.observing import calculator
from langchain_tamma_openai.chat_models.settings import base_url
from langchain_tamma_openai.checks import safe_url, shown
from langchain_tamma_openai.pricing_cost import add_usd
from langchain_tamma_openai.usage.run_labels import json_value

if TYPE_CHECKING:
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI
    from langchain_tamma_openai.chat_models.calls import Call
    from langchain_tamma_openai.chat_models.preparing import Prepared
    from langchain_tamma_openai.usage.budget import Budget

Configs = RunnableConfig | Sequence[RunnableConfig] | None
FOR_TRACES = ("ls_structured_output_format", "structured_output_format")
_OWN_OPTIONS = {"headers": "extra_headers", "params": "extra_query"}
_SHOWN_CHARS = 60


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller asked for.

    Attributes:
        target: The model, and what comes before and after it.
        inputs: What to ask.
        config: For all of them, or one for each.
        stop: Where to stop generating.
        kwargs: Parameters of every call.
    """

    target: Target
    inputs: Iterable[Any]
    config: Configs = None
    stop: list[str] | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """All parameters of a call, those bound to the model included."""
        stop = {} if self.stop is None else {"stop": self.stop}
        return {**self.target.kwargs, **self.kwargs, **stop}

    def made(self, given: Any, config: RunnableConfig) -> tuple[Call, Prepared, list[BaseMessage]]:
        """Make the call that `invoke` would make of an input, and the messages traces show.

        Args:
            given: The input.
            config: Its configuration.
        """
        target = self.target
        model = target.model
        if target.before is not None:
            given = target.before.invoke(given, config)
        messages = _normalize_messages(model._convert_input(given).to_messages())
        options = {k: v for k, v in self.options.items() if k not in FOR_TRACES}
        stop = options.pop("stop", None)
        prepared = model._prepare(messages, {**options, "stream": False})
        call = model._call(prepared.messages, stop, dict(prepared.options))
        return call, prepared, messages

    def origin(self, given: Any) -> list[Any] | None:  # noqa: ARG002 - for inputs out of a file
        """Say where an input comes from: the number of its line, and the name it has there."""
        return None


@dataclass(slots=True)
class Line:
    """One input, as far as it matters after it is sent.

    Attributes:
        shape: What reading its answer needs.
        messages: What was asked, for traces.
        config: Its callbacks, metadata and tags.
    """

    shape: Shape
    messages: list[BaseMessage]
    config: RunnableConfig


@dataclass(slots=True)
class Draft:
    """A job whose requests are on the disk, and of which nobody else knows yet.

    Attributes:
        entry: What is to be written down of it.
        lines: Its inputs.
        files: For each part the file that holds its requests.
    """

    entry: Entry
    lines: list[Line]
    files: list[str] = field(default_factory=list)

    def keep(self, store: BatchStore) -> None:
        """Give the files their names, and write the job down as ready.

        Args:
            store: Where they are.
        """
        for part, name in zip(self.entry.parts, self.files, strict=True):
            os.replace(name, store.spool(self.entry, part))  # noqa: PTH105 - the name is a text
        self.files = []
        self.entry.is_ready = True
        store.save(self.entry)

    def discard(self) -> None:
        """Delete the files that have no name yet."""
        for name in self.files:
            Path(name).unlink(missing_ok=True)
        self.files = []


def prepare(wanted: Wanted, job_id: str, store: BatchStore) -> Draft:
    """Write the requests of a job to the disk.

    Args:
        wanted: What to ask.
        job_id: The job's id.
        store: Where to write.

    Raises:
        InvalidParameterError: There are no inputs, one of them cannot be sent in a batch, or the
            configurations do not match them.
        TammaError: What `invoke` refuses before anything is sent.
        StorageError: The directory cannot be written to.
    """
    model = wanted.target.model
    root = base_url(model)
    entry = Entry(
        job_id,
        model=model.model_name,
        base_url=None if root is None else safe_url(root),
        parser=describe(wanted.target.after),
    )
    draft = Draft(entry, [])
    with ExitStack() as files:
        writer = _Writer(draft, store, files, _Purse(wanted))
        for position, (given, config) in enumerate(_with_configs(wanted)):
            with _naming(position, given):
                call, prepared, messages = wanted.made(given, config)
                _check(call)
                writer.add(position, call, prepared, messages, config)
            if (origin := wanted.origin(given)) is not None:
                entry.origins.append(origin)
        writer.finish()
    draft.files = writer.names
    return draft


def _with_configs(wanted: Wanted) -> Iterator[tuple[Any, RunnableConfig]]:
    config = wanted.config
    if config is None or isinstance(config, Mapping):
        shared = _merged(wanted, config)
        yield from ((given, shared) for given in wanted.inputs)
        return
    inputs, configs = list(wanted.inputs), list(config)
    if len(inputs) != len(configs):
        _refuse("config", f"got {len(configs)} for {len(inputs)} inputs; give one for each, or one")
    for given, own in zip(inputs, configs, strict=True):
        yield given, _merged(wanted, own)


def _merged(wanted: Wanted, config: RunnableConfig | None) -> RunnableConfig:
    around = {name: value for name, value in ensure_config().items() if name != "callbacks"}
    return merge_configs(cast("RunnableConfig", around), wanted.target.config, config)


def _check(call: Call) -> None:
    if call.runs_in_background:
        _refuse("background", "a batch is in the background already; leave it out")
    for option, name in _OWN_OPTIONS.items():
        if call.request.options.get(option):
            _refuse(name, "a request of a batch has none of its own; leave it out")


def _body(call: Call) -> Json:
    body = {**call.request.body, **(call.request.options.get("extra_json") or {})}
    # Nothing of a batch is streamed, which goes without saying there.
    return {name: value for name, value in body.items() if name != "stream"}


class _Writer:
    """Writes lines into as many files as the limits and models of the API ask for."""

    def __init__(self, draft: Draft, store: BatchStore, files: ExitStack, purse: _Purse) -> None:
        self._draft = draft
        self._store = store
        self._files = files
        self._purse = purse
        self._open: dict[tuple[str, str], tuple[Part, Any]] = {}
        self._hash = hashlib.sha256()
        self._shapes: dict[bytes, tuple[int, Shape]] = {}
        self._labels: dict[str, int] = {}
        self.names: list[str] = []

    def add(
        self,
        position: int,
        call: Call,
        prepared: Prepared,
        messages: list[BaseMessage],
        config: RunnableConfig,
    ) -> None:
        """Write one request."""
        body = _body(call)
        number, shape = self._shape(Shape.of(call, body, prepared))
        line = _encoded(position, shape, body)
        self._hash.update(line)
        part, file = self._part(shape, len(line))
        file.write(line)
        part.add(position, len(line))
        entry = self._draft.entry
        entry.lines.append([number, self._label(config)])
        self._draft.lines.append(Line(shape, messages, config))
        self._purse.add(position, call, config)

    def finish(self) -> None:
        """Complete what is to be written down."""
        entry = self._draft.entry
        entry.requests = len(entry.lines)
        if not entry.requests:
            _refuse("inputs", "there are none; give at least one")
        entry.fingerprint = self._hash.hexdigest()
        entry.shapes = [shape.to_json() for _number, shape in self._shapes.values()]
        entry.labels = [json.loads(text) for text in self._labels]
        entry.groups = self._purse.groups()

    def _part(self, shape: Shape, size: int) -> tuple[Part, Any]:
        most = limits.LIMITS
        if size > most.size:
            _refuse("inputs", f"it makes {size} bytes, a whole batch may have {most.size}")
        key = (shape.endpoint, shape.model)
        found = self._open.get(key)
        if found is None or found[0].requests >= most.requests or found[0].size + size > most.size:
            found = self._open[key] = self._begin(*key), self._files.enter_context(self._new())
            self.names.append(found[1].name)
        return found

    def _new(self) -> Any:
        return self._store.new_file()

    def _begin(self, endpoint: str, model: str) -> Part:
        parts = self._draft.entry.parts
        parts.append(Part(len(parts), endpoint, model))
        return parts[-1]

    def _shape(self, shape: Shape) -> tuple[int, Shape]:
        """Find the same shape among those seen; most requests of a job have one."""
        told = encode([shape.api, shape.body, id(shape.schema)])
        told += repr((shape.notes, shape.facts)).encode()
        return self._shapes.setdefault(told, (len(self._shapes), shape))

    def _label(self, config: RunnableConfig) -> int:
        kept = {
            "metadata": json_value(config.get("metadata") or {}),
            "tags": list(config.get("tags") or ()),
            "run_name": config.get("run_name"),
        }
        return self._labels.setdefault(json.dumps(kept, sort_keys=True), len(self._labels))


def _encoded(position: int, shape: Shape, body: Json) -> bytes:
    line = {
        "custom_id": custom_id(position),
        "method": "POST",
        "url": shape.endpoint,
        "body": body,
    }
    return encode(line) + b"\n"


class _Purse:
    """Adds up the most that the requests of each user, or whatever budgets tell apart, can cost."""

    def __init__(self, wanted: Wanted) -> None:
        self._model = wanted.target.model
        self._budgets = budgets_of(self._model)
        self._groups: dict[object, _Group] = {}

    def groups(self) -> list[Json]:
        """Give what to set aside, as JSON values."""
        return [group.to_json() for group in self._groups.values()]

    def add(self, position: int, call: Call, config: RunnableConfig) -> None:
        """Add one request."""
        if not self._budgets:
            return
        from langchain_tamma_openai.usage.budget_tickets import line_names

        labels = labels_of(call, config, self._model.metadata)
        names = line_names(self._budgets, labels)
        group = self._groups.setdefault(names, _Group(labels))
        group.add(position, *self._bound(call))

    def _bound(self, call: Call) -> tuple[Decimal | None, int | None]:
        bound = calculator(self._model.price_overrides).upper_bound(
            call.payload, call.model, batch=True, regional=is_regional(self._model)
        )
        return bound.usd, bound.tokens


@dataclass(slots=True)
class _Group:
    """Requests that belong on the same lines of all budgets."""

    labels: Mapping[str, object]
    positions: list[int] = field(default_factory=list)
    usd: Decimal | None = Decimal(0)
    tokens: int | None = 0

    def add(self, position: int, usd: Decimal | None, tokens: int | None) -> None:
        self.positions.append(position)
        self.usd = add_usd(self.usd, usd)
        self.tokens = None if self.tokens is None or tokens is None else self.tokens + tokens

    def to_json(self) -> Json:
        return {
            "labels": json_value(self.labels),
            "positions": self.positions,
            "usd": None if self.usd is None else str(self.usd),
            "tokens": self.tokens,
            "tickets": None,
        }


def budgets_of(model: ChatTammaOpenAI) -> Sequence[Budget]:
    """Give the budgets that hold for a model.

    Args:
        model: The model.
    """
    return () if model._treasury is None else cast("Sequence[Budget]", model._treasury.budgets)


def is_regional(model: ChatTammaOpenAI) -> bool:
    """Whether a model asks a regional address of OpenAI, which costs more.

    Args:
        model: The model.
    """
    from langchain_tamma_openai.pricing_region import is_regional as asks_region

    root = base_url(model)
    return root is not None and asks_region(root)


def labels_of(
    call: Call, config: RunnableConfig, own: Mapping[str, object] | None
) -> dict[str, object]:
    """Say whom a request is for, as `invoke` would.

    Args:
        call: The request; its `user` stands in for a missing "user_id".
        config: The request's configuration.
        own: The model's own metadata.
    """
    from langchain_tamma_openai.usage.run_labels import own_tags

    labels = {**(own or {}), **(config.get("metadata") or {})}
    labels["tags"] = list(own_tags(config.get("tags") or ()))
    if labels.get("user_id") is None and (user := call.payload.get("user")):
        labels["user_id"] = user
    return {**labels, "model": call.model}


@contextmanager
def _naming(position: int, given: object) -> Iterator[None]:
    """Say which input it was that cannot be sent."""
    from langchain_tamma_openai.errors import InvalidParameterError, TammaError

    try:
        yield
    except TammaError as error:
        error.add_note(f"This is about input {position}: {_preview(given)}")
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParameterError(
            f"inputs: input {position} cannot be written ({error}): {_preview(given)}",
            param="inputs",
        ) from error


def _preview(given: object) -> str:
    text = shown(given)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def _refuse(name: str, why: str) -> NoReturn:
    from langchain_tamma_openai.errors import InvalidParameterError

    raise InvalidParameterError(f"{name}: {why}", param=name)
