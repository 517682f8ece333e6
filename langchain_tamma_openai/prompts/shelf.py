"""The prompts of a registry by id and version, as a value: adding makes a new shelf."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from langchain_tamma_openai.prompts.model import Prompt
from langchain_tamma_openai.prompts.problems import InvalidPromptError, PromptProblem, located
from langchain_tamma_openai.prompts.references import Reference, refuse_unknown


@dataclass(frozen=True, slots=True)
class Shelf:
    """Prompts by id, the versions of each in ascending order; never changed.

    Attributes:
        by_id: At least one version of each id.
    """

    by_id: Mapping[str, tuple[Prompt, ...]] = field(default_factory=dict)

    def find(self, reference: Reference) -> Prompt:
        """Give a prompt.

        Args:
            reference: Its id, and its version unless it is the latest.

        Raises:
            PromptError: There is none; the message names close matches.
        """
        versions = self.by_id.get(reference.id, ())
        wanted = reference.version
        found = [one for one in versions if wanted is None or one.version == wanted]
        if not found:
            refuse_unknown(reference, self.by_id, map(_number, versions))
        return found[-1]

    def holds(self, prompt: Prompt) -> bool:
        """Whether this very prompt is on the shelf.

        Args:
            prompt: A prompt with a version.
        """
        return prompt in self.by_id.get(prompt.id, ())

    def with_prompt(self, prompt: Prompt) -> tuple[Shelf, Prompt]:
        """Put a prompt on the shelf.

        Args:
            prompt: A prompt. Without a version it gets the next one, unless it says the same as
                the latest version.

        Returns:
            The new shelf, or this one when the prompt is on it already, and the prompt as it
            stands there.

        Raises:
            InvalidPromptError: Another prompt has this id and version.
        """
        versions = self.by_id.get(prompt.id, ())
        if prompt.version is None:
            latest = versions[-1] if versions else None
            if latest is not None and replace(prompt, version=latest.version) == latest:
                return self, latest
            prompt = replace(prompt, version=_number(latest) + 1 if latest else 1)
        for there in versions:
            if there.version == prompt.version:
                if there == prompt:
                    return self, there
                _refuse_change(prompt, versions[-1])
        ordered = sorted((*versions, prompt), key=_number)
        return Shelf({**self.by_id, prompt.id: tuple(ordered)}), prompt

    def without(self, reference: Reference) -> tuple[Shelf, tuple[Prompt, ...]]:
        """Take prompts from the shelf.

        Args:
            reference: An id, for all its versions, or an id and a version.

        Returns:
            The new shelf and what was taken.

        Raises:
            PromptError: There is no such prompt.
        """
        found = self.find(reference)
        versions = self.by_id[reference.id]
        taken = versions if reference.version is None else (found,)
        left = tuple(prompt for prompt in versions if prompt not in taken)
        rest = {key: value for key, value in self.by_id.items() if key != reference.id}
        return Shelf({**rest, reference.id: left} if left else rest), taken

    def __iter__(self) -> Iterator[Prompt]:
        """Go through all prompts, by id and version."""
        for prompt_id in sorted(self.by_id):
            yield from self.by_id[prompt_id]


def filled(
    shelf: Shelf, prompts: Iterable[tuple[Prompt, str | None]]
) -> tuple[Shelf, list[Prompt]]:
    """Put many prompts on a shelf, or none.

    Args:
        shelf: The shelf.
        prompts: Prompts, each with the file it comes from.

    Returns:
        The new shelf, and the prompts as they stand there.

    Raises:
        InvalidPromptError: Ids and versions that are taken; all are named.
    """
    placed: list[Prompt] = []
    problems: list[PromptProblem] = []
    for prompt, file in prompts:
        try:
            shelf, there = shelf.with_prompt(prompt)
        except InvalidPromptError as exc:
            problems.extend(located(exc.problems, file=file))
        else:
            placed.append(there)
    if problems:
        raise InvalidPromptError(problems)
    return shelf, placed


def _number(prompt: Prompt) -> int:
    return prompt.version or 0


def _refuse_change(prompt: Prompt, latest: Prompt) -> None:
    message = (
        f"{prompt.reference} is taken by another prompt, and versions do not change; leave the "
        f"version out for the next one ({_number(latest) + 1}), or delete {prompt.reference} first"
    )
    raise InvalidPromptError([PromptProblem(message, "version", prompt.id)])
