"""Fetches what a job came to: the files of its batches, joined to its inputs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from pydantic_core import from_json

from langchain_tamma_openai.batches.download import Download
from langchain_tamma_openai.batches.journal import Entry, Json, Part, position_of
from langchain_tamma_openai.batches.preparing import Line
from langchain_tamma_openai.batches.shapes import Shape
from langchain_tamma_openai.batches.status import BatchStatus
from langchain_tamma_openai.batches.steps import Fetch, Flow, Work
from langchain_tamma_openai.batches.telling import Teller, messages_of

logger = logging.getLogger(__name__)

_GOOD = range(200, 300)


@dataclass(slots=True)
class Inputs:
    """The inputs of a job, as far as this process knows them.

    Attributes:
        entry: The job.
        lines: The inputs as they were submitted here; None where another process did.
        seen: The inputs as the API's own files give them, by place.
        places: Places by the names that the API's files give, where these are not ours.
    """

    entry: Entry
    lines: list[Line] | None = None
    seen: dict[int, Line] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    _shapes: dict[int, Shape] = field(default_factory=dict)

    @property
    def are_described(self) -> bool:
        """Whether answers can be read without the API's file of requests."""
        return self.lines is not None or bool(self.entry.lines)

    def line(self, position: int) -> Line:
        """Give an input.

        Args:
            position: Its place.
        """
        if self.lines is not None:
            return self.lines[position]
        seen = self.seen.get(position)
        if position >= len(self.entry.lines):
            return seen or Line(Shape("chat_completions", {"model": self.entry.model}), [], {})
        number, label = self.entry.lines[position]
        if number not in self._shapes:
            self._shapes[number] = Shape.from_json(self.entry.shapes[number])
        config = {name: value for name, value in self.entry.labels[label].items() if value}
        return Line(
            self._shapes[number], [] if seen is None else seen.messages, cast("Any", config)
        )

    def position(self, name: object) -> int | None:
        """Find an input by its name in the API's files; None when there is no such input.

        Args:
            name: A `custom_id`.
        """
        if isinstance(name, str) and name in self.places:
            return self.places[name]
        found = position_of(name)
        return found if found is not None and found < self.entry.requests else None

    def take(self, part: Part, download: Download) -> None:
        """Take the API's file of requests.

        Args:
            part: Which.
            download: The file.
        """
        found: list[int] = []
        for number, raw in _objects(download):
            name = raw.get("custom_id")
            position = position_of(name)
            if position is None:
                position = self.places.setdefault(str(name), len(self.seen))
            found.append(position)
            body = raw.get("body") or {}
            if number == 0:
                part.model = part.model or str(body.get("model") or "")
            self.seen[position] = Line(Shape.of_line(raw), messages_of(body), {})
        if not part.positions:
            part.positions = [[position, position] for position in found]
            part.requests = len(found)
        self.entry.requests = max(self.entry.requests, len(self.seen))
        self.entry.model = self.entry.model or part.model


def fetching(
    entry: Entry, parts: dict[int, BatchStatus], inputs: Inputs, *, with_messages: bool
) -> Flow[Fetched]:
    """Bring the files of a job here.

    Args:
        entry: The job.
        parts: Its batches, which have ended.
        inputs: Its inputs; what the API knows of them is added where it is needed.
        with_messages: Whether somebody wants to see what was asked.

    Raises:
        TammaError: A file cannot be had.
    """
    fetched = Fetched(entry, parts, inputs)
    try:
        for part in entry.parts:
            status = parts[part.number]
            is_needed = not inputs.are_described or (with_messages and inputs.lines is None)
            if is_needed and status.input_file_id is not None:
                yield from _requests(part, status, inputs, is_vital=not inputs.are_described)
            for file_id in (status.output_file_id, status.error_file_id):
                if file_id is not None:
                    yield from _file(fetched.new(part), file_id)
            yield from _checked(fetched, part, status)
    except BaseException:
        fetched.close()
        raise
    return fetched


def _file(download: Download, file_id: str) -> Flow[None]:
    yield Fetch(f"/files/{file_id}/content", download)


