"""The training itself: task, loop, state, checkpoints. The only torch besides data and models."""
