"""`CurveKeeper`: keeps history.bin near the end of the files that it stands for.

Layer: sessions, in the watcher's thread. It reads the lines that the trainer wrote, so that what it
covers is what a reader finds; a file that cannot be written is tried again later.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.folder import exists, facts_of
from tui_trainer.runs.following import Follower
from tui_trainer.runs.history_file import open_recording, write_recording
from tui_trainer.runs.recording import Recording

EVERY_S = 10.0
BEHIND_BYTES = 128 * 1024
"""What a reader may have to read by itself: some milliseconds' worth."""
MOST_LINES = 2048
"""Of what came since the last time; it keeps this under a hundredth of a core."""


class CurveKeeper:
    """Looks whether history.bin is behind, and writes it anew if it is."""

    def __init__(self, run: RunDirectory, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._clock = clock
        # Of a run that begins nothing is known; what a resumed one has is read when it is due.
        begins = not exists(run.metrics)
        self._recording: Recording | None = Recording() if begins else None
        self._follower: Follower | None = Follower(run) if begins else None
        self._written_at_s = clock()

    def look(self) -> None:
        """Write the file if it is far behind, and not more often than need be."""
        now_s = self._clock()
        if now_s - self._written_at_s < EVERY_S:
            return
        self._written_at_s = now_s
        if self._behind() > BEHIND_BYTES:
            self.write()

    def write(self) -> None:
        """Bring the file up to date."""
        with suppress(OSError):
            if self._recording is None or self._follower is None:
                self._recording = open_recording(self._run)
                self._follower = self._recording.follower(self._run)
            else:
                self._recording.take(self._follower.read(MOST_LINES))
            write_recording(self._run, self._recording)

    def _behind(self) -> int:
        covered = self._recording or Recording()
        behind = 0
        for path, end in (
            (self._run.events, covered.events_bytes),
            (self._run.metrics, covered.metrics_bytes),
        ):
            facts = facts_of(path)
            behind += abs(facts.st_size - end) if facts is not None else 0
        return behind
