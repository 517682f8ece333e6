"""LangChain's standard integration tests, unmodified, over a loopback server of the API.

The server invents tool arguments; the few tests that ask for particular ones get them scripted.
"""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests
from llmock.pytest_plugin import LLMock

from langchain_tamma_openai import ChatTammaOpenAI

pytestmark = pytest.mark.filterwarnings("ignore:.*pydantic version 1 class:UserWarning")

_MAGIC: tuple[str, dict[str, Any]] = ("magic_function", {"input": 3})
_ANSWERS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "test_tool_calling": [_MAGIC, _MAGIC],
    "test_tool_calling_async": [_MAGIC, _MAGIC],
    "test_unicode_tool_call_integration": [
        ("unicode_customer", {"customer_name": "你好啊集团", "description": "技术"}),
        ("unicode_customer", {"customer_name": "こんにちは株式会社", "description": "会社"}),
    ],
}


@pytest.fixture(autouse=True)
def _server(llmock: LLMock, request: pytest.FixtureRequest) -> None:
    for name, arguments in _ANSWERS.get(request.node.originalname, ()):
        llmock.call_tool(name, arguments)


class TestChatCompletions(ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatTammaOpenAI

    @property
    def chat_model_params(self) -> dict[str, object]:
        return {"model": "gpt-6-luna", "use_responses_api": False}


class TestResponses(ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatTammaOpenAI

    @property
    def chat_model_params(self) -> dict[str, object]:
        return {"model": "gpt-6-luna", "use_responses_api": True}


class TestAutomaticChoice(ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatTammaOpenAI

    @property
    def chat_model_params(self) -> dict[str, object]:
        return {"model": "gpt-6-luna"}
