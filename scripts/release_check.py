"""Build the release and try it as a stranger would: `make release-check`.

The sdist and the wheel are built and looked into; then the wheel alone, without extras, is
installed into a new environment of every supported Python at hand, where `release_smoke.py` calls
the model on a server of its own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
DIST: Final = ROOT / "dist"
PACKAGE: Final = "langchain_tamma_openai"
OLDEST: Final = (3, 11)
IN_WHEEL: Final = ("py.typed", "data/encodings/", "data/prompts/")
IN_SDIST: Final = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "benchmarks/run.py",
    "docs/index.md",
    "mkdocs.yml",
    "scripts/release_check.py",
    "tests/integration_tests/conftest.py",
    "tests/unit_tests/test_exports.py",
)


class ReleaseError(Exception):
    """The release must not go out, and why."""


def require(holds: object, message: str) -> None:
    """Stop the release unless something holds.

    Args:
        holds: What must be true.
        message: What is wrong where it is not.

    Raises:
        ReleaseError: It does not hold.
    """
    if not holds:
        raise ReleaseError(message)


def run(command: Sequence[str | Path], folder: Path = ROOT) -> str:
    """Run a command and give its output.

    Args:
        command: The program and its arguments.
        folder: Where it runs.

    Raises:
        ReleaseError: It failed; its output is in the message.
    """
    done = subprocess.run(  # noqa: S603 - our own commands
        [str(word) for word in command], cwd=folder, capture_output=True, text=True, check=False
    )
    shown = " ".join(str(word) for word in command[:4])
    require(not done.returncode, f"{shown} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def version() -> str:
    """Read the version, which the changelog has to know, released or not."""
    text = (ROOT / PACKAGE / "_version.py").read_text(encoding="utf-8")
    found = re.search(r'"(\d+\.\d+\.\d+[^"]*)"', text)
    require(found, "_version.py has no version")
    number = found[1] if found else ""
    heads = re.findall(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    require({number, "Unreleased"} & set(heads), f"CHANGELOG.md has no section for {number}")
    return number


def build() -> tuple[Path, Path]:
    """Build the sdist, and the wheel out of the sdist."""
    shutil.rmtree(DIST, ignore_errors=True)
    run([sys.executable, "-m", "build"])
    run([sys.executable, "-m", "twine", "check", "--strict", *sorted(DIST.iterdir())])
    (sdist,), (wheel,) = DIST.glob("*.tar.gz"), DIST.glob("*.whl")
    return sdist, wheel


def check_sdist(sdist: Path) -> None:
    """Look for what a packager needs, tests among it."""
    with tarfile.open(sdist) as archive:
        names = [name.split("/", 1)[-1] for name in archive.getnames()]
    missing = [name for name in IN_SDIST if name not in names]
    require(not missing, f"the sdist lacks {', '.join(missing)}")


def check_wheel(wheel: Path, number: str) -> None:
    """Look for data, types and metadata, and for what does not belong in it."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(f"{PACKAGE}-{number}.dist-info/METADATA").decode()
    for wanted in IN_WHEEL:
        require(any(f"{PACKAGE}/{wanted}" in name for name in names), f"the wheel lacks {wanted}")
    strangers = [n for n in names if not n.startswith((f"{PACKAGE}/", f"{PACKAGE}-{number}."))]
    require(not strangers, f"the wheel installs {', '.join(strangers[:3])}")
    _check_metadata(metadata)


def _check_metadata(metadata: str) -> None:
    fields = HeaderParser().parsestr(metadata)
    extras = set(fields.get_all("Provides-Extra", []))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    require(extras == set(project["optional-dependencies"]), "the wheel's extras differ")
    require(fields["Requires-Python"] == ">=3.11", "the wheel takes other Pythons")
    require(fields.get_payload(), "the wheel has no description")
    classifiers = fields.get_all("Classifier", [])
    require("Typing :: Typed" in classifiers, "the classifier 'Typing :: Typed' is missing")


def pythons() -> Iterator[Path]:
    """Find one interpreter of each supported minor version."""
    known: dict[tuple[int, int], Path] = {}
    for candidate in [Path(sys.executable), *_on_path(), *_of_pyenv()]:
        minor = _minor(candidate)
        if minor is not None and minor >= OLDEST and minor not in known:
            known[minor] = candidate
    return (known[minor] for minor in sorted(known))


def _on_path() -> Iterator[Path]:
    for minor in range(OLDEST[1], OLDEST[1] + 8):
        if found := shutil.which(f"python3.{minor}"):
            yield Path(found)


def _of_pyenv() -> Iterator[Path]:
    if pyenv := shutil.which("pyenv"):
        yield from sorted(Path(run([pyenv, "root"]).strip()).glob("versions/3.*/bin/python"))


def _minor(python: Path) -> tuple[int, int] | None:
    question = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run(  # noqa: S603 - an interpreter that was found
        [python, "-c", question], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return None
    major, minor = done.stdout.split()
    return int(major), int(minor)


def try_wheel(python: Path, wheel: Path) -> None:
    """Install the wheel without extras into a new environment, and use it there.

    Args:
        python: Makes the environment.
        wheel: What is installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        run([python, "-m", "venv", place / "venv"])
        inside = place / "venv" / "bin" / "python"
        run([inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel])
        run([inside, "-m", "pip", "check"])
        print(run([inside, "-I", ROOT / "scripts" / "release_smoke.py"], place), end="")


def main() -> int:
    """Check everything; 0 where the release may go out."""
    try:
        number = version()
        sdist, wheel = build()
        check_sdist(sdist)
        check_wheel(wheel, number)
        print(f"{number}: sdist and wheel hold what they should")
        for python in pythons():
            try_wheel(python, wheel)
    except ReleaseError as error:
        print(f"not ready: {error}", file=sys.stderr)
        return 1
    print(f"ready: {sdist.name}, {wheel.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
