"""One module starts processes, so that all of them have its rules; read from the source."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

import tui_trainer

ROOT = Path(tui_trainer.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
OWNER = "config/processes.py"
STARTERS = re.compile(
    r"subprocess(\.|$)|_posixsubprocess|asyncio\.(subprocess|create_subprocess_)|webbrowser|"
    r"os\.(fork|exec[lv]|spawn[lv]|posix_spawn|system$|popen$|startfile)|pty\.(fork|spawn)|"
    r"multiprocessing\.(Process|Pool|Manager|(\w+\.)?\w*Context$|get_context|set_|context|pool|"
    r"managers|forkserver|spawn|popen_|resource_tracker|shared_memory|util)|"
    r"concurrent\.futures\.(process|ProcessPool)|torch\.multiprocessing|ctypes\.util|"
    r".*\.subprocess_(exec|shell)$"
)
SUSPICIOUS = re.compile(
    r"subprocess|asyncio|webbrowser|\bos\b|\bpty\b|multiprocessing|concurrent|ctypes"
)
"""In the source of every module that uses one of them."""
EXCEPTIONS = {
    # A copy of this very process, which runs no other program.
    "sessions/launcher.py": {"os.fork"},
}


def names(source: str) -> set[str]:
    """Every dotted name that a module imports or uses, by its full name."""
    tree = ast.parse(source)
    meant: dict[str, str] = {}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                meant[alias.asname or first] = alias.name if alias.asname else first
                found.add(alias.name)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                meant[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                found.add(f"{node.module}.{alias.name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(dotted(node, meant))
    return found


def dotted(node: ast.expr, meant: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value, meant)}.{node.attr}"
    return meant.get(node.id, "?") if isinstance(node, ast.Name) else "?"


def starters(source: str) -> set[str]:
    if not SUSPICIOUS.search(source):
        return set()
    return {name for name in names(source) if STARTERS.match(name)}


@pytest.mark.parametrize(
    "source",
    [
        "import subprocess",
        "from subprocess import run as go",
        "import os as system\nsystem.fork()",
        "from os import execvp",
        "import os\nos.system('true')",
        "import asyncio\nasyncio.create_subprocess_exec('true')",
        "async def start(loop): await loop.subprocess_exec(None, 'true')",
        "import multiprocessing as m\nm.Process()",
        "from multiprocessing import resource_tracker",
        "import multiprocessing.pool",
        "from concurrent.futures import ProcessPoolExecutor",
        "import concurrent.futures\nconcurrent.futures.ProcessPoolExecutor()",
        "def later():\n    from torch import multiprocessing",
        "import webbrowser",
        "import pty\npty.spawn('sh')",
    ],
)
def test_the_ways_to_start_a_process_are_known(source: str) -> None:
    assert starters(source)


def test_fault_54_no_other_module_starts_a_process() -> None:
    sources = {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8") for p in MODULES}
    found = {name: starters(source) for name, source in sources.items()}
    assert found.pop(OWNER)
    assert {name: ways for name, ways in found.items() if ways} == EXCEPTIONS


def calls(name: str) -> list[tuple[str, ast.Call]]:
    """The calls of a function or class, by whatever it is reached, and the files they are in."""
    sources = {path: path.read_text(encoding="utf-8") for path in MODULES}
    return [
        (str(path.relative_to(ROOT)), node)
        for path, source in sources.items()
        if name in source
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) == name
    ]


def test_fault_54_a_loader_starts_its_workers_by_the_rules() -> None:
    ((_, loader),) = calls("DataLoader")
    (context,) = (one.value for one in loader.keywords if one.arg == "multiprocessing_context")
    assert isinstance(context, ast.Call)
    assert isinstance(context.func, ast.Name)
    assert context.func.id == "worker_context"


def test_fault_54_the_environment_is_protected_before_anything_else() -> None:
    tree = ast.parse((ROOT / "cli/main.py").read_text(encoding="utf-8"))
    (main,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "main")
    first = main.body[1]
    assert ast.unparse(first) == "protect_environment()"
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    assert set(project["scripts"].values()) == {"tui_trainer.__main__:main"}
    assert "tui_trainer.cli.main.main" in names((ROOT / "__main__.py").read_text())


def test_what_is_compiled_is_protected() -> None:
    # torch runs `python -c` to try out what it has compiled.
    assert {path for path, _ in calls("compile")} >= {"training/forward.py"}
    source = (ROOT / "training" / "forward.py").read_text()
    assert source.index("protect_environment()") < source.index("torch.compile(")


def test_this_python_has_a_safe_path() -> None:
    assert hasattr(sys.flags, "safe_path")
