"""What is read by libyaml is what the strict reader says, or is left to that."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.config.composing import compose, compose_quickly
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.writing import to_yaml

LIBRARY = PresetLibrary([builtin_dir()])
KEYS = st.from_regex(r"[a-z_]{1,3}", fullmatch=True)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = SCALARS | st.lists(SCALARS, max_size=3)
PIECES = st.sampled_from(
    [
        *(
            "a:",
            "a: 1",
            "b: x y",
            "  a: 1",
            "  b:",
            "  b: - 1",
            "- 1",
            "  - 1",
            "    - 1",
            "- a: 1",
        ),
        *(
            "a: # c",
            "a: b # c",
            "a: b: c",
            "a:  1",
            "a: 1 ",
            "a: -",
            "a: - 1",
            "a: -x",
            "a: ...",
            "",
        ),
        *(
            "---",
            "...",
            "# c",
            "a: [1]",
            "a: {}",
            "a: 'x'",
            "a: 'x' y",
            "a: 'x''y'",
            "a: 'x: # y'",
            "a: '1'",
            "a: *x",
            "a: !!int 1",
            "a: |",
            "a: ?",
            "\ta",
        ),
        *(
            "a: x\u0085y",
            "a: 1e400",
            "a: ~",
            "~: 1",
            "a: <<",
            "<<: 1",
            "a: http://x",
            "a: x:",
            "a: C:",
        ),
    ]
)


def strictly(text: str) -> Any:
    composed = compose(text, "test")
    return "refused" if composed.problems else composed.data


@pytest.mark.parametrize("name", [preset.name for preset in LIBRARY.list("experiment")])
def test_an_experiment_is_read_and_is_the_same(name: str) -> None:
    text = to_yaml(LIBRARY.experiment(name).to_dict())
    found = compose_quickly(text)
    assert found == strictly(text)


@given(st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=3), max_size=4))
def test_what_is_written_is_read_as_the_strict_reader_does(data: dict[str, Any]) -> None:
    text = to_yaml(data)
    found = compose_quickly(text)
    assert found is None or found == strictly(text)


@given(st.lists(PIECES, max_size=6))
def test_any_lines_are_read_as_the_strict_reader_does(lines: list[str]) -> None:
    text = "\n".join(lines)
    found = compose_quickly(text)
    assert found is None or found == strictly(text)
