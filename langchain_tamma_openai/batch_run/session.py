"""What one process holds while it works on a batch: files, lock, plan and budget."""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from langchain_tamma_openai.batch_run.asking import Api
from langchain_tamma_openai.batch_run.files import (
    BatchInput,
    InputFacts,
    OutputFiles,
    beside,
)
from langchain_tamma_openai.batch_run.journal import (
    Event,
    JournalState,
    begin_line,
    event_line,
    replay,
)
from langchain_tamma_openai.batch_run.lines import BatchLine
from langchain_tamma_openai.batch_run.plan import (
    OutputState,
    ResumePlan,
    make_plan,
    read_output,
    read_result,
)
from langchain_tamma_openai.batch_run.problems import BadLine, BatchConflictError
from langchain_tamma_openai.batch_run.progress import UnknownOutcome
from langchain_tamma_openai.batch_run.scribe import FileSink, Sink, StreamSink
from langchain_tamma_openai.batch_run.settings import (
    changed_settings,
    check_same_input,
    input_header,
)
from langchain_tamma_openai.batch_run.spending import open_budget
from langchain_tamma_openai.pricing_cost import plain_decimal
from langchain_tamma_openai.whole_files import sync_directory

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.budget import Budget


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a batch is to be gone on with.

    Attributes:
        settings: What decides the answers of the model.
        api: The API for lines that do not name one; None lets the model choose.
        retry_errors: Whether lines with an error are asked again.
        ask_unknown: Whether lines that were sent, outcome unknown, are asked again.
        record_bad: Whether lines that cannot be asked get an error in the output.
        budget_usd: Limit of the budget; None for that of the process before, or none.
        fsync: Whether to wait for the disk.
    """

    settings: dict[str, Any]
    api: Api | None = None
    retry_errors: bool = False
    ask_unknown: bool = True
    record_bad: bool = False
    budget_usd: Decimal | None = None
    fsync: bool = True


@dataclass(frozen=True, slots=True)
class Standing:
    """What the files of a batch tell, read without changing them.

    Attributes:
        journal: What was sent.
        output: What is answered.
    """

    journal: JournalState
    output: OutputState

    @property
    def budget_usd(self) -> Decimal | None:
        """Limit of the budget of the process before."""
        limit = self.journal.headers[-1].get("budget_usd") if self.journal.headers else None
        return None if limit is None else Decimal(limit)

    def check(
        self, facts: InputFacts, settings: dict[str, Any], name: str, path: Path
    ) -> list[str]:
        """Refuse to go on with something else than was begun with.

        Args:
            facts: What reading the input told.
            settings: What decides the answers.
            name: Of the input.
            path: Of the output.

        Returns:
            A sentence for each setting that has changed and may.

        Raises:
            BatchConflictError: It was begun otherwise.
        """
        if not self.journal.headers:
            if self.output.whole_bytes:
                _refuse_foreign(path)
            return []
        header = self.journal.headers[0]
        check_same_input(header.get("input", {}), facts, name)
        return changed_settings(header.get("settings", {}), settings)


def look(path: Path) -> Standing:
    """Read the files of a batch, without holding them.

    Args:
        path: Of the output.

    Raises:
        BatchConflictError: They are not of a batch.
    """
    journal_path = beside(path, "journal")
    check_ours(path)
    if not journal_path.exists():
        return Standing(JournalState(), OutputState())
    with journal_path.open("rb") as file:
        journal = replay(file, str(journal_path))
    if not path.exists():
        return Standing(journal, OutputState())
    with path.open("rb") as file:
        return Standing(journal, read_output(file, str(path)))


def check_ours(path: Path) -> None:
    """Refuse a file that some other program wrote, before a journal is laid beside it.

    Args:
        path: Of the output.

    Raises:
        BatchConflictError: It has contents and no journal.
    """
    if path.exists() and path.stat().st_size and not beside(path, "journal").exists():
        _refuse_foreign(path)


def _refuse_foreign(path: Path) -> None:
    raise BatchConflictError(
        f"{path}: exists, and there is no journal of a batch beside it; use another output, or "
        "remove the file"
    )


class Session:
    """Files, lock, plan and budget of one process.

    Attributes:
        facts: What reading the input told.
        plan: What is left to do.
        standing: What the files told at the beginning.
        unknown: Lines that were sent, outcome unknown.
        sink: Where results and events go.
        budget: The batch's own; None without one.
        changes: A sentence for each setting that has changed since the batch was begun.
    """

    def __init__(
        self, source: BatchInput, facts: InputFacts, path: Path | None, wishes: Wishes
    ) -> None:
        """Take the files, and prepare them to be appended to.

        Args:
            source: The input.
            facts: What reading it told.
            path: Of the output; None for standard output.
            wishes: How to go on.

        Raises:
            BatchConflictError: Another process has the files, or they are of another batch.
        """
        self.facts = facts
        self._source = source
        self._wishes = wishes
        self._path = path
        self._files: OutputFiles | None = None
        self.budget: Budget | None = None
        self.changes: list[str] = []
        if path is None:
            self.standing = Standing(JournalState(), OutputState())
            self.sink: Sink = StreamSink(sys.stdout.fileno())
            self.plan = ResumePlan()
        else:
            check_ours(path)
            self._files = OutputFiles(path)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        if self._files is not None and self._path is not None:
            self.standing = look(self._path)  # again, now that nobody else writes
            self.changes = self.standing.check(
                self.facts, self._wishes.settings, self._source.name, self._path
            )
            self.plan = make_plan(
                self.standing.journal,
                self.standing.output,
                retry_errors=self._wishes.retry_errors,
                ask_unknown=self._wishes.ask_unknown,
            )
        self.unknown = list(self._named_unknown())
        limit = self._wishes.budget_usd or self.standing.budget_usd
        if self._files is not None:
            self._prepare(self._files, limit)
        if limit is not None:
            self.budget = self._open_budget(limit)

    def _named_unknown(self) -> Iterator[UnknownOutcome]:
        unknown = self.plan.unknown
        if not unknown:
            return
        for found in self._source.read():
            if found.line in unknown:
                yield UnknownOutcome(
                    found.line,
                    found.custom_id,
                    unknown[found.line],
                    asked_again=self.plan.is_left(found.line),
                )

    def _prepare(self, files: OutputFiles, limit: Decimal | None) -> None:
        standing = self.standing
        files.cut(
            standing.output.whole_bytes,
            standing.journal.whole_bytes,
            needs_end=standing.output.needs_end,
        )
        header = {
            "pid": os.getpid(),
            "input": input_header(self.facts),
            "settings": self._wishes.settings,
            "budget_usd": None if limit is None else plain_decimal(limit),
        }
        again = b"".join(event_line(Event.AGAIN, line) for line in sorted(self.plan.retried))
        sink = FileSink(files.output, files.journal, fsync=self._wishes.fsync)
        sink.append(b"", begin_line(header) + again)
        sync_directory(files.path.parent)
        if self.plan.retried:
            files.replace_output(self._without_retried)
        self.sink = FileSink(files.output, files.journal, fsync=self._wishes.fsync)

    def _without_retried(self, file: IO[bytes]) -> None:
        if self._files is None:
            return
        for raw in self._files.output_lines():
            result = read_result(raw)
            if result is not None and result["line"] not in self.plan.retried:
                file.write(raw)

    def _open_budget(self, limit: Decimal) -> Budget:
        spent = self.standing.journal.spent_usd
        return open_budget(limit, self.standing.output.cost_usd if spent is None else spent)

    def left(self) -> Iterator[BatchLine | BadLine]:
        """Give the lines that are left to ask, and the bad ones that are to be recorded."""
        for found in self._source.read():
            if not self.plan.is_left(found.line):
                continue
            if isinstance(found, BatchLine) or self._wishes.record_bad:
                yield found

    def order(self) -> None:
        """Put the results into the order of the input, in one step."""
        if self._files is None:
            return
        lines, starts = array("Q"), array("Q", [0])
        for raw in self._files.output_lines():
            result = read_result(raw)
            lines.append(0 if result is None else result["line"])
            starts.append(starts[-1] + len(raw))
        places = sorted(range(len(lines)), key=lines.__getitem__)
        if places == list(range(len(lines))):
            return
        with self._files.path.open("rb") as old:

            def write(file: IO[bytes]) -> None:
                for place in places:
                    old.seek(starts[place])
                    file.write(old.read(starts[place + 1] - starts[place]))

            self._files.replace_output(write)

    def close(self) -> None:
        """Let go of everything."""
        if self._files is not None:
            self._files.close()
            self._files = None
