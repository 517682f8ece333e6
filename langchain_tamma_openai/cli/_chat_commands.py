"""What can be typed into a chat besides questions: commands that begin with a slash."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from langchain_core.messages import HumanMessage

from langchain_tamma_openai.cli._chat_screen import Screen, usage_text
from langchain_tamma_openai.cli._chat_session import Session
from langchain_tamma_openai.cli._errors import CommandError

_HELP = """\
/help            this list
/model [NAME]    go on with another model; without a name, say which it is
/system [TEXT]   go on with another system prompt: a text, an id, or `none`
/tools           the tools the model may call
/clear           forget what was said
/cost            tokens and dollars of this session, by model
/save FILE       write the conversation to a file
/load FILE       take one up
/quit            end; so does Ctrl-D
Ctrl-C stops an answer. A line that ends in \\ goes on in the next one."""


class Quit(Exception):  # noqa: N818 - no error, but the end that was asked for
    """The session is to end."""


def is_command(line: str) -> bool:
    """Whether a line is a command and no question.

    Args:
        line: What was typed.
    """
    return line.startswith("/")


def run(line: str, session: Session, screen: Screen) -> None:
    """Do what a command says.

    Args:
        line: The command with its argument.
        session: The conversation.
        screen: Where to say what was done.

    Raises:
        Quit: The session is to end.
        CommandError: There is no such command, or its argument is wrong.
        TammaError: A model or prompt cannot be used.
        OSError: A file cannot be read or written.
    """
    name, _, argument = line[1:].partition(" ")
    command = _COMMANDS.get(name)
    if command is None:
        close = get_close_matches(name, _COMMANDS, n=1)
        hint = f"did you mean /{close[0]}?" if close else "/help lists the commands"
        raise CommandError(f"/{name}: there is no such command; {hint}")
    command(argument.strip(), session, screen)


def _help(_argument: str, _session: Session, screen: Screen) -> None:
    screen.say(_HELP)


def _model(name: str, session: Session, screen: Screen) -> None:
    if name:
        session.change(model=name)
    screen.say(f"model: {session.llm.model_name}")


def _system(text: str, session: Session, screen: Screen) -> None:
    if text:
        session.change(system="" if text.lower() == "none" else text)
    screen.say(f"system prompt: {session.system or 'none'}")


def _tools(_argument: str, session: Session, screen: Screen) -> None:
    names = [
        str(getattr(one, "name", None) or getattr(one, "__name__", one)) for one in session.tools
    ]
    screen.say(f"tools: {', '.join(names) or 'none; start with --tool-module'}")


def _clear(_argument: str, session: Session, screen: Screen) -> None:
    session.messages.clear()
    screen.say("forgotten; the costs stay counted")


def _cost(_argument: str, session: Session, screen: Screen) -> None:
    lines = [f"{name}: {usage_text(usage)}" for name, usage in session.totals.by_model.items()]
    screen.say("\n".join([*lines, f"session: {usage_text(session.totals.snapshot())}"]))


def _save(name: str, session: Session, screen: Screen) -> None:
    path = _path(name, "/save")
    session.save(path)
    screen.say(f"{path}: {len(session.messages)} messages saved")


def _load(name: str, session: Session, screen: Screen) -> None:
    path = _path(name, "/load")
    session.load(path)
    questions = sum(isinstance(message, HumanMessage) for message in session.messages)
    screen.say(f"{path}: {questions} questions, with {session.llm.model_name}")


def _path(name: str, command: str) -> Path:
    if not name:
        raise CommandError(f"{command}: name a file, such as {command} chat.json")
    return Path(name).expanduser()


def _quit(_argument: str, _session: Session, _screen: Screen) -> None:
    raise Quit


_COMMANDS: dict[str, Callable[[str, Session, Screen], None]] = {
    "help": _help,
    "model": _model,
    "system": _system,
    "tools": _tools,
    "clear": _clear,
    "cost": _cost,
    "save": _save,
    "load": _load,
    "quit": _quit,
    "exit": _quit,
}
