"""Mends histories that the API would refuse, on a copy, and records every repair."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolMessage

from langchain_tamma_openai.history import HistoryProblem, check_history
from langchain_tamma_openai.history_turns import media_kind

if TYPE_CHECKING:
    from langchain_tamma_openai.parameters.problems import Api

logger = logging.getLogger(__name__)

HistoryPolicyName = Literal["strict", "repair", "off"]
"""What to do about a bad history: raise, send a repaired copy, or send it as it is."""

NO_RESULT = "Error: this tool call was interrupted before it gave a result."
"""What the model is told in place of a result that is missing."""


@dataclass(frozen=True, slots=True)
class HistoryRepair:
    """One repair.

    Attributes:
        index: Place of the message in the history as it was given.
        code: The problem that was repaired.
        action: What was done.
    """

    index: int
    code: str
    action: str

    def __str__(self) -> str:
        """Return place and action."""
        return f"messages[{self.index}]: {self.action}"

    def as_metadata(self) -> dict[str, object]:
        """Give the repair as JSON for `response_metadata`."""
        return {"index": self.index, "code": self.code, "action": self.action}


@dataclass(frozen=True, slots=True)
class AppliedHistory:
    """A conversation ready to send.

    Attributes:
        messages: What to send; the given messages themselves where nothing was repaired.
        repairs: What was done, in order.
    """

    messages: list[BaseMessage]
    repairs: tuple[HistoryRepair, ...] = ()


class HistoryChecker:
    """Judges histories as a policy says. It does no I/O and holds no state."""

    def __init__(self, policy: HistoryPolicyName = "strict") -> None:
        """Choose what happens to a bad history.

        Args:
            policy: `"strict"` raises before anything is sent; `"repair"` sends a repaired copy;
                `"off"` sends everything as it is.

        Raises:
            ConfigurationError: No such policy.
        """
        from langchain_tamma_openai.resilience.bounds import check_choice

        check_choice(policy, "history_policy", ("strict", "repair", "off"))
        self.policy: HistoryPolicyName = policy

    def __repr__(self) -> str:
        """Show the policy."""
        return f"HistoryChecker(policy={self.policy!r})"

    def apply(
        self,
        messages: Sequence[BaseMessage],
        model: str | None = None,
        *,
        api: Api = "chat_completions",
        server_keeps_history: bool = False,
    ) -> AppliedHistory:
        """Judge a conversation, and repair it where the policy says so.

        Args:
            messages: The conversation; never changed.
            model: Any model id.
            api: The API that carries the call.
            server_keeps_history: See `check_history`.

        Raises:
            InvalidParameterError: Naming every problem under `"strict"`, and under `"repair"`
                those that the API refuses and that cannot be repaired.
        """
        if self.policy == "off":
            return AppliedHistory(list(messages))
        options: dict[str, Any] = {"api": api, "server_keeps_history": server_keeps_history}
        problems = check_history(messages, model, **options)
        if not problems:
            return AppliedHistory(list(messages))
        if self.policy == "strict":
            _raise(problems)
        mended, repairs = repair_history(messages, model, **options)
        left = [each for each in check_history(mended, model, **options) if _is_error(each)]
        if left:
            _raise(left)
        if repairs:
            logger.warning("The history was repaired: %s", "; ".join(map(str, repairs)))
        return AppliedHistory(mended, tuple(repairs))


def repair_history(
    messages: Sequence[BaseMessage],
    model: str | None = None,
    *,
    api: Api = "chat_completions",
    server_keeps_history: bool = False,
) -> tuple[list[BaseMessage], list[HistoryRepair]]:
    """Mend what can be mended in a conversation.

    A missing tool result becomes an error message for the model; a result without its call, a
    second result, and an empty message are left out; a result that stands elsewhere is moved
    behind its call; content that the model cannot take becomes a line of text saying so; calls
    without an id of their own get one. What has no obvious repair stays (an unknown role, say).

    Args:
        messages: The conversation; never changed.
        model: Any model id; see `check_history`.
        api: The API that carries the call.
        server_keeps_history: See `check_history`.

    Returns:
        The mended conversation, and every repair with the place in the given one.
    """
    work = _Repairs(list(messages), list(range(len(messages))))
    for step in _STEPS:
        problems = check_history(
            work.messages, model, api=api, server_keeps_history=server_keeps_history
        )
        step(work, problems, model)
    return work.messages, work.repairs


@dataclass
class _Repairs:
    """Messages under repair, where each came from, and what was done."""

    messages: list[BaseMessage]
    origins: list[int]
    repairs: list[HistoryRepair] = field(default_factory=list)

    def note(self, problem: HistoryProblem, action: str) -> None:
        self.repairs.append(HistoryRepair(self.origins[problem.index], problem.code, action))

    def keep(self, order: Sequence[tuple[BaseMessage, int]]) -> None:
        self.messages = [message for message, _ in order]
        self.origins = [origin for _, origin in order]


_Step = Callable[[_Repairs, Sequence[HistoryProblem], "str | None"], None]


# --- ids -------------------------------------------------------------------------------------


def _give_ids(work: _Repairs, problems: Sequence[HistoryProblem], _model: str | None) -> None:
    """Give calls without an id, or with another call's id, one of their own."""
    for problem in problems:
        message = work.messages[problem.index]
        if problem.code not in _ID_PROBLEMS or not isinstance(message, AIMessage):
            continue
        calls, invalid, given = _with_ids(message, problem.index)
        if not given:  # the same message has been mended for its first problem
            continue
        update = {"tool_calls": calls, "invalid_tool_calls": invalid}
        work.messages[problem.index] = message.model_copy(update=update)
        _name_results(work, problem.index, given)
        work.note(problem, f"gave {len(given)} tool call(s) an id: {', '.join(given)}")


