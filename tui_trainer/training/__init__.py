"""The training: task, loop, state, checkpoints. Besides data and models, all torch code is here."""
