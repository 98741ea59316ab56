"""The sections without types: training, checkpoint, logging, loader, early stopping.

Layer: config. A `live` field can be edited while a run is training; the edit is recorded as part of
the run.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from tui_trainer.config.sections.metrics import EXTRA_METRICS, unknown_metric
from tui_trainer.config.sections.section import Items, Section, setting

SignalName = Literal["SIGHUP", "SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2"]


def _known_metric(name: str) -> str:
    if message := unknown_metric(name):
        raise PydanticCustomError("unknown_metric", "{message}", {"message": message})
    return name


MetricName = Annotated[str, AfterValidator(_known_metric)]
"""The name of a metric; which there are may depend on plugins."""


Arithmetic = Literal["fused", "plain"]


class TrainingSection(Section):
    """The length, steps, precision and device of a training run."""

    epochs: int | None = setting(None, "limit: passes over the data", live=True, ge=1, limit=True)
    max_steps: int | None = setting(
        None, "limit: optimizer steps", unit="steps", live=True, ge=1, lt=2**53, limit=True
    )
    max_seconds: float | None = setting(
        None, "limit: training time, pauses not counted", unit="s", live=True, gt=0, limit=True
    )
    batch_size: int = setting(64, "samples per micro-batch", unit="samples", ge=1, le=2**24)
    grad_accumulation: int = setting(1, "micro-batches per optimizer step", ge=1, le=65536)
    drop_last: bool = setting(False, "leave out an epoch's last, smaller batch")
    group_by_length: bool = setting(
        False, "batches of similarly long texts or sequences, so that little of them is padding"
    )
    seed: int = setting(0, "seed of weights, order, augmentation and dropout", ge=0, lt=2**63)
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = setting(
        "fp32",
        "number format of the forward pass; bf16 and fp16 are mixed (torch.autocast), fp16 with "
        "a loss scaler; tf32 is for GPUs, and is fp32 elsewhere",
    )
    arithmetic: Arithmetic = setting(
        "fused",
        "rounding of a step: fused takes the fewest operations; plain gives the bits of torch's "
        "default loop, its clip_grad_norm_ included",
    )
    ema_decay: float | None = setting(
        None,
        "keep a running mean of the weights with this decay, and validate it; empty: none",
        gt=0,
        lt=1,
    )
    compile: bool | Literal["step"] = setting(
        False,
        "compile the model (torch.compile), or step: one graph of forward pass, loss, backward "
        "pass and clipping; needs a C++ compiler, and does nothing for sequences of different "
        "lengths",
    )
    cuda_graphs: bool = setting(
        False,
        "on a GPU, record a whole step as one CUDA graph and replay it: for small models, whose "
        "kernels take less time than starting them; not yet run on a GPU",
    )
    gradient_checkpointing: bool = setting(
        False, "recompute each block in the backward pass, to save memory"
    )
    channels_last: bool = setting(False, "store images and kernels with channels last in memory")
    freeze: Items[str] = setting(
        (),
        "layers and parameters that are not trained, by name, such as blocks.0 or *.bias",
        limit=True,
    )
    init_from: str | None = setting(
        None,
        "run (its best checkpoint) or checkpoint file to take initial weights from; empty: none",
        path=True,
    )
    init_skip: Items[str] = setting(
        (), "layers and parameters not taken from init_from, by name, such as head"
    )
    grad_clip_norm: float | None = setting(
        None, "scale gradients down to this norm", live=True, gt=0
    )
    grad_clip_value: float | None = setting(
        None, "clip each gradient to this size", live=True, gt=0
    )
    validate_every_steps: int | None = setting(
        None, "validate every N steps; empty: after each epoch", unit="steps", live=True, ge=1
    )
    eval_batch_size: int | None = setting(
        None, "samples per batch in validation and test; empty: 4 x batch_size", ge=1, le=2**24
    )
    metrics: Items[MetricName] = setting(
        (),
        f"more metrics of classes: {', '.join(EXTRA_METRICS)}; a monitored one need not be listed",
        choices="metrics",
    )
    on_nonfinite: Literal["stop", "pause"] = setting(
        "stop", "when the loss or a gradient is NaN or infinite"
    )
    deterministic: bool = setting(
        False, "use only deterministic algorithms of torch (needed on CUDA for exact resume)"
    )
    device: str = setting(
        "auto",
        "auto, cpu, cuda or cuda:N; auto takes the GPU with the most free memory",
        pattern=r"^(auto|cpu|cuda|cuda:\d{1,3})$",
    )
    threads: int | None = setting(
        None, "threads of torch on the CPU; empty: one per core", ge=1, le=4096
    )
    on_hangup: Literal["continue", "save-and-stop"] = setting(
        "continue",
        "when the terminal is gone (SIGHUP): train on without it, or save and end with 129",
    )
    preempt_signals: Items[SignalName] = setting(
        (),
        "signals with which a scheduler preempts the run: they save and stop, as SIGTERM does",
    )
    preempt_exit_code: int | None = setting(
        None,
        "exit code after one of preempt_signals, as for a requeue; empty: 128 + signal number",
        ge=0,
        le=255,
    )


class CheckpointSection(Section):
    """When checkpoints are written, and which are kept. One is always written at the end."""

    every_steps: int | None = setting(None, "save every N steps", unit="steps", live=True, ge=1)
    every_epochs: int | None = setting(None, "save every N epochs", live=True, ge=1)
    every_seconds: float | None = setting(
        30.0, "save every N seconds of training", unit="s", live=True, gt=0
    )
    keep_last: int = setting(2, "number of newest checkpoints to keep", ge=1, le=100000)
    monitor: MetricName = setting(
        "loss", "validation metric that decides the best checkpoint", choices="metrics"
    )
    give_up_s: float = setting(
        600.0, "stop with exit code 3 when no save has succeeded for this long", unit="s", ge=0
    )


class LoggingSection(Section):
    """The intervals at which numbers are read from the device and written."""

    every_steps: int | None = setting(
        None,
        "write every N steps to metrics.jsonl; empty: every step at first, then fewer and fewer, "
        "so that the file stays small",
        unit="steps",
        ge=1,
    )
    every_seconds: float = setting(
        0.25, "interval at which losses are read and reported", unit="s", gt=0, le=60
    )


class LoaderSection(Section):
    """The loading of samples and their transfer to the device. Nothing here changes a result."""

    num_workers: int = setting(
        0,
        "processes that read samples; 0: the training process reads them itself, as it always "
        "does for texts predicted byte by byte and for iterables",
        ge=0,
        le=512,
    )
    prefetch_factor: int = setting(
        2, "batches that each worker reads ahead", unit="batches", ge=1, le=1024
    )
    persistent_workers: bool = setting(True, "keep the workers running between epochs")
    timeout_s: float = setting(
        120.0,
        "longest wait for a batch from the workers; after it the run saves and fails",
        unit="s",
        gt=0,
        le=86400,
    )
    pin_memory: Literal["auto", "always", "never"] = setting(
        "auto", "page-locked memory for batches of workers; auto: on CUDA"
    )
    start_method: Literal["forkserver", "spawn"] = setting(
        "forkserver", "how workers start; forkserver imports torch once for all of them"
    )
    device_resident: Literal["auto", "always", "never"] = setting(
        "auto",
        "keep all data on the GPU instead of copying batches; auto: if half its free memory is "
        "enough",
    )


class EarlyStoppingSection(Section):
    """When to stop because the metric of checkpoint.monitor no longer improves."""

    patience: int | None = setting(
        None,
        "validations without improvement before stopping; empty: never",
        live=True,
        ge=1,
        limit=True,
    )
    min_delta: float = setting(0.0, "smallest change that counts as better", live=True, ge=0)
    threshold: float | None = setting(
        None, "stop as soon as the monitored metric is this good", live=True, limit=True
    )
