"""The layers of the package: what may import what, read from the source and seen at run time."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import tui_trainer

ROOT = Path(tui_trainer.__file__).parent
LAYERS = (
    *("text", "config", "runs", "machine", "problems", "plugins", "data", "models"),
    *("training", "sessions", "ui", "cli"),
)
TORCH = {"problems", "data", "models", "training"}
TEXTUAL = {"ui"}
MODULES = sorted(ROOT.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(path: Path, *, inside_functions: bool) -> frozenset[str]:
    """Modules imported by a file: at its top (what runs on import), or inside functions too."""
    at_top, inside = imports_of(path)
    return at_top | inside if inside_functions else at_top


@cache
def imports_of(path: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Modules imported by a file at its top, and those inside functions."""
    found: tuple[set[str], set[str]] = (set(), set())

    def visit(node: ast.AST, is_inside: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found[is_inside].update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                found[is_inside].add(child.module)
            elif isinstance(child, ast.expr):
                continue
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            if not is_type_checking(child):
                visit(child, is_inside or is_function)

    visit(ast.parse(path.read_text(encoding="utf-8")), False)
    return frozenset(found[0]), frozenset(found[1])


def is_type_checking(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def test_a_module_imports_only_from_layers_above_it() -> None:
    broken = [
        f"{module_name(path)} imports {name}, from a layer below it"
        for path in MODULES
        for name in imports(path, inside_functions=True)
        if name.startswith("tui_trainer.") and is_below(layer_of(name), layer_of(module_name(path)))
    ]
    assert not broken


def is_below(layer: str, other: str) -> bool:
    known = layer in LAYERS and other in LAYERS
    return known and LAYERS.index(layer) > LAYERS.index(other)


def test_heavy_packages_are_imported_only_where_they_belong() -> None:
    for path in MODULES:
        own = layer_of(module_name(path))
        at_top = {name.split(".")[0] for name in imports(path, inside_functions=False)}
        anywhere = {name.split(".")[0] for name in imports(path, inside_functions=True)}
        assert "torch" not in at_top or own in TORCH, path
        assert "torch" not in anywhere or own in TORCH | {"machine", "sessions"}, path
        assert not {"textual", "plotext"} & anywhere or own in TEXTUAL, path
        if own not in TORCH:
            above = imports(path, inside_functions=False)
            torch_too = {layer_of(name) for name in above if "tui_trainer" in name} & TORCH
            assert not torch_too, f"{path} imports torch through {torch_too}"


def test_pyarrow_is_imported_only_where_a_table_is_read() -> None:
    for path in MODULES:
        names = {name.split(".")[0] for name in imports(path, inside_functions=True)}
        is_reader = module_name(path).startswith("tui_trainer.data.files.")
        assert "pyarrow" not in names or is_reader, path
        at_top = imports(path, inside_functions=False)
        assert not any(name.split(".")[0] == "pyarrow" for name in at_top), path


def test_tokenizers_are_imported_only_where_a_file_of_one_is_read() -> None:
    for path in MODULES:
        names = {name.split(".")[0] for name in imports(path, inside_functions=True)}
        is_reader = module_name(path) == "tui_trainer.data.tokenizers.tokenizer_file"
        assert "tokenizers" not in names or is_reader, path
        at_top = imports(path, inside_functions=False)
        assert not any(name.split(".")[0] == "tokenizers" for name in at_top), path


def test_the_command_line_uses_the_app_only_to_open_it() -> None:
    users = {
        module_name(path)
        for path in MODULES
        if layer_of(module_name(path)) == "cli"
        and any(layer_of(name) == "ui" for name in imports(path, inside_functions=True))
    }
    assert users == {"tui_trainer.cli.main", "tui_trainer.cli.train"}


def test_there_are_no_import_cycles() -> None:
    names = {module_name(path): path for path in MODULES}
    graph = {
        name: {other for other in imports(path, inside_functions=False) if other in names} - {name}
        for name, path in names.items()
    }
    assert len(graph) > 50
    assert_no_cycle(graph)


def test_the_folders_of_a_package_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        own = folder_of(module_name(path))
        others = {folder_of(name) for name in imports(path, inside_functions=True)}
        graph.setdefault(own, set()).update(others - {own})
    assert_no_cycle({own: others & graph.keys() for own, others in graph.items()})


def folder_of(name: str) -> str:
    """`tui_trainer.ui.run` of a module in there; a module of the package itself is its own."""
    return ".".join(name.split(".")[:3])


def assert_no_cycle(graph: dict[str, set[str]]) -> None:
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name in done:
            return
        for other in sorted(graph[name]):
            walk(other, (*trail, name))
        done.add(name)

    for name in sorted(graph):
        walk(name, ())


COMMANDS = (
    ["--help"],
    ["--version"],
    ["presets", "list"],
    ["presets", "show", "digits-cnn"],
    ["presets", "schema"],
    ["runs", "--runs-dir", "nowhere"],
    ["train", "nothing-of-this-name"],
    ["config"],
    ["compose"],
)


def test_the_command_line_answers_without_torch() -> None:
    program = (
        "import json, sys\n"
        "from tui_trainer.cli.main import main\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    try:\n        main(words)\n    except SystemExit:\n        pass\n"
        "    heavy = {'torch', 'textual', 'plotext', 'numpy', 'pyarrow'} & set(sys.modules)\n"
        "    print('HEAVY', *words, *sorted(heavy), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(COMMANDS)],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = [line for line in done.stderr.splitlines() if line.startswith("HEAVY")]
    assert heavy == [" ".join(["HEAVY", *words]) for words in COMMANDS]


def test_the_command_line_is_read_without_pydantic() -> None:
    """It takes longer to import than everything else that is needed to read the words."""
    program = (
        "import sys\n"
        "import tui_trainer.cli.main\n"
        "print(sorted({'pydantic', 'pydantic_core', 'yaml'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_first_screen_is_painted_without_torch(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tui_trainer.sessions.loader import Loader\n"
        "from tui_trainer.ui.app import TrainerApp\n"
        "assert 'pydantic' not in sys.modules\n"
        "from tui_trainer.ui.app_setup import AppArguments, ComposeRequest, assemble\n"
        "from tui_trainer.ui.process import CurrentRun\n"
        "from tui_trainer.ui.terminal.terminal import Terminal\n"
        "from tui_trainer.config.preferences import Preferences\n"
        "from tui_trainer.config.presets import PresetLibrary, builtin_dir\n"
        "library = PresetLibrary([builtin_dir()])\n"
        "asked = AppArguments(library, Path(sys.argv[1]), Preferences(), [])\n"
        "import threading\n"
        "painted = threading.Event()\n"
        "loader = Loader(first=lambda say: painted.wait(300) and sys.exit())\n"
        "live = CurrentRun()\n"
        "begin = lambda: assemble(asked, ComposeRequest(), Terminal(), live, loader, [])\n"
        "app = TrainerApp(begin, live)\n"
        "async def main():\n"
        "    async with app.run_test(size=(80, 24)) as pilot:\n"
        "        while 'Compose' not in type(app.screen).__name__:\n"
        "            await asyncio.sleep(0.01)\n"
        "        await pilot.pause()\n"
        "        strips = app.screen._compositor.render_strips()\n"
        "        text = ' '.join(strip.text for strip in strips)\n"
        "        heavy = {'torch', 'plotext', 'numpy', 'pyarrow'} & set(sys.modules)\n"
        "        print('digits-cnn' in text, 'HEAVY', sorted(heavy))\n"
        "        painted.set()\n"
        "asyncio.run(main())\n"
        "loader.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "True HEAVY []" in done.stdout


@pytest.mark.full
def test_a_run_imports_only_what_it_uses(tmp_path: Path) -> None:
    """`torch._dynamo` alone, which only compiling needs, takes as long as all of torch."""
    program = (
        "import sys\n"
        "from tui_trainer.cli.main import main\n"
        "words = ['train', 'penguins-mlp', 'training.max_steps=1', '--no-ui', '--runs-dir']\n"
        "assert main([*words, sys.argv[1]]) == 0\n"
        "print('IMPORTED', *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.split("IMPORTED")[1].split())
    assert {"torch", "tui_trainer.data.sources.table"} <= imported
    others = ("arrays", "pictures", "pixels", "plugin_data", "text", "tokens")
    unused = {f"tui_trainer.data.sources.{name}" for name in others}
    unused |= {"torch._dynamo", "torch._inductor", "sympy", "pyarrow", "PIL", "tokenizers"}
    unused |= {"datasets", "textual", "plotext", "rich.console", "rich.progress", "pandas"}
    assert not unused & imported
