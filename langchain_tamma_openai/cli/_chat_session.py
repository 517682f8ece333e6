"""A conversation with a model and its tools: what was said, and what it cost. No terminal here."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    ToolMessage,
    messages_from_dict,
    messages_to_dict,
)

from langchain_tamma_openai import (
    ChatTammaOpenAI,
    UsageCallbackHandler,
    UsageRecord,
    UsageTotals,
)
from langchain_tamma_openai.cli._chat_tools import Tool
from langchain_tamma_openai.cli._errors import CommandError
from langchain_tamma_openai.tools.loop import stream_tool_loop
from langchain_tamma_openai.tools.loop_state import ToolLoopResult
from langchain_tamma_openai.usage.totals import UsageSum

Stopped = Literal["answer", "iterations", "time", "cost", "interrupted"]


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of an answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model calls a tool."""

    name: str
    args: dict[str, Any]
    id: str | None


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """What the tool gave."""

    name: str
    content: str
    status: str
    id: str | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a turn.

    Attributes:
        model: Who answered.
        text: The last answer.
        stopped: "answer", "interrupted" by Ctrl-C, or the limit of the tool loop.
        usage: Of this turn; amounts are None when unknown.
        session: Of all turns.
    """

    model: str
    text: str
    stopped: Stopped
    usage: UsageSum
    session: UsageSum


Event = Text | ToolCalled | ToolReturned | Ended
Make = Callable[[str | None, str | None], ChatTammaOpenAI]


class _NoLedger:
    """Asks for the record of each run, which has an estimate where an answer was stopped."""

    accepts_usage_records: ClassVar[bool] = True

    def record(self, record: UsageRecord, /) -> None:
        """Keep nothing: the totals are enough."""


def _counter() -> UsageCallbackHandler:
    return UsageCallbackHandler(_NoLedger())


@dataclass(slots=True)
class _Turn:
    """One question and what has come of it so far."""

    messages: list[BaseMessage]
    begins_at: int
    usage: UsageTotals
    answer: AIMessageChunk | None = None
    result: ToolLoopResult | None = None

    def take(self, piece: AIMessageChunk | ToolMessage | ToolLoopResult) -> Iterator[Event]:
        """Take what the loop gives, and tell it."""
        if isinstance(piece, ToolLoopResult):
            self.result = piece
        elif isinstance(piece, ToolMessage):
            self._close_answer()
            self.messages.append(piece)
            yield ToolReturned(piece.name or "", piece.text, piece.status, piece.tool_call_id)
        else:
            self.answer = piece if self.answer is None else self.answer + piece
            if piece.text:
                yield Text(piece.text)
            if piece.chunk_position == "last":
                for call in self.answer.tool_calls:
                    yield ToolCalled(call["name"], call["args"], call["id"])

    def _close_answer(self) -> None:
        if self.answer is not None:
            calls = self.answer.tool_calls
            self.messages.append(AIMessage(self.answer.content, tool_calls=calls))
            self.answer = None

    def cut(self) -> list[BaseMessage]:
        """Give a conversation that can go on: no call without its result, no empty answer."""
        if self.answer is not None and self.answer.text:
            return [*self.messages, AIMessage(self.answer.text)]
        begun = self.messages[self.begins_at :]
        calls = sum(len(one.tool_calls) for one in begun if isinstance(one, AIMessage))
        answered = sum(isinstance(one, ToolMessage) for one in begun)
        is_whole = answered > 0 and answered == calls
        return self.messages if is_whole else self.messages[: self.begins_at]


@dataclass(slots=True)
class Session:
    """A conversation.

    Attributes:
        make: Makes the model of a name and a system prompt.
        tools: What it may call.
        max_iterations: Most requests in one turn.
        messages: What was said.
    """

    make: Make
    model: str | None = None
    system: str | None = None
    tools: Sequence[Tool] = ()
    max_iterations: int = 10
    messages: list[BaseMessage] = field(default_factory=list)
    _counter: UsageCallbackHandler = field(default_factory=_counter)
    _llm: ChatTammaOpenAI | None = None
    _turn: _Turn | None = None

    @property
    def totals(self) -> UsageTotals:
        """What all turns used, also those that failed."""
        return self._counter.totals

    @property
    def llm(self) -> ChatTammaOpenAI:
        """The model as it is set now."""
        if self._llm is None:
            self._llm = self.make(self.model, self.system)
        return self._llm

    def change(self, *, model: str | None = None, system: str | None = None) -> None:
        """Go on with another model or system prompt.

        Args:
            model: Its name; None keeps it.
            system: Text or id; empty for none, None keeps it.

        Raises:
            TammaError: It cannot be used; all stays as it was.
        """
        new_model = self.model if model is None else model
        new_system = self.system if system is None else system or None
        self._llm = self.make(new_model, new_system)
        self.model, self.system = new_model, new_system

    def ask(self, question: str) -> Generator[Event]:
        """Ask, and tell the answer while it comes; the question counts once it is answered.

        Args:
            question: What the user says.

        Yields:
            Pieces, calls, results, and `Ended`.

        Raises:
            TammaError: The call failed; the conversation stays as it was.
        """
        counter = _counter()
        begun = [*self.messages, HumanMessage(question)]
        self._turn = turn = _Turn(begun, len(self.messages), counter.totals)
        loop = stream_tool_loop(
            self.llm,
            list(begun),
            self.tools,
            self.max_iterations,
            config={"callbacks": [counter, self._counter]},
        )
        for piece in loop:
            yield from turn.take(piece)
        if turn.result is not None:
            self.messages = list(turn.result.messages)
            answer = turn.result.answer
            yield self._ended(turn, answer.text if answer else "", turn.result.stopped)

    def interrupt(self) -> Ended | None:
        """Keep what has come of a turn that was stopped; None where none had begun."""
        turn, self._turn = self._turn, None
        if turn is None:
            return None
        self.messages = turn.cut()
        text = turn.answer.text if turn.answer is not None else ""
        return self._ended(turn, text, "interrupted")

    def _ended(self, turn: _Turn, text: str, stopped: Stopped) -> Ended:
        self._turn = None
        return Ended(
            self.llm.model_name, text, stopped, turn.usage.snapshot(), self.totals.snapshot()
        )

    def save(self, path: Path) -> None:
        """Write the conversation to a file.

        Args:
            path: Where; a file that is there is replaced.

        Raises:
            OSError: It cannot be written.
        """
        kept = {
            "model": self.llm.model_name,
            "system": self.system,
            "messages": messages_to_dict(self.messages),
        }
        text = json.dumps(kept, ensure_ascii=False, indent=1, default=str)
        path.write_text(text + "\n", encoding="utf-8")

    def load(self, path: Path) -> None:
        """Take up a conversation from a file that `save` wrote.

        Args:
            path: The file.

        Raises:
            OSError: It cannot be read.
            CommandError: It is no conversation; all stays as it was.
        """
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            messages = messages_from_dict(kept["messages"])
            model, system = str(kept["model"]), kept.get("system")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())[:120]
            raise CommandError(f"{path}: is no conversation that /save wrote ({reason})") from None
        self.change(model=model, system=system if isinstance(system, str) else "")
        self.messages = messages
