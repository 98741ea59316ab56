"""Lines for a shell: what the shell reads back, and what can be seen of it."""

from __future__ import annotations

import subprocess

import pytest

from tui_trainer.text.shell import is_plain, shell_line

WORDS = [
    *("", "plain", "a b", "it's", '"', "$(x) `x` $x \\", "~/x", "*", "größe", "数字", "😀"),
    *("a\nb", "tab\there", "\x1b[31m1", "\u202e7", "it's\x07\\", "e" + "\u0301" * 9, "\udcff.csv"),
]


def test_a_shell_reads_back_exactly_these_words() -> None:
    line = shell_line(["printf", "%s\\0", *WORDS])
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    assert done.stdout.decode(errors="surrogateescape").split("\0")[:-1] == WORDS


@pytest.mark.parametrize("word", WORDS)
def test_every_character_of_the_line_can_be_seen(word: str) -> None:
    assert is_plain(shell_line([word]))


def test_a_simple_word_needs_no_quotes() -> None:
    assert (
        shell_line(["train", "optimizer.lr=3e-4", "./x.yaml"]) == "train optimizer.lr=3e-4 ./x.yaml"
    )