_ID_PROBLEMS = ("tool_call_without_id", "duplicate_tool_call_id")


def _with_ids(message: AIMessage, index: int) -> tuple[list[Any], list[Any], list[str]]:
    seen: set[str | None] = {None, ""}
    given: list[str] = []

    def renamed(call: Any) -> Any:
        if call["id"] not in seen:
            seen.add(call["id"])
            return call
        given.append(f"call_{index}_{len(given)}")
        return {**call, "id": given[-1]}

    calls = [renamed(call) for call in message.tool_calls]
    invalid = [renamed(call) for call in message.invalid_tool_calls]
    return calls, invalid, given


def _name_results(work: _Repairs, index: int, given: Sequence[str]) -> None:
    """Give results that directly follow and name no call the new ids, in order."""
    ids = iter(given)
    for place in range(index + 1, len(work.messages)):
        message = work.messages[place]
        if not isinstance(message, ToolMessage):
            return
        if not message.tool_call_id and (call_id := next(ids, None)) is not None:
            work.messages[place] = message.model_copy(update={"tool_call_id": call_id})


# --- content ---------------------------------------------------------------------------------


def _replace_media(work: _Repairs, problems: Sequence[HistoryProblem], model: str | None) -> None:
    for problem in problems:
        message = work.messages[problem.index]
        if problem.media is None or not isinstance(message.content, list):
            continue
        text = f"[{problem.media} left out: {model} cannot take it]"
        content = [
            {"type": "text", "text": text} if media_kind(block) == problem.media else block
            for block in message.content
        ]
        work.messages[problem.index] = message.model_copy(update={"content": content})
        work.note(problem, f"put a line of text in place of {problem.media} content")


def _drop_empty(work: _Repairs, problems: Sequence[HistoryProblem], _model: str | None) -> None:
    empty = {problem.index: problem for problem in problems if problem.code == "empty_message"}
    rest = [
        message
        for index, message in enumerate(work.messages)
        if index not in empty and not isinstance(message, SystemMessage)
    ]
    if not empty or not rest:  # a request needs a message; the only one stays as it is
        return
    for problem in empty.values():
        work.note(problem, "left the empty message out")
    pairs = zip(work.messages, work.origins, strict=True)
    work.keep([pair for index, pair in enumerate(pairs) if index not in empty])


# --- results ---------------------------------------------------------------------------------


def _settle_results(work: _Repairs, problems: Sequence[HistoryProblem], _model: str | None) -> None:
    """Leave out, move and add results, so that each call has one, right behind it."""
    gone: set[int] = set()
    behind: dict[int, list[tuple[BaseMessage, int]]] = {}
    for problem in problems:
        if problem.code in _SUPERFLUOUS:
            gone.add(problem.index)
            work.note(problem, f"left out a result of tool call {problem.call_id!r}")
        elif problem.code == "tool_result_separated":
            call_index = _call_index(work.messages, problem)
            gone.add(problem.index)
            moved = work.messages[problem.index], work.origins[problem.index]
            behind.setdefault(call_index, []).append(moved)
            work.note(problem, f"moved the result behind tool call {problem.call_id!r}")
        elif problem.code == "tool_call_without_result":
            result = _missing_result(work.messages[problem.index], problem.call_id or "")
            added = result, work.origins[problem.index]
            behind.setdefault(problem.index, []).append(added)
            work.note(problem, f"added an error as the result of tool call {problem.call_id!r}")
    if gone or behind:
        work.keep(list(_in_order(work, gone, behind)))


_SUPERFLUOUS = ("tool_result_without_call", "duplicate_tool_result")


def _in_order(
    work: _Repairs, gone: set[int], behind: dict[int, list[tuple[BaseMessage, int]]]
) -> Iterator[tuple[BaseMessage, int]]:
    for index, pair in enumerate(zip(work.messages, work.origins, strict=True)):
        if index not in gone:
            yield pair
        yield from behind.get(index, ())


def _call_index(messages: Sequence[BaseMessage], problem: HistoryProblem) -> int:
    """Find the message that made the call of a result that stands elsewhere."""
    for index in range(problem.index - 1, -1, -1):
        message = messages[index]
        if isinstance(message, AIMessage) and problem.call_id in _ids(message):
            return index
    return problem.index - 1


def _ids(message: AIMessage) -> list[str | None]:
    known = [call["id"] for call in message.tool_calls]
    known += [call["id"] for call in message.invalid_tool_calls]
    raw = message.additional_kwargs.get("tool_calls") or ()
    return known + [call.get("id") for call in raw]


def _missing_result(message: BaseMessage, call_id: str) -> ToolMessage:
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    name = next((call["name"] for call in calls if call["id"] == call_id), None)
    return ToolMessage(content=NO_RESULT, tool_call_id=call_id, name=name, status="error")


_STEPS: tuple[_Step, ...] = (_give_ids, _replace_media, _drop_empty, _settle_results)


def _is_error(problem: HistoryProblem) -> bool:
    return problem.severity == "error"


def _raise(problems: Sequence[HistoryProblem]) -> None:
    from langchain_tamma_openai.errors import InvalidParameterError

    listed = "\n".join(f"  {problem}" for problem in problems)
    text = str(problems[0]) if len(problems) == 1 else f"{len(problems)} problems:\n{listed}"
    raise InvalidParameterError(text, param="messages", code=problems[0].code)
