"""LangChain's standard integration tests, unmodified, over a loopback server of the API."""

from __future__ import annotations

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests

from langchain_tamma_openai import ChatTammaOpenAI


@pytest.fixture(autouse=True)
def _server(llmock: object) -> None:
    """Point `OPENAI_BASE_URL` at the server for every test."""


class TestChatTammaOpenAI(ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatTammaOpenAI

    @property
    def chat_model_params(self) -> dict[str, object]:
        return {"model": "gpt-6-luna"}
