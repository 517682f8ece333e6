"""The JavaScript that draws the charts: Vega's own, as vl-convert brings it, and kept."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path


def vega_script() -> str:
    """Give Vega, Vega-Lite and Vega-Embed as one script that needs no network.

    Putting it together takes a second or two, so it is kept for the next report.
    """
    path = _cache_path()
    with suppress(OSError):
        return path.read_text(encoding="utf-8")
    import vl_convert

    script: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # without a snippet: Vega itself
    # Inside of a page a closing tag ends the script, in a text of JavaScript as well.
    script = script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    with suppress(OSError):
        _keep(path, script)
    return script


def _cache_path() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(cache).expanduser() / "langchain-tamma-openai"
    return folder / f"vega-{version('vl-convert-python')}.js"


def _keep(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.new")
    fresh.write_text(script, encoding="utf-8")
    fresh.replace(path)
