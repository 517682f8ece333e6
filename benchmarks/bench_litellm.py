"""The environment of `langchain-litellm`, which needs an older `openai` than ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

ENVIRONMENT: Final = Path(__file__).parent.parent / ".venv-litellm"
_MODULE: Final = "langchain_litellm"


def litellm_python(*, build: bool) -> str | None:
    """Return the Python that has `langchain-litellm`, or None where there is none.

    Args:
        build: Make the environment where it is missing. When that fails, it says so.
    """
    python = ENVIRONMENT / "bin" / "python"
    if _has_litellm(python):
        return str(python)
    if not build:
        return None
    print(f"Making {ENVIRONMENT.name} for langchain-litellm (once, a minute)", file=sys.stderr)
    try:
        _call([sys.executable, "-m", "venv", str(ENVIRONMENT)])
        _call([str(python), "-m", "pip", "install", "--quiet", "langchain-litellm>=0.3"])
    except (OSError, subprocess.CalledProcessError) as error:
        print(
            f"langchain-litellm could not be installed: {error}; going on without", file=sys.stderr
        )
        return None
    return str(python) if _has_litellm(python) else None


def litellm_versions(python: str | None) -> str:
    """Name the versions in that environment, or nothing."""
    if python is None:
        return ""
    code = (
        "from importlib.metadata import version as v; "
        "print(', '.join(f'{n} {v(n)}' for n in ('langchain-litellm', 'litellm', 'openai')))"
    )
    return subprocess.run(  # noqa: S603 - our own environment
        [python, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def _has_litellm(python: Path) -> bool:
    if not python.exists():
        return False
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({_MODULE!r}) is None)"
    return subprocess.run([python, "-c", code], check=False).returncode == 0  # noqa: S603 - ours


def _call(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603 - fixed commands
