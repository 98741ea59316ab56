"""Writes what a program measured into RESULTS.md, with the machine and the versions."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def with_bytecode(folder: Path) -> dict[str, str]:
    """Return the environment of programs whose bytecode is kept in a folder.

    Where none is written, half of a start is compiling.
    """
    kept = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    return {**os.environ, **kept}


def machine(packages: Sequence[str] = ("torch",)) -> str:
    """Return a sentence about this machine, how busy it is, and the versions of packages."""
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{name} {metadata.version(name)}" for name in packages]
    busy = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} {platform.machine()} cores, {platform.system()}, load average "
        f"{busy:.1f}; {', '.join(versions)}."
    )


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def write_section(title: str, text: str, results: Path = RESULTS) -> None:
    """Put a section in the place of the one with this title, or at the end."""
    before, sections = _sections(results.read_text(encoding="utf-8"))
    sections[title] = text.strip()
    parts = [before, *(f"## {name}\n\n{body}" for name, body in sections.items())]
    results.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _sections(text: str) -> tuple[str, dict[str, str]]:
    before, *parts = text.split("\n## ")
    sections = {}
    for part in parts:
        title, _, body = part.partition("\n")
        sections[title.strip()] = body.strip()
    return before.strip(), sections
