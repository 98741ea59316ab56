"""Errors inside a step: save what can be saved, and say what to do about the error.

Layer: training. Some errors make the CUDA context unusable. After one of them the device is not
touched again: only what is in host memory and on the disk can be kept.
"""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass

import torch

from tui_trainer.config.plugin_loader import LOSS_FACTORIES, MODEL_FACTORIES
from tui_trainer.config.user_code import describe_error_near, describe_user_error, place_of_users
from tui_trainer.runs.events import RunEnded
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import CannotWrite, ExitCode, TrainerError
from tui_trainer.training import torch_internals
from tui_trainer.training.advice import less_memory
from tui_trainer.training.graph_capture import CaptureFailed
from tui_trainer.training.recorder import Diverged
from tui_trainer.training.run_end import ended, resume_command
from tui_trainer.training.task import Task
from tui_trainer.training.training import Training

_NO_MEMORY = (
    *("DefaultCPUAllocator", "not enough memory", "can't allocate memory"),
    *("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"),
)
_CUDA_DEAD = ("CUDA error", "CUDA driver error", "device-side assert", "uncorrectable ECC")
_COMPILER = ("torch._dynamo.", "torch._inductor.")
_PLACE = re.compile(r'File "(.+?)", line (\d+)')
_NO_DETERMINISTIC = "does not have a deterministic implementation"


@dataclass(frozen=True, slots=True)
class Fault:
    """An error that we can explain, and advice on what to do about it."""

    what: str
    advice: str
    device_is_lost: bool = False


def known(error: Exception, task: Task) -> Fault | None:
    """Return the explanation of an error of torch, or None if there is nothing a user could do."""
    text = str(error)
    first = clean(text.split("\n", 1)[0], 200)
    if isinstance(error, CaptureFailed):
        return Fault(
            f"the step cannot be recorded as a CUDA graph: {first}",
            "resume with training.cuda_graphs=false; a model that reads a number of the device, as "
            "`.item()` does, or that copies one to it, cannot be recorded",
        )
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        mark in text for mark in _NO_MEMORY
    ):
        return Fault(
            f"out of memory: {first}" if first else "out of memory",
            less_memory(task.experiment, task.model, stateful=task.forward.stateful),
        )
    if isinstance(error, torch.AcceleratorError) or any(mark in text for mark in _CUDA_DEAD):
        return Fault(
            f"the GPU failed: {first}",
            "resume on another device, for example with training.device=cpu; nvidia-smi and the "
            "kernel's log (Xid) say more",
            device_is_lost=True,
        )
    if type(error).__module__.startswith(_COMPILER):
        places = _PLACE.findall(text.partition("from user code:")[2])
        line = f" ({clean(places[-1][0], 200)}:{places[-1][1]})" if places else ""
        return Fault(
            f"torch.compile failed: {first}{line}",
            "start a new run with training.compile=false, or install g++ if it is missing",
        )
    if _NO_DETERMINISTIC in text:
        return Fault(first, "set training.deterministic=false, or use another model or loss")
    return None


def failed(training: Training, error: Exception) -> RunEnded:
    """Save what is intact, and end the run.

    Raises:
        Exception: the error itself, if `known` has no explanation for it.
    """
    fault = known(error, training.task)
    users = "" if fault else _user_error(training, error)
    details = "".join(traceback.format_exception(error))
    # The frames of the traceback keep the activations alive; saving needs their memory.
    traceback.clear_frames(error.__traceback__)
    told = "" if isinstance(error, CannotWrite) else _rescued(training, fault)
    if users:
        reason = f"{users}; {told}; once it is fixed, {resume_command(training)} continues"
        return ended(training, "failed", reason, ExitCode.FAILED, details=details)
    if fault is None:
        if told and not isinstance(error, TrainerError):
            training.events.note(told)
        raise error
    step = training.progress.step
    reason = f"{fault.what} in step {step + 1}; {told}; {fault.advice}"
    return ended(training, "failed", reason, ExitCode.FAILED)


def _user_error(training: Training, error: Exception) -> str:
    """Describe an error that the user's own code caused; empty if it did not."""
    if isinstance(error, TrainerError):
        return ""
    experiment = training.experiment
    made_by = MODEL_FACTORIES.get(experiment.model.type) or LOSS_FACTORIES.get(experiment.loss.type)
    if made_by is None or not _is_raised_by_torch(error):
        return describe_user_error(error)
    # As in the backward pass, where torch finds what is wrong in a forward pass.
    forward = type(training.task.model).forward
    return describe_error_near(error, place_of_users(forward, made_by))


def _is_raised_by_torch(error: Exception) -> bool:
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    name = str(frame.f_globals.get("__name__"))
    # The engine of the backward pass has no frame of its own.
    return name.partition(".")[0] == "torch" or name == torch_internals.__name__


def _rescued(training: Training, fault: Fault | None) -> str:
    """Save the last finished step if it is intact; return a text on what a resume starts from."""
    step, saver = training.progress.step, training.saver
    lost = fault is not None and fault.device_is_lost
    try:
        if lost or training.stepper.is_updating:
            # The weights are gone or half updated. The best state is whole: it is on the host.
            saver.publish_best()
        else:
            if training.task.device.type == "cuda":
                # Most likely memory ran out, and a save needs some of it.
                torch.cuda.empty_cache()
            saver.step_failed = True
            if saver.save_and_wait():
                return f"saved at step {step}"
    except (Diverged, CannotWrite, RuntimeError, MemoryError) as second:
        text = f"step {step} could not be saved: {clean(str(second), 200)}"
        training.events.note(text, "warning")
    good = read_manifests(training.run.checkpoints)
    return f"the last checkpoint is step {good[-1].step}" if good else "no checkpoint yet"
