"""The ways to call a model, each giving the text of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from langchain_tamma_openai import ChatTammaOpenAI

Way = Callable[[ChatTammaOpenAI, str], str]


def _invoke(llm: ChatTammaOpenAI, question: str) -> str:
    return llm.invoke(question).text


def _ainvoke(llm: ChatTammaOpenAI, question: str) -> str:
    return asyncio.run(llm.ainvoke(question)).text


def _batch(llm: ChatTammaOpenAI, question: str) -> str:
    return llm.batch([question])[0].text


def _stream(llm: ChatTammaOpenAI, question: str) -> str:
    return "".join(chunk.text for chunk in llm.stream(question))


def _astream(llm: ChatTammaOpenAI, question: str) -> str:
    async def main() -> str:
        return "".join([chunk.text async for chunk in llm.astream(question)])

    return asyncio.run(main())


def _streaming(way: Way) -> Way:
    def call(llm: ChatTammaOpenAI, question: str) -> str:
        return way(llm if llm.streaming else llm.model_copy(update={"streaming": True}), question)

    return call


PLAIN_WAYS: dict[str, Way] = {"invoke": _invoke, "ainvoke": _ainvoke, "batch": _batch}
SEEN_WAYS: dict[str, Way] = {"stream": _stream, "astream": _astream}
UNSEEN_WAYS: dict[str, Way] = {
    "streaming invoke": _streaming(_invoke),
    "streaming ainvoke": _streaming(_ainvoke),
}
STREAM_WAYS: dict[str, Way] = {**SEEN_WAYS, **UNSEEN_WAYS}
WAYS: dict[str, Way] = {**PLAIN_WAYS, **STREAM_WAYS}


def of_api(api: str, **fields: Any) -> ChatTammaOpenAI:
    """Make a model that calls one of the two APIs."""
    return ChatTammaOpenAI(
        **{"model": "gpt-6-luna", "use_responses_api": api == "responses", **fields}
    )
