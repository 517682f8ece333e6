"""Vega as one script without a network: made by vl-convert, and kept for the next report."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_tamma_openai.errors import ConfigurationError, StorageError
from langchain_tamma_openai.usage.report.files import write_file

if TYPE_CHECKING:
    from types import ModuleType

_SNIPPET = "globalThis.vegaEmbed = vegaEmbed;"
CACHE_VARIABLE = "TAMMA_OPENAI_CACHE"
"""Names another folder for the script, or none when it is empty."""


def vl_convert() -> ModuleType:
    """Load vl-convert.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import vl_convert
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            "Charts need vl-convert-python; install it with "
            "pip install 'langchain-tamma-openai[report]', or ask for format 'md' or 'json'",
            code="missing_package",
            param="format",
        ) from exc
    return vl_convert


def vega_script() -> str:
    """Give the script, which defines `vegaEmbed`; it is safe inside `<script>`.

    Putting it together takes more than a second, so it is kept in the user's cache folder
    (`$TAMMA_OPENAI_CACHE`, else `langchain-tamma-openai` in `$XDG_CACHE_HOME` or `~/.cache`).

    Raises:
        ConfigurationError: `vl-convert-python` is not installed.
    """
    converter = vl_convert()
    kept = _kept_at(converter)
    if (script := _read(kept)) is not None:
        return script
    script = _harmless(converter.javascript_bundle(_SNIPPET))
    if kept is not None:
        _keep(kept, script)
    return script


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """Put the script together in a process of its own while the block runs, if it is not kept yet.

    At the end of the block it is kept. Whatever fails is left to `vega_script`.
    """
    kept = _kept_at(vl_convert())
    if kept is None or not sys.executable or _read(kept) is not None:
        yield
        return
    program = (
        f"import sys, vl_convert; sys.stdout.write(vl_convert.javascript_bundle({_SNIPPET!r}))"
    )
    child = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield
    except BaseException:
        child.kill()
        child.communicate()
        raise
    script = child.communicate()[0].decode()
    if not child.returncode:
        _keep(kept, _harmless(script))


def _keep(kept: Path, script: str) -> None:
    with contextlib.suppress(OSError, StorageError):
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(kept, _with_digest(script).encode())


def _kept_at(converter: ModuleType) -> Path | None:
    named = os.environ.get(CACHE_VARIABLE)
    if named == "":
        return None
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(named or f"{base}/langchain-tamma-openai").expanduser()
    versions = (converter.__version__, converter.get_vega_version(), _SNIPPET)
    key = hashlib.sha256("\n".join(versions).encode()).hexdigest()[:16]
    return folder / f"vega-{key}.js"


def _read(kept: Path | None) -> str | None:
    """Read the script back; None when there is none, or it is not what was written."""
    if kept is None:
        return None
    try:
        text = kept.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    script = text.partition("\n")[2]
    return script if text == _with_digest(script) else None


def _with_digest(script: str) -> str:
    return f"//{hashlib.sha256(script.encode()).hexdigest()}\n{script}"


def _harmless(script: str) -> str:
    """Escape what would end, or change the meaning of, the element around the script."""
    return script.replace("\r", "").replace("</script", "<\\/script").replace("<!--", "<\\!--")
