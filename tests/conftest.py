"""What all tests share: threads of torch that sleep while they wait, as in the program."""

from __future__ import annotations

import os

# Read when torch is loaded. On a busy machine waiting in a loop takes minutes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
