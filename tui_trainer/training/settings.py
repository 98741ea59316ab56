"""Settings of the process that a training needs: threads, deterministic algorithms.

Layer: training. Made in the trainer's own thread, because OpenMP keeps the number of threads for
each calling thread; undone at the end, so that one process can run one training after another.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tui_trainer.config.sections.training import TrainingSection


@contextmanager
def process_settings(training: TrainingSection) -> Iterator[None]:
    """Bring threads and determinism into force for a training."""
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    tf32 = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    if training.threads is not None:
        torch.set_num_threads(training.threads)
    if training.deterministic:
        # cuBLAS reads this when a context makes its first handle.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    # Off for fp32 as well: cuDNN would use it unasked.
    torch.backends.cuda.matmul.allow_tf32 = training.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = training.precision == "tf32"
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.benchmark = benchmark
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = tf32
