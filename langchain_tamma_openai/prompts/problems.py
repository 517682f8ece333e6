"""What can be wrong with a prompt, each problem with its place, and the error that names all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from langchain_tamma_openai.errors import PromptError


@dataclass(frozen=True, slots=True)
class PromptProblem:
    """One thing that is wrong with a prompt.

    Attributes:
        message: What is wrong and the way out.
        field: The field at fault, such as `template` or `variables.customer`.
        prompt: Id of the prompt, where it is known.
        file: The file it stands in; None for a prompt made in code.
    """

    message: str
    field: str | None = None
    prompt: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        """Say it in one line, from the file down to the field."""
        places = (self.file, self.prompt, self.field, self.message)
        return ": ".join(place for place in places if place)


class InvalidPromptError(PromptError):
    """Prompts that cannot be taken as they are; nothing was changed.

    Attributes:
        problems: Every problem that was found.
    """

    default_code = "invalid_prompt"
    problems: tuple[PromptProblem, ...]

    def __init__(self, problems: Iterable[PromptProblem]) -> None:
        """Name all problems.

        Args:
            problems: At least one.
        """
        self.problems = tuple(problems)
        super().__init__(_listed(self.problems), param=self.problems[0].field)


def located(
    problems: Iterable[PromptProblem], *, prompt: str | None = None, file: str | None = None
) -> list[PromptProblem]:
    """Add what is known about the place of problems found deeper down.

    Args:
        problems: Problems that may lack it.
        prompt: Id of the prompt.
        file: The file.
    """
    return [replace(one, prompt=one.prompt or prompt, file=one.file or file) for one in problems]


def _listed(problems: Sequence[PromptProblem]) -> str:
    if len(problems) == 1:
        return str(problems[0])
    return "\n- ".join([f"{len(problems)} problems:", *map(str, problems)])
