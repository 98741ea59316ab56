"""Copied text goes to the terminal and to tmux, and messages claim no more than is known."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.app import App

from tui_trainer.ui.terminal.clipboard import ASKED, IN_TMUX, copy

TEXT = "tui-trainer train digits-cnn optimizer.lr=1e-3"


def copied(env: dict[str, str]) -> str:
    app: App[None] = App()

    async def run() -> str:
        async with app.run_test():
            told = await copy(app, TEXT, env)
        assert app.clipboard == TEXT
        return told

    return asyncio.run(run())


def fake_tmux(folder: Path, status: int) -> dict[str, str]:
    """An environment whose tmux writes down what it got."""
    path = folder / "tmux"
    path.write_text(
        f'#!/bin/sh\necho "$@" >{folder}/words\nwhile read -r line || [ "$line" ]; do '
        f'printf %s "$line"; done >{folder}/text\nexit {status}\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    return {"TMUX": "/tmp/tmux-0/default,1,0", "PATH": str(folder)}


def test_a_terminal_alone_is_asked_and_no_success_is_claimed() -> None:
    assert copied({"PATH": ""}) == ASKED


def test_fault_55_what_is_copied_cannot_steer_where_it_is_pasted(tmp_path: Path) -> None:
    bad = "train \x1b]52;c;x\x07\u202e\n\x9b'digits'"
    shown = "train \\x1b]52;c;x\\x07\\u202e\n\\x9b'digits'"
    app: App[None] = App()

    async def run() -> None:
        async with app.run_test():
            await copy(app, bad, fake_tmux(tmp_path, 0))

    asyncio.run(run())
    assert app.clipboard == shown
    assert (tmp_path / "text").read_text() == shown.replace("\n", "")


def test_tmux_gets_the_text_into_its_buffer(tmp_path: Path) -> None:
    assert copied(fake_tmux(tmp_path, 0)) == IN_TMUX
    assert (tmp_path / "words").read_text() == "load-buffer -w -\n"
    assert (tmp_path / "text").read_text() == TEXT


@pytest.mark.parametrize("has_tmux", [True, False])
def test_a_tmux_that_does_not_take_it_is_not_trusted(tmp_path: Path, has_tmux: bool) -> None:
    env = fake_tmux(tmp_path, 1)
    if not has_tmux:
        (tmp_path / "tmux").unlink()
    assert copied(env) == ASKED
