"""LangChain's standard unit tests, unmodified."""

from __future__ import annotations

from langchain_core.language_models import BaseChatModel
from langchain_tests.unit_tests import ChatModelUnitTests

from langchain_tamma_openai import ChatTammaOpenAI


class TestChatTammaOpenAI(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatTammaOpenAI

    @property
    def chat_model_params(self) -> dict[str, object]:
        return {"model": "gpt-6-luna", "api_key": "test-key"}

    @property
    def init_from_env_params(
        self,
    ) -> tuple[dict[str, str], dict[str, object], dict[str, object]]:
        return (
            {
                "OPENAI_API_KEY": "api_key",
                "OPENAI_ORG_ID": "org_id",
                "OPENAI_API_BASE": "https://api.example.com/v1",
                "OPENAI_PROXY": "https://proxy.example.com",
            },
            {"model": "gpt-6-luna"},
            {
                "openai_api_key": "api_key",
                "openai_organization": "org_id",
                "openai_api_base": "https://api.example.com/v1",
                "openai_proxy": "https://proxy.example.com",
            },
        )


class TestResponses(TestChatTammaOpenAI):
    @property
    def chat_model_params(self) -> dict[str, object]:
        return {"model": "gpt-6-luna", "api_key": "test-key", "use_responses_api": True}
