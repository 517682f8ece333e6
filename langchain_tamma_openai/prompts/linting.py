"""What is not wrong enough to refuse a prompt, but surely not meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from langchain_tamma_openai.prompts.model import Prompt
from langchain_tamma_openai.prompts.problems import PromptProblem
from langchain_tamma_openai.redact import redact_secrets


def lint(prompts: Iterable[Prompt]) -> list[PromptProblem]:
    """Look through prompts that can be used as they are.

    Args:
        prompts: The prompts.
    """
    return [problem for prompt in prompts for problem in _suspicions(prompt)]


def _suspicions(prompt: Prompt) -> Iterator[PromptProblem]:
    text = prompt.text
    if redact_secrets(text) != text:
        yield PromptProblem("seems to hold a key or password", "content", prompt.reference)
