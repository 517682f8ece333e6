"""The tools of a chat: functions and LangChain tools of a module."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from langchain_core.tools import BaseTool

from langchain_tamma_openai.cli._errors import CommandError

Tool = BaseTool | Callable[..., Any]


def tools_of(names: list[str]) -> list[Tool]:
    """Load the tools of modules.

    Args:
        names: Dotted names, found from the working directory, or paths of `.py` files.

    Raises:
        CommandError: A module cannot be loaded or has no tools, or two tools have one name.
    """
    found: dict[str, Tool] = {}
    for name in names:
        for tool in _tools(_module(name), name):
            key = name_of(tool)
            if key in found:
                raise CommandError(f"--tool-module {name}: there are two tools called {key}")
            found[key] = tool
    return list(found.values())


def name_of(tool: Tool) -> str:
    """Give the name by which the model calls a tool.

    Args:
        tool: The tool.
    """
    return tool.name if isinstance(tool, BaseTool) else str(getattr(tool, "__name__", tool))


def _module(name: str) -> ModuleType:
    try:
        return _from_file(Path(name)) if name.endswith(".py") else _from_name(name)
    except CommandError:
        raise
    except (Exception, SystemExit) as error:
        # It is their code: whatever it raises, it is the module that cannot be used.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise CommandError(f"--tool-module {name}: cannot be imported ({reason})") from error


def _from_name(name: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(name)


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise CommandError(f"--tool-module {path}: there is no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise CommandError(f"--tool-module {path}: is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _tools(module: ModuleType, name: str) -> list[Tool]:
    listed = getattr(module, "tools", None) or getattr(module, "TOOLS", None)
    if isinstance(listed, list | tuple):
        return list(listed)
    found: list[Tool] = [
        value
        for key, value in vars(module).items()
        if not key.startswith("_") and _is_tool(value, module)
    ]
    if not found:
        raise CommandError(
            f"--tool-module {name}: has no tools; write functions with a docstring, "
            "LangChain tools, or a list called `tools`"
        )
    return found


def _is_tool(value: object, module: ModuleType) -> bool:
    """Whether it is meant as a tool: imported functions are helpers of the module."""
    if isinstance(value, BaseTool):
        return True
    return inspect.isfunction(value) and value.__module__ == module.__name__
