"""The front door: what it names is there, in order, and loads only when it is asked for."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import langchain_tamma_openai
from langchain_tamma_openai import errors

HEAVY = ("openai", "tiktoken", "sqlalchemy", "jsonschema", "yaml", "redis", "pyarrow", "langchain")


def test_every_name_is_there_and_in_order() -> None:
    names = langchain_tamma_openai.__all__
    assert names == sorted(names)
    assert all(getattr(langchain_tamma_openai, name) is not None for name in names)


def test_every_error_is_a_public_name() -> None:
    classes = {name for name in errors.__all__ if name.endswith("Error")}
    assert classes <= set(langchain_tamma_openai.__all__)


def test_checkers_see_the_same_names_as_programs() -> None:
    tree = ast.parse(Path(langchain_tamma_openai.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    seen = {name.name for node in imports for name in node.names}
    assert seen | {"__version__"} == set(langchain_tamma_openai.__all__)


def test_nothing_heavy_loads_with_the_model() -> None:
    program = (
        "import sys; from langchain_tamma_openai import ChatTammaOpenAI; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
