"""The steps of the demo: each is one short function that uses the chat model as a program would."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from pydantic import BaseModel, Field

from langchain_tamma_openai import ChatTammaOpenAI, UsageTotals, get_usage_callback

if TYPE_CHECKING:
    from langchain_tamma_openai.cli._screen import Screen
    from langchain_tamma_openai.usage.totals import UsageSum

Step = Callable[[ChatTammaOpenAI, "Screen"], None]
City = Literal["Lisbon", "Nairobi", "Oslo"]

_JULY_CELSIUS: dict[City, float] = {"Lisbon": 23.5, "Nairobi": 16.9, "Oslo": 17.7}
_BATCH_SIZE = 20
_CONCURRENT_CALLS = 5


class Ticket(BaseModel):
    """What a support desk wants to know about a message."""

    topic: Literal["billing", "bug", "question"]
    priority: Literal["high", "normal", "low"]
    customer_is_upset: bool
    summary: str = Field(description="One short sentence.")


def july_temperature(city: City) -> str:
    """Give the average July temperature of a city, in degrees Celsius."""
    return f"{_JULY_CELSIUS[city]} degrees Celsius"


def run_all(llm: ChatTammaOpenAI, screen: Screen) -> dict[str, object]:
    """Run every step with its usage after it, then the table of all.

    Returns:
        The same as plain values.
    """
    told: list[dict[str, object]] = []
    with get_usage_callback() as total:
        for number, (title, step) in enumerate(_STEPS, start=1):
            screen.title(f"{number}. {title}")
            with get_usage_callback() as usage:
                step(llm, screen)
            screen.line(f"   = {_spent(usage)}")
            told.append({"step": title, **_figures(usage.snapshot())})
    screen.title("All calls")
    screen.table(_table(total))
    models = {name: _figures(usage) for name, usage in sorted(total.by_model.items())}
    return {"steps": told, "models": models, "total": _figures(total.snapshot())}


def show_chain(llm: ChatTammaOpenAI, screen: Screen) -> None:
    """Run a prompt template, the model and a parser as one chain."""
    prompt = ChatPromptTemplate.from_messages(
        [("system", "You explain things to {reader}."), ("human", "{question}")]
    )
    chain = prompt | llm | StrOutputParser()
    question = "What is a token?"
    _ask(screen, question)
    screen.line("   " + chain.invoke({"reader": "a gardener", "question": question}))


def show_stream(llm: ChatTammaOpenAI, screen: Screen) -> None:
    """Print an answer while it arrives."""
    question = "In two sentences: why do streams feel fast?"
    _ask(screen, question)
    screen.piece("   ")
    for chunk in llm.stream(question):
        screen.piece(chunk.text)
    screen.line()


def show_agent(llm: ChatTammaOpenAI, screen: Screen) -> None:
    """Let an agent call a Python function and answer from its result."""
    agent = create_agent(llm, tools=[july_temperature])
    question = "How warm is Lisbon in July? Use the tool."
    _ask(screen, question)
    for message in agent.invoke({"messages": [HumanMessage(question)]})["messages"]:
        if isinstance(message, ToolMessage):
            screen.line(f"   Python: {message.text}")
        elif isinstance(message, AIMessage):
            for call in message.tool_calls:
                screen.line(f"   model:  call {call['name']}({call['args']})")
            if message.text:
                screen.line(f"   model:  {message.text}")


def show_structured_output(llm: ChatTammaOpenAI, screen: Screen) -> None:
    """Get a validated object instead of text."""
    question = "Sort this: 'You charged me twice again, and nobody answers my mails!'"
    _ask(screen, question)
    screen.line(f"   {llm.with_structured_output(Ticket).invoke(question)!r}")


def show_batch(llm: ChatTammaOpenAI, screen: Screen) -> None:
    """Answer many prompts, a few at a time, and show the cost while it grows."""
    prompts = [
        f"In five words: what is the number {number} known for?" for number in range(_BATCH_SIZE)
    ]
    _ask(screen, f"{prompts[0]} ... {_BATCH_SIZE - 1} known for?")
    with get_usage_callback() as usage:
        answers = llm.batch_as_completed(prompts, {"max_concurrency": _CONCURRENT_CALLS})
        for done, _ in enumerate(answers, start=1):
            screen.progress(done, _BATCH_SIZE, f"{_dollars(usage.total_cost_usd)} so far")


def _ask(screen: Screen, question: str) -> None:
    screen.line(f"   > {question}")


_STEPS: tuple[tuple[str, Step], ...] = (
    ("A prompt chain: prompt | llm | StrOutputParser()", show_chain),
    ("A stream", show_stream),
    ("An agent with a tool", show_agent),
    ("A structured answer", show_structured_output),
    (f"A batch of {_BATCH_SIZE}, {_CONCURRENT_CALLS} at a time", show_batch),
)


def _spent(usage: UsageTotals) -> str:
    calls = "1 call" if usage.requests == 1 else f"{usage.requests} calls"
    tokens = f"{usage.input_tokens} tokens in, {usage.output_tokens} out"
    return f"{calls}, {tokens}, {_dollars(usage.total_cost_usd)}"


def _figures(usage: UsageSum) -> dict[str, object]:
    return {
        "requests": usage.requests,
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost_usd": usage.total_cost_usd,
    }


def _dollars(usd: Decimal | None) -> str:
    return "cost unknown" if usd is None else f"${usd.normalize():f}"


def _table(total: UsageTotals) -> list[list[str]]:
    header = ["model", "calls", "input", "cached", "cache write", "output", "reasoning", "cost"]
    models = [_row(name, usage) for name, usage in sorted(total.by_model.items())]
    return [header, *models, _row("all", total.snapshot())]


def _row(name: str, usage: UsageSum) -> list[str]:
    counts = (
        usage.requests,
        usage.input_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    )
    return [name, *map(str, counts), _dollars(usage.total_cost_usd)]
