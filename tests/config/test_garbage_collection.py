"""What the collector of garbage is spared, and what it is not."""

from __future__ import annotations

import gc
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tui_trainer.config.garbage_collection import collector_paused, permanent_objects

PLUGIN = """
class Journal:
    def __init__(self):
        self.file = open("journal.txt", "w")
        self.write = self.file.write
        self.itself = self

journal = Journal()
journal.write("kept")
"""


def test_the_collector_goes_on_after_imports_even_if_they_fail() -> None:
    with pytest.raises(ImportError), permanent_objects():  # noqa: PT012
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()
    with collector_paused():
        with collector_paused():
            pass
        assert not gc.isenabled()
    gc.unfreeze()


def test_pauses_of_two_threads_may_overlap() -> None:
    first, second = ExitStack(), ExitStack()
    first.enter_context(collector_paused())
    second.enter_context(collector_paused())
    first.close()
    assert not gc.isenabled()
    second.close()
    assert gc.isenabled()


@pytest.mark.full
@pytest.mark.parametrize("imports", ["", "import torch"])
def test_what_a_plugin_leaves_open_is_written_at_the_end(tmp_path: Path, imports: str) -> None:
    plugin = tmp_path / "own.py"
    plugin.write_text(imports + PLUGIN)
    words = ["-m", "tui_trainer", "presets", "list", "--plugin", str(plugin)]
    subprocess.run([sys.executable, *words], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "journal.txt").read_text() == "kept"
