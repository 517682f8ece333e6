"""Make the pictures of the report in docs/assets, with a headless Chromium.

python scripts/report_screenshots.py [FOLDER]
"""

from __future__ import annotations

import sys
import tempfile
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from chromium import Page, chromium, find_chromium  # noqa: E402 - beside this file
from report_records import FIRST, varied_records  # noqa: E402 - found by the line above

from langchain_tamma_openai import UsageTracker  # noqa: E402 - as above
from langchain_tamma_openai.usage.report.gather import ReportOptions, gather  # noqa: E402

RUNS, DAYS = 20_000, 44.6
_DRAWN = "document.documentElement.dataset.drawn === 'yes'"
_MAX_BYTES = 200_000


def main() -> None:
    """Make them."""
    program = find_chromium()
    if program is None:
        raise SystemExit("no Chromium is installed; name one with $CHROMIUM")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "assets"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        page_file = _page(Path(place))
        with chromium(program) as browser:
            for name in ("light", "dark", "phone"):
                with browser.page() as page:
                    picture = _picture(page, page_file.as_uri(), name)
                assert not page.seen.problems, page.seen.problems
                assert len(picture) < _MAX_BYTES, f"{name}: {len(picture)} bytes"
                (folder / f"report-{name}.png").write_bytes(picture)
                print(f"report-{name}.png: {len(picture) // 1000} kB")


def _page(folder: Path) -> Path:
    """Write the report of a made-up ledger."""
    now = FIRST + timedelta(days=DAYS)
    options = ReportOptions(title="Usage and cost", budget_usd=Decimal(45), now=now, top=6)
    with UsageTracker("memory") as tracker:
        for record in varied_records(RUNS, DAYS):
            tracker.record(record)
        return gather(tracker, options, {}).save(folder / "report.html")


def _picture(page: Page, url: str, name: str) -> bytes:
    if name == "phone":
        page.resize(390, 844, scale=1.5, mobile=True)
    else:
        page.resize(1240, 900)
    page.prefer("dark" if name == "dark" else "light")
    page.open(url, _DRAWN)
    return page.screenshot(height=1240 if name == "phone" else 1480)


if __name__ == "__main__":
    main()