def _requests(part: Part, status: BatchStatus, inputs: Inputs, *, is_vital: bool) -> Flow[None]:
    """Fetch what was asked; where it only helps, do without."""
    from langchain_tamma_openai.errors import TammaError

    with Download() as download:
        try:
            yield from _file(download, str(status.input_file_id))
        except TammaError as error:
            logger.warning("The requests of the batch %s cannot be had: %s", status.id, error)
            if is_vital and not part.requests:
                raise
            return
        yield Work(partial(inputs.take, part, download))


def _checked(fetched: Fetched, part: Part, status: BatchStatus) -> Flow[None]:
    """Fetch the answers again, once, when there are fewer than the API has counted."""
    files = fetched.of(part)
    counted = yield Work(lambda: sum(1 for file in files for _ in file.lines()))
    expected = min(part.requests or counted, status.completed + status.failed)
    if counted >= expected or status.output_file_id is None:
        return
    logger.warning("The files of %s have %d of %d lines; again.", status.id, counted, expected)
    again = Download()
    yield from _file(again, status.output_file_id)
    if again.size > files[0].size:
        fetched.replace(part, files[0], again)
    else:
        again.close()


class Fetched:
    """The files of a job, on this machine."""

    def __init__(self, entry: Entry, parts: dict[int, BatchStatus], inputs: Inputs) -> None:
        """Start without any.

        Args:
            entry: The job.
            parts: Its batches.
            inputs: Its inputs.
        """
        self._entry = entry
        self._parts = parts
        self._inputs = inputs
        self._files: dict[int, list[Download]] = {part.number: [] for part in entry.parts}

    def new(self, part: Part) -> Download:
        """Begin one more file of a batch.

        Args:
            part: The batch's.
        """
        self._files[part.number].append(Download())
        return self._files[part.number][-1]

    def of(self, part: Part) -> list[Download]:
        """Give the files of a batch: the answers, then the failures.

        Args:
            part: The batch's.
        """
        return self._files[part.number]

    def replace(self, part: Part, old: Download, new: Download) -> None:
        """Take another copy of a file.

        Args:
            part: The batch's.
            old: The copy so far.
            new: The better one.
        """
        files = self._files[part.number]
        files[files.index(old)] = new
        old.close()

    def tell_all(self, teller: Teller, status: BatchStatus) -> None:
        """Tell of every input once, and let go of the files.

        Args:
            teller: Takes them.
            status: How the job ended.
        """
        with ExitStack() as stack:
            stack.callback(self.close)
            stack.enter_context(teller.telling(status))
            for part in self._entry.parts:
                self._tell_part(teller, part)
            missing = set(range(self._entry.requests)) - teller.results.keys()
            for position in sorted(missing):
                part = self._part_of(position)
                teller.tell(position, None, self._parts[part.number], self._inputs.line(position))

    def _tell_part(self, teller: Teller, part: Part) -> None:
        """Tell of the lines of a batch: answers first, so that none is lost to a failure."""
        status = self._parts[part.number]
        later: dict[int, Json] = {}
        repeated = unknown = 0
        for raw in self._lines(part):
            position = self._inputs.position(raw.get("custom_id"))
            if position is None:
                unknown += 1
            elif position in teller.results:
                repeated += 1
            elif _is_good(raw):
                teller.tell(position, raw, status, self._inputs.line(position))
            else:
                later.setdefault(position, raw)
        for position, raw in later.items():
            if position not in teller.results:
                teller.tell(position, raw, status, self._inputs.line(position))
        if repeated or unknown:
            logger.warning(
                "The files of the batch %s have %d lines twice, and %d that nobody asked for.",
                status.id,
                repeated,
                unknown,
            )

    def _lines(self, part: Part) -> Iterator[Json]:
        for file in self._files[part.number]:
            for _number, raw in _objects(file):
                yield raw

    def _part_of(self, position: int) -> Part:
        for part in self._entry.parts:
            if any(first <= position <= last for first, last in part.positions):
                return part
        return self._entry.parts[-1]

    def close(self) -> None:
        """Let go of the files."""
        for files in self._files.values():
            for file in files:
                file.close()


def _objects(download: Download) -> Iterator[tuple[int, Json]]:
    for number, line in enumerate(download.lines()):
        try:
            raw = from_json(line)
        except ValueError:
            logger.warning("A line of a batch's file is no JSON and is left out: %.80r", line)
            continue
        if isinstance(raw, dict):
            yield number, raw


def _is_good(raw: Json) -> bool:
    response = raw.get("response")
    return isinstance(response, dict) and response.get("status_code") in _GOOD
