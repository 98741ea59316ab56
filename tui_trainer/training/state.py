"""`State`: all tensors of a training, and the only code that may rebind their storage.

Layer: training. Gradients are views of one flat buffer per dtype, so that clearing them, their norm
and clipping are one operation each. With a `FlatOptimizer` the parameters and the mean of the
weights lie in such buffers too. What is saved does not depend on that layout: it is by parameter
name, in the form of torch's state_dict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.autograd.graph import increment_version

from tui_trainer.config.sections.training import Arithmetic
from tui_trainer.data.base.random import GeneratorStates
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CheckpointUnusable
from tui_trainer.training.average import Average
from tui_trainer.training.checkpoint_data import Snapshot, check_fits
from tui_trainer.training.finite_weights import first_not_finite
from tui_trainer.training.flat_buffer import FlatBuffer, flat_buffers
from tui_trainer.training.flat_optimizer import FlatOptimizer
from tui_trainer.training.frozen_layers import settle_statistics
from tui_trainer.training.gradient_norm import TotalNorm, norm_of_all
from tui_trainer.training.host_copies import copied_at_once, copies_from, to_host
from tui_trainer.training.loss_scaler import LossScaler
from tui_trainer.training.optimizers import AnyOptimizer, lay_out_like_parameters, using_groups
from tui_trainer.training.parameter_groups import freeze_param_groups
from tui_trainer.training.torch_internals import run_backward


class State:
    """Parameters, buffers and optimizer state of one model on one device.

    The running mean of the weights and the loss scaler belong to it, if the training has them.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: AnyOptimizer,
        device: torch.device,
        *,
        average: Average | None = None,
        scaler: LossScaler | None = None,
        parts: Mapping[str, nn.Module] | None = None,
        arithmetic: Arithmetic = "fused",
    ) -> None:
        """Take the tensors over; `parts` of the model can be updated by themselves, by name.

        `arithmetic` is that of the gradient norm; `plain`: the norm of the norms of all parameters,
        as torch's clip_grad_norm_ computes it.
        """
        self.model = model
        self.optimizer = optimizer
        self.device = device
        self._average = average
        self._scaler = scaler
        self._names = {parameter: name for name, parameter in model.named_parameters()}
        self._parts = {"": model} if parts is None else dict(parts)
        self._arithmetic = arithmetic
        self._host = copies_from(device)
        self.on_offload: list[Callable[[], None]] = []
        """Called before the tensors are moved off the device, for those who know their places."""
        self._frozen: frozenset[int] | None = None
        """The `optimizer.groups` that are frozen now; None: that was never said."""
        self.trains = True
        """Whether any parameter is trained now; read it only."""
        self._gradients: dict[str, list[Tensor]] = {}
        """The gradients of the parameters that are trained now, by part."""
        self._norms: dict[str, TotalNorm] = {}
        self._buffers: dict[str, list[FlatBuffer]] = {}
        self._updated: frozenset[str] = frozenset()
        """The names of the parameters that nothing changes but an update."""
        self._bind()
        if isinstance(optimizer, FlatOptimizer):
            optimizer.use(self._buffers)

    @property
    def measured(self) -> nn.Module:
        """The model that is validated and tested: the mean of the weights if there is one."""
        return self.model if self._average is None else self._average.model

    @property
    def scaled(self) -> bool:
        """Whether a step may be skipped because its scaled gradients overflowed."""
        return self._scaler is not None

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss to the flat buffers."""
        if not self.trains:
            return
        scaled = loss if self._scaler is None else self._scaler.scale(loss)
        run_backward(scaled)

    def unscale_gradients(self) -> None:
        """Undo the effect of the loss scale on the gradients, before their norm is taken."""
        if self._scaler is not None and self.trains:
            self._scaler.unscale(self.optimizer)

    def update(self, step: int) -> None:
        """Take the optimizer's step, and move the running mean; `step` counts from 1."""
        self.let_change()
        self.step_optimizer()
        self.average(step)

    def let_change(self) -> None:
        """Make sure, without waiting, that what is being copied to the host may be changed."""
        self._host.let_change()

    def step_optimizer(self) -> None:
        """Take the optimizer's step alone."""
        if self._frozen and isinstance(self.optimizer, optim.Optimizer):
            # Those of plugins may not pass over a parameter without a gradient.
            with using_groups(self.optimizer, lambda group: not group["frozen"]):
                self._update()
        else:
            self._update()

    def _update(self) -> None:
        if self._scaler is None:
            self.optimizer.step()
        elif self.trains:
            self._scaler.step(self.optimizer)

    def update_part(self, part: str) -> None:
        """Take the optimizer's step for one part of the model."""
        self.let_change()
        optimizer = self.optimizer
        if isinstance(optimizer, FlatOptimizer):
            optimizer.step(part)
            # Torch then refuses a backward pass through the old values, which are gone.
            increment_version(
                [p for buffer in self._buffers[part] for p in buffer.parameters if p.requires_grad]
            )
        else:
            is_one = len(self._parts) == 1
            with using_groups(
                optimizer,
                lambda group: (is_one or group["part"] == part) and not group.get("frozen"),
            ):
                optimizer.step()

    def average(self, step: int) -> None:
        """Move the running mean of the weights, if there is one, after step `step`."""
        if self._average is not None:
            self._average.update(step)

    def parameters_of(self, part: str) -> list[nn.Parameter]:
        """Return the parameters that are trained now of a part; BadInput: there is no such part."""
        if part not in self._parts:
            known = ", ".join(map(repr, self._parts))
            raise BadInput(f"step.update: no part {clean(repr(part), 80)}; available: {known}")
        return [p for p in self._parts[part].parameters() if p.requires_grad]

    def gradients(self, part: str = "") -> list[Tensor]:
        """Return the gradients of `trained`; another list once these are others, or were moved."""
        return self._gradients[part]

    def trained(self, part: str = "") -> dict[str, nn.Parameter]:
        """Return the parameters of a part that are trained now, by name."""
        parameters = (p for buffer in self._buffers[part] for p in buffer.parameters)
        return {self._names[p]: p for p in parameters if p.requires_grad}

    def take_skipped(self) -> int:
        """Return how many steps were skipped since the last call: 0 or 1, if asked every step."""
        return 0 if self._scaler is None else self._scaler.take_skipped()

    def clear_gradients(self, part: str = "") -> None:
        """Set the gradients of a part to zero, before the first backward pass of a step.

        Torch's `zero_grad` would set them to None, and so drop the views of the flat buffers.
        """
        for buffer in self._buffers[part]:
            buffer.gradients.zero_()

    def gradient_norm(self, part: str = "") -> Tensor:
        """Return the 2-norm over all gradients of a part, a scalar on the device."""
        if self._arithmetic == "plain" and self._gradients[part]:
            return self._norms[part]()
        return norm_of_all([buffer.gradients for buffer in self._buffers[part]])

    def scale_gradients(self, factor: Tensor, part: str = "") -> None:
        """Multiply every gradient of a part by a scalar on the device."""
        for buffer in self._buffers[part]:
            buffer.gradients.mul_(factor)

    def clamp_gradients(self, limit: float, part: str = "") -> None:
        """Clip each gradient of a part to [-limit, limit]."""
        for buffer in self._buffers[part]:
            buffer.gradients.clamp_(-limit, limit)

    def set_lr(self, lr: float, own: Sequence[float] = ()) -> None:
        """Set the learning rate of the next step; a group with factors gets its multiple.

        `own` are the rates of `optimizer.groups`.
        """
        for group in self.optimizer.param_groups:
            rate = own[group["group"]] if own and "group" in group else lr
            group["lr"] = rate * group.get("lr_factor", 1.0) * group.get("part_factor", 1.0)

    def freeze_groups(self, numbers: frozenset[int]) -> None:
        """Leave the parameters of some of `optimizer.groups` as they are, and train all others."""
        if numbers != self._frozen:
            self._frozen = numbers
            self._settle_frozen()

    def snapshot(self) -> Snapshot:
        """Copy everything to the host; another thread can write the copies to the disk.

        From a GPU they are made while it goes on, and are there after `Snapshot.await_copies`.
        """
        host, mean = self._host, None
        model = host.copy_all(self.model.state_dict(), self._updated)
        if self._average is not None:
            # All of it changes with an update, and nothing in a forward pass.
            tensors = self._average.model.state_dict()
            mean = host.copy_all(tensors, tensors)
        scaler = None if self._scaler is None else self._scaler.state_dict()
        optimizer = to_host(self._named_optimizer_state(), host)
        rng = GeneratorStates.capture(self.device)
        return Snapshot(
            await_copies=host.finish(),
            model=model,
            ema=mean,
            scaler=scaler,
            optimizer=optimizer,
            rng=rng,
        )

    def look_at_copies(self) -> None:
        """Notice which copies have arrived on the host; never waits."""
        self._host.look()

    def not_finite(self, weights: dict[str, Tensor]) -> str:
        """Return the name of a parameter with NaN or infinity in it, or an empty string.

        `weights` are of the newest snapshot; of a GPU they may not be there yet. Buffers are not
        checked: some contain infinity on purpose, as masks do.
        """
        if self.device.type != "cuda":
            return first_not_finite({name: weights[name] for name in self._names.values()})
        return first_not_finite({name: one.detach() for one, name in self._names.items()})

    def load(self, saved: Snapshot) -> None:
        """Load what `snapshot` returned, on any device.

        The parameter groups and their settings stay those of the configuration in force: the
        grouping is not part of a checkpoint.

        Raises:
            CheckpointUnusable: names or shapes differ, and then nothing was changed; or a part has
                another form.
        """
        check_fits(self.model, saved.model)
        names = self._optimized()
        state = saved.optimizer["state"]
        numbered = {number: state[name] for number, name in enumerate(names) if name in state}
        groups = self.optimizer.state_dict()["param_groups"]
        self.load_model(saved.model)
        # The optimizer may keep the tensors it is given, so give it copies: the saved ones belong
        # to the caller.
        with _loading("the state of the optimizer"):
            own = copied_at_once(numbered)
            self.optimizer.load_state_dict({"state": own, "param_groups": groups})
            lay_out_like_parameters(self.optimizer)
        if self._average is not None:
            # If the checkpoint has no mean, this starts one from its weights.
            self._average.model.load_state_dict(saved.measured)
        if self._scaler is not None and saved.scaler:
            with _loading("the state of the scaler"):
                self._scaler.load_state_dict(saved.scaler)
        # Last, so that nothing above can draw from the restored generators.
        with _loading("the state of the random generators"):
            rng = saved.rng
            states = GeneratorStates.from_dict(rng) if isinstance(rng, dict) else rng
            states.restore(self.device)

    def load_model(self, weights: dict[str, Tensor]) -> None:
        """Load parameters and buffers only."""
        check_fits(self.model, weights)
        self.let_change()
        self.model.load_state_dict(weights)

    def load_measured(self, weights: dict[str, Tensor]) -> None:
        """Load the weights of the model that is validated and tested."""
        self.let_change()
        self.measured.load_state_dict(weights)

    def offload(self) -> int:
        """Move everything to the host; return the number of bytes released on the device."""
        if self.device.type == "cpu":
            return 0
        before = torch.cuda.memory_reserved(self.device)
        for let_go in self.on_offload:
            let_go()
        # Gradients are views of the buffers: a single one that is left would keep all the memory.
        self._buffers = {}
        for parameter in self.model.parameters():
            parameter.grad = None
        self._move(torch.device("cpu"))
        torch.cuda.empty_cache()
        return before - torch.cuda.memory_reserved(self.device)

    def restore(self) -> None:
        """Move everything back to the device after `offload`."""
        if self.device.type == "cpu":
            return
        self._move(self.device)
        self._bind()

    def _move(self, device: torch.device) -> None:
        self.model.to(device)
        if self._average is not None:
            self._average.model.to(device)
        optimizer = self.optimizer
        assert isinstance(optimizer, optim.Optimizer), "flat optimizers are for the CPU alone"
        for group in optimizer.param_groups:
            # As in torch, the step count is on the device only for fused or captured kernels.
            stays = () if group.get("fused") or group.get("capturable") else ("step",)
            for parameter in group["params"]:
                entry = optimizer.state.get(parameter, {})
                for key, value in entry.items():
                    if isinstance(value, Tensor) and key not in stays:
                        entry[key] = value.to(device)

    def _bind(self) -> None:
        """Let gradients, and what a flat optimizer updates, be views of flat buffers."""
        is_flat = isinstance(self.optimizer, FlatOptimizer)
        self._buffers = {
            part: flat_buffers(self._trained_of(part), holds_values=is_flat) for part in self._parts
        }
        trained = [p for own in self._buffers.values() for b in own for p in b.parameters]
        self._updated = frozenset(self._names[parameter] for parameter in trained)
        if self._average is not None:
            self._average.follow(self.model, [b for own in self._buffers.values() for b in own])
        self._settle_frozen()

    def _trained_of(self, part: str) -> list[nn.Parameter]:
        """Return the parameters of a part that the optimizer trains, now or later."""
        trained = {p for group in self.optimizer.param_groups for p in group["params"]}
        return [p for p in self._parts[part].parameters() if p in trained]

    def _settle_frozen(self) -> None:
        """Give gradients to the parameters that are trained now, and to no others."""
        if self._frozen is not None:
            freeze_param_groups(self.optimizer.param_groups, self._frozen)
            settle_statistics(self.model)
            if isinstance(self.optimizer, FlatOptimizer):
                self.optimizer.note_frozen()
        self._gradients = {
            part: [view for buffer in buffers for view in buffer.give_gradients()]
            for part, buffers in self._buffers.items()
        }
        self._norms = {part: TotalNorm(own) for part, own in self._gradients.items()}
        self.trains = self._frozen is None or any(self._gradients.values())

    def _optimized(self) -> list[str]:
        """Return the names of the parameters in the optimizer's order, group by group."""
        groups = self.optimizer.param_groups
        return [self._names[parameter] for group in groups for parameter in group["params"]]

    def _named_optimizer_state(self) -> dict[str, Any]:
        """Return the optimizer's state_dict with the names of parameters instead of numbers."""
        numbered = self.optimizer.state_dict()
        names = self._optimized()
        return {
            "state": {names[number]: entry for number, entry in numbered["state"].items()},
            "param_groups": [
                {**group, "params": [names[number] for number in group["params"]]}
                for group in numbered["param_groups"]
            ],
        }


@contextmanager
def _loading(what: str) -> Iterator[None]:
    """Turn an error in loading into CheckpointUnusable with the name of the part.

    Errors of the device and of its memory pass, since they say nothing about the checkpoint.
    """
    try:
        yield
    except (torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointUnusable(
            f"{what} in the checkpoint cannot be loaded: {clean(str(error), 200)}"
        ) from error
