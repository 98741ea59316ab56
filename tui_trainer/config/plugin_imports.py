"""`files_beside`: the files beside a plugin that it imports, and those that they import in turn.

Layer: config. They are found by reading the source, so that imports inside functions, which run
later, are known, too.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

_MOST_FILES = 200
_MOST_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of Python with its content when it was loaded."""

    path: str
    source: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.source).hexdigest()

    @property
    def copy_name(self) -> str:
        """The name of the copy that a run keeps."""
        stem = re.sub(r"[^\w-]", "_", Path(self.path).stem)[:60]
        return f"{stem}-{self.sha256[:8]}.py"

    @property
    def facts(self) -> dict[str, str]:
        """The facts that a run records of it."""
        return {"path": self.path, "sha256": self.sha256, "copy": self.copy_name}


def line_sums(source: bytes) -> list[int]:
    """Return a checksum of each line of a file."""
    return [zlib.crc32(line) for line in source.splitlines()]


def files_beside(path: str, source: bytes) -> dict[str, tuple[SourceFile, ...]]:
    """Return the modules and packages in the folder of a file that it imports, with their files.

    Those that these import are in it, too. What cannot be read or compiled is left out: importing
    it says what is wrong with it.
    """
    folder = os.path.dirname(path)
    modules: dict[str, tuple[SourceFile, ...]] = {}
    waiting = [source]
    count = 0
    while waiting:
        for name in sorted(_imported(waiting.pop())):
            if name in modules or count >= _MOST_FILES:
                continue
            files = tuple(islice(_files_of(folder, name), _MOST_FILES - count))
            if not files or files[0].path == path:
                continue
            modules[name] = files
            count += len(files)
            waiting += [file.source for file in files]
    return modules


def has_module(folder: str, name: str) -> bool:
    """Whether `import name` finds a module or package in a folder."""
    return os.path.isfile(os.path.join(folder, f"{name}.py")) or os.path.isfile(
        os.path.join(folder, name, "__init__.py")
    )


def _imported(source: bytes) -> set[str]:
    """Return the names of the top-level modules that a source imports anywhere in it."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def _files_of(folder: str, name: str) -> Iterator[SourceFile]:
    package = Path(folder, name)
    paths = [Path(folder, f"{name}.py")]
    if (package / "__init__.py").is_file():
        paths = sorted(package.rglob("*.py"), key=lambda path: (len(path.parts), path))
    for path in paths:
        try:
            if path.is_file() and path.stat().st_size <= _MOST_BYTES:
                yield SourceFile(str(path), path.read_bytes())
        except OSError:
            continue
