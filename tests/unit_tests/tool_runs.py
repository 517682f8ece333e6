"""A few tools, and the ways to run calls of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.messages.tool import tool_call
from langchain_core.tools import (
    BaseTool,
    tool,
)

from langchain_tamma_openai.tools.executor import ToolExecutor

Run: TypeAlias = Callable[..., list[ToolMessage]]


def run_sync(executor: ToolExecutor, calls: Any, **options: Any) -> list[ToolMessage]:
    return executor.run(calls, **options)


def run_async(executor: ToolExecutor, calls: Any, **options: Any) -> list[ToolMessage]:
    return asyncio.run(executor.arun(calls, **options))


def run_sync_inside_a_loop(executor: ToolExecutor, calls: Any, **options: Any) -> list[ToolMessage]:
    async def main() -> list[ToolMessage]:
        return executor.run(calls, **options)

    return asyncio.run(main())


RUNS: dict[str, Run] = {
    "run": run_sync,
    "arun": run_async,
    "run inside a loop": run_sync_inside_a_loop,
}
every_run = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)


def call(tool_name: str, number: str = "c1", /, **args: Any) -> Any:
    return tool_call(name=tool_name, args=args, id=number)


@tool
def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


@tool
async def shout(text: str) -> str:
    """Say it loudly."""
    await asyncio.sleep(0)
    return text.upper()


def greet(name: str) -> str:
    """Greet somebody."""
    return f"Hello {name}"


class Reverse(BaseTool):
    name: str = "reverse"
    description: str = "Turn text around."

    def _run(self, text: str) -> str:
        return text[::-1]


ALL: list[Any] = [add, shout, greet, Reverse()]
CALLS = [
    call("add", "1", a=1),
    call("shout", "2", text="hi"),
    call("greet", "3", name="Ann"),
    call("reverse", "4", text="abc"),
]
