"""`State`: the tensors of a training, and the only code that may rebind their storage.

Layer: training. What it saves is by parameter name, in the form of torch's state_dict, whatever
the layout in memory: gradients are views of one flat buffer a dtype, so that clearing them, their
norm and clipping are one operation each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn, optim

from tui_trainer.data.base.random import GeneratorStates
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import CheckpointUnusable
from tui_trainer.training.checkpoint_data import Snapshot


class State:
    """Parameters, buffers and optimizer state of one model on one device, with the running mean
    of its weights and the loss scaler where there are any.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: optim.Optimizer,
        device: torch.device,
        *,
        average: Average | None = None,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.device = device
        self._average = average
        self._scaler = scaler
        self._names = {parameter: name for name, parameter in model.named_parameters()}
        self._trained = [p for p in model.parameters() if p.requires_grad]
        self._flat: list[Tensor] = []
        self._bind_gradients()

    @property
    def measured(self) -> nn.Module:
        """What is validated and tested: the running mean of the weights where there is one."""
        return self.model if self._average is None else self._average.model

    @property
    def scaled(self) -> bool:
        """Whether a step may be left out because its scaled gradients overflowed."""
        return self._scaler is not None

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss."""
        scaled = loss if self._scaler is None else self._scaler.scale(loss)
        scaled.backward()  # type: ignore[no-untyped-call]

    def unscale_gradients(self) -> None:
        """Undo the scaling of the loss, before a norm is taken."""
        if self._scaler is not None:
            self._scaler.unscale_(self.optimizer)

    def update(self, step: int) -> None:
        """Take the optimizer's step; `step` counts from 1."""
        if self._scaler is None:
            self.optimizer.step()
        else:
            self._scaler.step(self.optimizer)
            self._scaler.update()
        if self._average is not None:
            self._average.update(self.model, step)

    def clear_gradients(self) -> None:
        """Set every gradient to zero, before the first backward pass of a step."""
        for flat in self._flat:
            flat.zero_()

    def gradient_norm(self) -> Tensor:
        """The 2-norm over all gradients, a scalar on the device."""
        if len(self._flat) == 1:
            return _norm(self._flat[0])
        return _norm(torch.stack([_norm(flat).float() for flat in self._flat]))

    def scale_gradients(self, factor: Tensor) -> None:
        """Multiply every gradient by a scalar on the device."""
        for flat in self._flat:
            flat.mul_(factor)

    def clamp_gradients(self, limit: float) -> None:
        """Clip each gradient to [-limit, limit]."""
        for flat in self._flat:
            flat.clamp_(-limit, limit)

    def set_lr(self, lr: float) -> None:
        """The rate of the next step, times the factor of a group that has its own rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group.get("lr_factor", 1.0)

    def snapshot(self) -> Snapshot:
        """Copies on the host of all there is, which another thread can write."""
        return Snapshot(
            model=self.model_snapshot(),
            ema=None if self._average is None else _weights(self._average.model),
            scaler=None if self._scaler is None else self._scaler.state_dict(),
            optimizer=_to_host(self._named_optimizer_state()),
            rng=GeneratorStates.capture(self.device).to_dict(),
        )

    def model_snapshot(self) -> dict[str, Tensor]:
        """Copies on the host of parameters and buffers, by name."""
        return _weights(self.model)

    def not_finite(self, weights: dict[str, Tensor]) -> str:
        """The name of a parameter with NaN or infinity in it, or nothing; a buffer may have them,
        as masks do.
        """
        for name in self._names.values():
            # The sum shows both in one pass; finite numbers that overflow it are looked at again.
            if not weights[name].sum().isfinite() and not weights[name].isfinite().all():
                return name
        return ""

    def load(self, saved: Snapshot) -> None:
        """Take over what `snapshot` returned, on any device; raises CheckpointUnusable.

        Nothing is changed when the names or shapes differ. The groups and their settings stay
        those of the section in force: how parameters are grouped is no part of a checkpoint.
        """
        check_fits(self.model, saved.model)
        names = self._optimized()
        state = saved.optimizer["state"]
        numbered = {number: state[name] for number, name in enumerate(names) if name in state}
        groups = self.optimizer.state_dict()["param_groups"]
        self.load_model(saved.model)
        # The optimizer may keep the very tensors it is given, and the saved ones are not ours.
        with _loading("the state of the optimizer"):
            self.optimizer.load_state_dict({"state": _to_host(numbered), "param_groups": groups})
            self._lay_out_like_parameters()
        if self._average is not None:
            # A checkpoint from before there was a mean starts one.
            self._average.model.load_state_dict(saved.measured)
        if self._scaler is not None and saved.scaler:
            with _loading("the state of the scaler"):
                self._scaler.load_state_dict(saved.scaler)
        with _loading("the state of the random generators"):
            GeneratorStates.from_dict(saved.rng).restore(self.device)

    def load_model(self, weights: dict[str, Tensor]) -> None:
        """Take over parameters and buffers alone."""
        check_fits(self.model, weights)
        self.model.load_state_dict(weights)

    def load_measured(self, weights: dict[str, Tensor]) -> None:
        """Take over what is to be measured."""
        self.measured.load_state_dict(weights)

    def offload(self) -> int:
        """Move everything to the host; returns the bytes that the device got back."""
        if self.device.type == "cpu":
            return 0
        before = torch.cuda.memory_reserved(self.device)
        self._flat = []
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
        self._bind_gradients()

    def _move(self, device: torch.device) -> None:
        self.model.to(device)
        if self._average is not None:
            self._average.model.to(device)
        for group in self.optimizer.param_groups:
            # As torch has it: a count of steps is on the device for fused kernels only.
            stays = () if group.get("fused") or group.get("capturable") else ("step",)
            for parameter in group["params"]:
                entry = self.optimizer.state.get(parameter, {})
                for key, value in entry.items():
                    if isinstance(value, Tensor) and key not in stays:
                        entry[key] = value.to(device)

    def _bind_gradients(self) -> None:
        """Make every gradient a view of a flat buffer; backward adds into it in place."""
        self._flat = []
        by_dtype: dict[torch.dtype, list[nn.Parameter]] = {}
        for parameter in self._trained:
            by_dtype.setdefault(parameter.dtype, []).append(parameter)
        for dtype, parameters in by_dtype.items():
            sizes = [p.numel() for p in parameters]
            flat = torch.zeros(sum(sizes), dtype=dtype, device=self.device)
            for parameter, part in zip(parameters, torch.split(flat, sizes), strict=True):
                # In the order of the parameter's own memory, as fused optimizers need it.
                size, stride = parameter.size(), parameter.stride()
                parameter.grad = part.as_strided(size, stride, part.storage_offset())
            self._flat.append(flat)

    def _lay_out_like_parameters(self) -> None:
        """Bring the optimizer's tensors into the memory order of their parameters.

        A checkpoint may come from another order, and fused optimizers walk along the memory.
        """
        for parameter, entry in self.optimizer.state.items():
            for key, value in entry.items():
                if not isinstance(value, Tensor) or value.shape != parameter.shape:
                    continue
                if value.stride() != parameter.stride():
                    entry[key] = torch.empty_strided(
                        value.size(), parameter.stride(), dtype=value.dtype, device=value.device
                    ).copy_(value)

    def _optimized(self) -> list[str]:
        """Names of the parameters in the order that the optimizer numbers them: by groups."""
        groups = self.optimizer.param_groups
        return [self._names[parameter] for group in groups for parameter in group["params"]]

    def _named_optimizer_state(self) -> dict[str, Any]:
        """The optimizer's state_dict with names in the place of numbers."""
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
    """Say which part of a checkpoint is not what a run saves; other errors of torch pass."""
    try:
        yield
    except (torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointUnusable(
            f"{what} in the checkpoint cannot be loaded: {clean(str(error), 200)}"
        ) from error


def check_fits(model: nn.Module, weights: dict[str, Tensor], most: int = 5) -> None:
    """Raise CheckpointUnusable with the first differences of names and shapes, if there are any."""
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    saved = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    differences = [
        f"{clean(name, 80)}: {saved.get(name, 'missing')} in the checkpoint, "
        f"{own.get(name, 'missing')} in the model"
        for name in dict.fromkeys([*own, *saved])
        if own.get(name) != saved.get(name)
    ]
    if differences:
        more = f" (and {len(differences) - most} more)" if len(differences) > most else ""
        raise CheckpointUnusable(
            "the checkpoint is of another model: " + "; ".join(differences[:most]) + more
        )


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: _copied(tensor) for name, tensor in model.state_dict().items()}


