"""What leaves the program leaves by one door: nobody else prints, by the source of every module."""

from __future__ import annotations

import ast
import re

import pytest

from tests.test_layers import MODULES, module_name

DOOR = "tui_trainer.text.console"
STREAMS = frozenset({"stdout", "stderr", "__stdout__", "__stderr__"})
QUESTIONS = frozenset({"isatty", "encoding", "flush", "fileno"})
"""What may be asked of a stream anywhere; none of it writes."""
STREAM_USERS = {
    "tui_trainer.cli.train": "asks whether they are terminals",
    "tui_trainer.cli.detached": "flushes them before their descriptors lead elsewhere",
    "tui_trainer.sessions.launcher": "flushes them before it forks",
    "tui_trainer.ui.terminal.driver": "gives them to Textual in the place of its own capture",
    "tui_trainer.ui.terminal.terminal": "flushes them before their descriptors lead elsewhere",
}
WRITERS = {
    "tui_trainer.runs.files": "writes the files of a run",
    "tui_trainer.runs.output": "writes how an output.log ends, in words of our own",
    "tui_trainer.sessions.launcher": "tells the other process, and ends the terminal's modes",
    "tui_trainer.ui.terminal.driver": "writes what the app paints, cleaned by then",
    "tui_trainer.ui.terminal.stdout": "writes into a file in memory; lines are cleaned later",
    "tui_trainer.ui.terminal.terminal": "ends its modes, and says lines that it has cleaned",
}
"""They may call os.write."""
PRINTERS = {
    "tui_trainer.cli.bar_printer": "prints lines that it has cleaned, above the bar of rich"
}


def called(node: ast.Call) -> str:
    """`print`, `os.write`, `.print` of any other object."""
    function = node.func
    if isinstance(function, ast.Name):
        return function.id
    if isinstance(function, ast.Attribute):
        owner = function.value
        return f"{owner.id if isinstance(owner, ast.Name) else ''}.{function.attr}"
    return ""


def is_forbidden(call: str, module: str) -> bool:
    """Whether a call prints, in a module that has no reason to."""
    owner, _, method = call.rpartition(".")
    if method == "print":
        return call == "print" or module not in PRINTERS
    if call == "os.write":
        return module not in WRITERS
    # Of argparse a class of our own is used, which complains in cleaned words.
    known = ("print_exc", "print_exception", "print_tb", "warn", "ArgumentParser")
    return method in known or owner == "logging"


def is_stream(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "sys"
        and node.attr in STREAMS
    )


def asks(node: ast.AST) -> bool:
    """Whether a node only asks something of a stream that is a part of it."""
    match node:
        case ast.Attribute():
            return node.attr in QUESTIONS
        case ast.Compare() | ast.IfExp():
            return True
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=name), *_]):
            return name in QUESTIONS
    return False


SUSPICIOUS = re.compile(r"\b(print|warn\b|ArgumentParser\b|logging\b|os\s*\.\s*write\b|sys\b)")
"""In the source of every module that does what only the door may do."""


def faults(module: str, source: str) -> list[str]:
    """What a module does that only the door may do."""
    found: list[str] = []
    if not SUSPICIOUS.search(source):
        return found
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and is_forbidden(called(node), module):
            found.append(called(node))
        has_stream = any(map(is_stream, ast.iter_child_nodes(node)))
        if has_stream and not asks(node) and module not in STREAM_USERS:
            found.append("sys.stdout or sys.stderr")
    return found


def test_fault_55_nobody_prints_but_by_the_door() -> None:
    sources = {module_name(path): path.read_text(encoding="utf-8") for path in MODULES}
    found = {name: faults(name, source) for name, source in sources.items() if name != DOOR}
    assert not {name: what for name, what in found.items() if what}, f"they have to use {DOOR}"


@pytest.mark.parametrize(
    "line",
    [
        "print('x')",
        "print('x', file=sys.stderr)",
        "sys.stdout.write('x')",
        "out = sys.stderr",
        "Stream(sys.stdout)",
        "os.write(1, b'x')",
        "console.print('x')",
        "self._console.print('x')",
        "traceback.print_exc()",
        "warnings.warn('x')",
        "logging.error('x')",
        "argparse.ArgumentParser('x')",
    ],
)
def test_who_prints_elsewhere_is_found(line: str) -> None:
    assert faults("tui_trainer.somewhere", line)


def test_to_ask_something_of_a_stream_is_allowed() -> None:
    line = "is_wide = sys.stdout is not None and sys.stdout.isatty()"
    assert not faults("tui_trainer.somewhere", line)


@pytest.mark.parametrize("name", [*STREAM_USERS, *WRITERS, *PRINTERS])
def test_every_exception_is_still_needed(name: str) -> None:
    (path,) = (path for path in MODULES if module_name(path) == name)
    source = path.read_text(encoding="utf-8")
    with_exception, without = faults(name, source), faults("tui_trainer.somewhere", source)
    assert len(without) > len(with_exception)
    assert name not in PRINTERS or ".print(harmless(" in source
