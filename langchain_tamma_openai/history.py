"""Histories that the API would refuse: found before they are sent, and repaired where possible.

The APIs want every tool call answered, every result preceded by its call, no message without
content, and no image for a model that cannot see. `check_history` finds what is wrong;
`repair_history` (in `history_repair`) mends a copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from langchain_tamma_openai.history_turns import ROLES, Media, MessageLike, Turn, read_turns
from langchain_tamma_openai.models import ModelCatalog

if TYPE_CHECKING:
    from langchain_tamma_openai.parameters.problems import Api

ProblemSeverity = Literal["error", "warning"]
"""Whether the API refuses the request, or takes it and something is amiss all the same."""

_CAPABILITIES: dict[Media, str] = {
    "image": "image_input",
    "audio": "audio_input",
    "file": "file_input",
}
_MEDIA_NAMES: dict[Media, str] = {"image": "images", "audio": "audio", "file": "files"}


@dataclass(frozen=True, slots=True)
class HistoryProblem:
    """Something in a conversation that the API would refuse.

    Attributes:
        index: The message's place in the list.
        code: The kind of problem, as one stable word.
        message: What is wrong.
        remedy: The way out.
        severity: `"warning"` for what OpenAI accepts and others may not.
        call_id: The tool call in question; None where there is none, or it has no id.
        media: The kind of content in question.
    """

    index: int
    code: str
    message: str
    remedy: str
    severity: ProblemSeverity = "error"
    call_id: str | None = None
    media: Media | None = None

    def __str__(self) -> str:
        """Return place, what is wrong and the way out."""
        return f"messages[{self.index}]: {self.message}; {self.remedy}"


def check_history(
    messages: Sequence[MessageLike],
    model: str | None = None,
    *,
    api: Api = "chat_completions",
    server_keeps_history: bool = False,
) -> list[HistoryProblem]:
    """Find what the API would refuse in a conversation.

    Args:
        messages: LangChain messages; JSON messages and input items are understood as well.
        model: Any model id; None, like an unknown one, is taken to see, hear and read files.
        api: The API that carries the call. Chat Completions wants results right after their call.
        server_keeps_history: The server has earlier messages (`previous_response_id`,
            `conversation`), so a result may answer a call that is not in the list.

    Returns:
        All problems, by place; empty when there are none.
    """
    turns = read_turns(messages)
    problems = [
        *_bad_roles(turns, api),
        *_empty_messages(turns),
        *_unreadable_media(turns, model),
        *_tool_problems(turns, api, server_keeps_history=server_keeps_history),
    ]
    return sorted(problems, key=lambda problem: problem.index)


def _bad_roles(turns: Sequence[Turn], api: Api) -> Iterator[HistoryProblem]:
    known = (*ROLES, "item") if api == "responses" else ROLES
    for turn in turns:
        if turn.role not in known:
            yield HistoryProblem(
                turn.index,
                "invalid_role",
                f"the API knows no role {turn.role!r}",
                f"use one of {', '.join(ROLES)}",
            )


def _empty_messages(turns: Sequence[Turn]) -> Iterator[HistoryProblem]:
    for turn in turns:
        if turn.content == "full" or turn.role == "item":
            continue
        what = "text" if turn.content == "blank" else "content"
        yield HistoryProblem(
            turn.index,
            "empty_message",
            f"the {turn.role} message has no {what}",
            "leave the message out, or give it content",
            "error" if turn.content == "missing" else "warning",
        )


def _unreadable_media(turns: Sequence[Turn], model: str | None) -> Iterator[HistoryProblem]:
    info = ModelCatalog().get(model or "")
    if not info.known:
        return
    for turn in turns:
        for media in sorted(turn.media):
            if _CAPABILITIES[media] not in info.capabilities:
                yield HistoryProblem(
                    turn.index,
                    f"{media}_not_supported",
                    f"{model} takes no {_MEDIA_NAMES[media]}",
                    "send text instead, or use a model that takes them",
                    media=media,
                )


# --- tool calls and their results ------------------------------------------------------------


def _tool_problems(
    turns: Sequence[Turn], api: Api, *, server_keeps_history: bool
) -> list[HistoryProblem]:
    matcher = _Matcher(
        adjacent=api == "chat_completions", results_may_be_alone=server_keeps_history
    )
    for turn in turns:
        matcher.see(turn)
    return matcher.end()


class _Matcher:
    """Matches results with calls, one turn after another.

    An id stands for the latest call that has it: some models number their calls anew each time.
    """

    def __init__(self, *, adjacent: bool, results_may_be_alone: bool) -> None:
        self._adjacent = adjacent
        self._alone = results_may_be_alone
        self._open: dict[str, int] = {}  # unanswered calls, with the place of the message
        self._optional: set[str] = set()  # calls whose result may be the server's affair
        self._answered: set[str] = set()
        self._late: dict[str, int] = {}  # calls that another message was put behind
        self._problems: list[HistoryProblem] = []

    def see(self, turn: Turn) -> None:
        if turn.is_result:
            self._result(turn)
            return
        if self._adjacent and turn.role != "item":
            self._late.update(self._open)
            self._open.clear()
        self._optional.update(turn.other_calls)
        self._calls(turn)

    def end(self) -> list[HistoryProblem]:
        for call_id, index in (self._open | self._late).items():
            self._problems.append(_without_result(index, call_id))
        return self._problems

    def _calls(self, turn: Turn) -> None:
        seen: set[str] = set()
        for call_id in turn.calls:
            if call_id is None:
                self._problems.append(_without_id(turn.index))
            elif call_id in seen:
                self._problems.append(_same_id(turn.index, call_id))
            else:
                seen.add(call_id)
                self._forget(call_id)
                self._open[call_id] = turn.index

    def _forget(self, call_id: str) -> None:
        """Begin anew with an id that an earlier call had."""
        self._answered.discard(call_id)
        for unanswered in (self._open, self._late):
            if (index := unanswered.pop(call_id, None)) is not None:
                self._problems.append(_without_result(index, call_id))

    def _result(self, turn: Turn) -> None:
        call_id = turn.answers
        if call_id is not None and (call_id in self._open or call_id in self._optional):
            self._open.pop(call_id, None)
            self._optional.discard(call_id)
            self._answered.add(call_id)
        elif call_id is not None and call_id in self._late:
            self._problems.append(_separated(turn.index, call_id, self._late.pop(call_id)))
            self._answered.add(call_id)
        elif call_id in self._answered:
            self._problems.append(_duplicate(turn.index, call_id))
        elif not self._alone:
            self._problems.append(_without_call(turn.index, call_id))


def _without_result(index: int, call_id: str) -> HistoryProblem:
    return HistoryProblem(
        index,
        "tool_call_without_result",
        f"no result follows for tool call {call_id!r}",
        "add a ToolMessage with that tool_call_id right behind it, or remove the call",
        call_id=call_id,
    )


def _without_call(index: int, call_id: str | None) -> HistoryProblem:
    return HistoryProblem(
        index,
        "tool_result_without_call",
        f"no message before it calls a tool with the id {call_id!r}",
        "put the answer that made the call before it, or remove the result",
        call_id=call_id,
    )


def _separated(index: int, call_id: str, call_index: int) -> HistoryProblem:
    return HistoryProblem(
        index,
        "tool_result_separated",
        f"the result of tool call {call_id!r} does not directly follow messages[{call_index}]",
        "move it behind the answer that made the call",
        call_id=call_id,
    )


def _duplicate(index: int, call_id: str | None) -> HistoryProblem:
    return HistoryProblem(
        index,
        "duplicate_tool_result",
        f"tool call {call_id!r} has a result already",
        "keep one of the results",
        call_id=call_id,
    )


def _same_id(index: int, call_id: str) -> HistoryProblem:
    return HistoryProblem(
        index,
        "duplicate_tool_call_id",
        f"two calls of the message have the id {call_id!r}",
        "give each call an id of its own",
        call_id=call_id,
    )


def _without_id(index: int) -> HistoryProblem:
    return HistoryProblem(
        index,
        "tool_call_without_id",
        "a tool call has no id, so no result can name it",
        "give each call an id",
    )
