from __future__ import annotations

from collections.abc import Iterator

import pytest

from tui_trainer.text.read_progress import ReadProgress, print_progress, progress_words


@pytest.fixture
def lines() -> Iterator[list[str]]:
    printed: list[str] = []
    print_progress(printed.append)
    yield printed
    print_progress(None)


def test_a_long_reading_has_a_line_within_a_second_and_then_every_few(lines: list[str]) -> None:
    now = [0.0]
    with ReadProgress("a.csv", 200_000_000, lambda: now[0]) as progress:
        for tenth in range(1, 101):
            now[0] = tenth / 10
            progress.reach(tenth * 2_000_000)
            if tenth < 8:
                assert progress_words() == ""
        assert progress_words() == "reading a.csv: 200 MB of 200 MB"
    assert progress_words() == ""
    assert lines == ["reading a.csv: 16 MB of 200 MB", "reading a.csv: 116 MB of 200 MB"]


def test_a_short_reading_is_not_mentioned(lines: list[str]) -> None:
    with ReadProgress("a.csv", 10, lambda: 0.0) as progress:
        progress.reach(10)
    assert lines == []


def test_the_words_end_with_the_reading(lines: list[str]) -> None:
    now = [0.0]

    def fail(progress: ReadProgress) -> None:
        with progress:
            now[0] = 2.0
            progress.reach(5)
            raise KeyError

    with pytest.raises(KeyError):
        fail(ReadProgress("a.csv", 10, lambda: now[0]))
    assert len(lines) == 1
    assert progress_words() == ""
