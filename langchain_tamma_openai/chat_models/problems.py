"""Errors of reading answers; imported only when there is one to raise."""

from __future__ import annotations

from langchain_core.exceptions import OutputParserException

from langchain_tamma_openai.errors import MalformedResponseError


class UnparsableAnswerError(MalformedResponseError, OutputParserException):
    """A structured answer arrived whole and is not what was asked for.

    Attributes:
        llm_output: The text that does not parse.
        observation: Always None; LangChain's parser errors have it.
        send_to_llm: Always False; LangChain's parser errors have it.
    """

    default_code = "unparsable_answer"

    def __init__(self, message: str = "", *, llm_output: str | None = None) -> None:
        """Build the error.

        Args:
            message: What is wrong with the answer.
            llm_output: The text that does not parse.
        """
        super().__init__(message)
        self.llm_output = llm_output
        self.observation = None
        self.send_to_llm = False