def _norm(tensor: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(tensor)
    return norm


def _copied(tensor: Tensor) -> Tensor:
    """A copy on the host that shares nothing with the tensor."""
    return tensor.detach().to("cpu", copy=True)


def _to_host(value: Any) -> Any:
    """The same structure with every tensor copied to the host."""
    if isinstance(value, Tensor):
        return _copied(value)
    if isinstance(value, dict):
        return {key: _to_host(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return type(value)(_to_host(item) for item in value)  # type: ignore[call-arg]
    return value


# `Average`: the running mean of a model's weights, which is measured in their place.
#
# An exponential mean as in Polyak averaging, with the warm-up of the decay that Tan & Le use for
# EfficientNet: early on, min(decay, (1 + step) / (10 + step)).


class Average:
    """A second model, whose parameters follow those of the first; buffers are taken as they are."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = deepcopy(model).requires_grad_(requires_grad=False).eval()
        for module in self.model.modules():
            if isinstance(module, nn.RNNBase):
                # A copy lies in pieces, and cuDNN would put them together at every call.
                module.flatten_parameters()
        self._decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model after step `step`, counted from 1."""
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        mean, now = list(self.model.parameters()), list(model.parameters())
        torch._foreach_lerp_(_tensors(mean), _tensors(now), share)
        for ours, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            ours.copy_(theirs)


def _tensors(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [parameter.data for parameter in parameters]
