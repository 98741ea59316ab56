"""What all tests share: torch waits asleep, as in the program, and no example is timed."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tui_trainer.cli import arguments
from tui_trainer.config import user_code
from tui_trainer.config.plugin_loader import LOADED

# Read when torch is loaded. On a busy machine waiting in a loop takes minutes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers keep all cores busy; more threads for the small tensors of tests cost a quarter
    # of their time. Without workers, as with --soak, torch has its threads.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes is the machine's affair: a busy one is no defect.
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("patient")
# For `./run test`: each call tries others, and the full form tries a hundred.
settings.register_profile("quick", settings.get_profile("patient"), max_examples=40)


# Nothing that is imported goes away again, and to look for it takes a tenth of the import.
gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep the garbage collector from looking at torch and at all tests again and again.

    An app makes some hundred thousand objects, which are best looked at when all of them can go.
    To let them go is a sixth of the time of the app's tests. The quick form has room for what all
    tests leave behind, half a gigabyte for each worker; the full form lets it go, and fails for
    a file among it that was left open.
    """
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000_000 if _is_quick(session.config) else 500_000, 10, 10)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave what is left behind to the end of the process, before pytest lets it go."""
    if _is_quick(session.config):
        gc.freeze()


def _is_quick(config: pytest.Config) -> bool:
    return bool(config.getoption("--hypothesis-profile") == "quick")


STATE = tempfile.TemporaryDirectory(prefix="tui-trainer-tests-")
"""Never the user's own state directory; another folder in it for each test."""
NUMBERS = count()
os.environ["XDG_STATE_HOME"] = STATE.name
os.environ["TUI_TRAINER_CACHE"] = str(Path(STATE.name) / "cache")


@pytest.fixture(autouse=True, scope="session")
def one_parser_of_the_command_line() -> Iterator[None]:
    """Make the parsers of all commands once, and not for each command of each test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arguments, "make_parser", cache(arguments.make_parser))
        yield


@pytest.fixture(autouse=True, scope="module")
def plugins_of_the_module() -> Iterator[None]:
    """Forget the plugins that the tests of a module load.

    Commands in messages name them all, and lists have the types that files in their folders have.
    """
    before, folders = dict(LOADED), set(user_code._FOLDERS)
    yield
    for path in LOADED.keys() - before.keys():
        del LOADED[path]
    user_code._FOLDERS.intersection_update(folders)


@pytest.fixture(autouse=True)
def surroundings() -> Iterator[None]:
    """Put back what the program changes in its environment, where a test calls it in-process."""
    names = ("PYTHONSAFEPATH", "PATH", "XDG_STATE_HOME")
    before = {name: os.environ.get(name) for name in names}
    os.environ["XDG_STATE_HOME"] = str(Path(STATE.name) / str(next(NUMBERS)))
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
