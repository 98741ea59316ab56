"""`OwnRecipe`: the recipe of a plugin, made for the data and the model of one task.

Layer: training. A recipe keeps its state in the model, which checkpoints hold; its own attributes
are settings and helpers, and cannot be set once it is made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tui_trainer.config.plugin_loader import RECIPE_FACTORIES
from tui_trainer.config.sections.metrics import Direction
from tui_trainer.config.sections.section import TypedSection, values_of
from tui_trainer.config.settled_objects import guarded, use_settings
from tui_trainer.config.user_code import describe_error_near, place_of
from tui_trainer.problems.batch import Batch, describe
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.own_predictions import predictions_of
from tui_trainer.problems.problem import Prediction
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.training.step_context import StepContext

WHOLE = "model"
"""The part of a model that is not divided."""

Numbers = dict[str, Tensor]

_ADVICE = (
    "{name!r} of a recipe cannot be set after setup, because checkpoints would not have it: keep "
    "it in a buffer of the model, register_buffer({name!r}, ...)"
)


class OwnRecipe:
    """A recipe of the user's, ready for a model on its device."""

    def __init__(
        self, section: TypedSection, info: DatasetInfo, model: nn.Module, device: torch.device
    ) -> None:
        """Make the recipe and let it set itself up.

        Raises:
            BadInput: its code fails, or its parts are not those of the model.
        """
        spec = RECIPE_FACTORIES[section.type]
        self.name = section.type
        self.better: dict[str, Direction] = dict(spec.better)
        """The direction in which numbers of its `validation_step` are better, by name."""
        self._class = spec.made_by
        try:
            self._self = guarded(spec.made_by, _ADVICE)()
            self.use(section)
            if hasattr(self._self, "setup"):
                self._self.setup(info, device)
        except Exception as error:
            raise BadInput(self.describe(error)) from error
        _settle(self._self, device)
        self.helpers = _sum_of(self._self)
        """The sum of the modules and tensors that `setup` made; empty if there are none."""
        self.parts: dict[str, nn.Module] = self._parts_of(model)
        """The parts of the model that it updates, by name; one if it has a loss for the whole."""
        self._self._is_made = True

    def use(self, section: TypedSection) -> None:
        """Use other settings from the next step on."""
        use_settings(self._self, values_of(section))

    @property
    def takes_steps(self) -> bool:
        """Whether it takes whole steps, and does not just return a loss."""
        return hasattr(self._self, "training_step")

    @property
    def has_preview(self) -> bool:
        return hasattr(self._self, "preview")

    @property
    def validates(self) -> bool:
        """Whether it says itself what is measured."""
        return hasattr(self._self, "validation_step")

    @property
    def place(self) -> str:
        """The file and line of its class."""
        return clean(place_of(self._class), 300)

    def describe(self, error: Exception) -> str:
        """Describe an error of its code, with the line."""
        return describe_error_near(error, self.place)

    def loss(self, model: nn.Module, batch: Batch, step: StepContext) -> tuple[Tensor, Numbers]:
        """Return the loss of a micro-batch, and the other numbers that are recorded with it."""
        returned = self._self.compute_loss(model, batch, step)
        if isinstance(returned, Tensor) and not returned.dim():
            # What most return; the checks below would take a few microseconds in each step.
            return returned, {}
        numbers = self._numbers(returned, "compute_loss")
        if "loss" not in numbers:
            raise BadInput(f"{self.place}: compute_loss of {self.name} returned no 'loss'")
        return numbers.pop("loss"), numbers

    def training_step(self, model: nn.Module, batch: Batch, step: StepContext) -> Numbers:
        """Take a step; returns the numbers to record, without gradients."""
        returned = self._self.training_step(model, batch, step)
        numbers = self._numbers(returned, "training_step")
        if not numbers:
            raise BadInput(
                f"{self.place}: training_step of {self.name} returned no number; return what is to "
                "be recorded, as {'critic': loss}"
            )
        return {name: number.detach() for name, number in numbers.items()}

    def validation_step(self, model: nn.Module, batch: Batch, step: StepContext) -> Numbers:
        """Return the numbers of a batch: (B,), one per sample, or means over the batch."""
        if self.validates:
            returned = self._self.validation_step(model, batch, step)
            return self._numbers(returned, "validation_step", count=samples_in(batch))
        if self.takes_steps:
            return {}
        loss, others = self.loss(model, batch, step)
        return {"loss": loss, **others}

    def preview(self, model: nn.Module, step: StepContext) -> Any:
        return self._self.preview(model, step)

    @property
    def predicts(self) -> bool:
        """Whether it says itself what is predicted."""
        return hasattr(self._self, "predict_step")

    def predict_step(self, model: nn.Module, batch: Batch, step: StepContext) -> list[Prediction]:
        """Return a prediction for each sample of a batch.

        Raises:
            BadInput: there are more or fewer, or one is nothing that can be shown.
        """
        returned = self._self.predict_step(model, batch, step)
        subject = f"{self.place}: predict_step of {self.name}"
        return predictions_of(returned, samples_in(batch), subject)

    def check_factors(self) -> None:
        """Raise BadInput for factors of parts that there are none of."""
        if hasattr(self._self, "lr_factors") and not self.takes_steps:
            raise BadInput(
                f"{self.place}: lr_factors of {self.name} is for the parts that a training_step "
                "updates, and compute_loss has none; leave it out"
            )

    def lr_factors(self) -> dict[str, float]:
        """Return the factor of the learning rate of each part."""
        given = self._self.lr_factors() if hasattr(self._self, "lr_factors") else {}
        if unknown := [name for name in given if name not in self.parts]:
            raise BadInput(
                f"{self.place}: lr_factors of {self.name} has {clean(str(unknown[0]), 80)!r}, and "
                f"its parts are {', '.join(self.parts)}"
            )
        return {name: float(given.get(name, 1.0)) for name in self.parts}

    def _numbers(self, returned: Any, method: str, count: int | None = None) -> Numbers:
        """Check what a method returned; with a `count`, numbers per sample are allowed too."""
        given = returned if isinstance(returned, Mapping) else {"loss": returned}
        shapes: Sequence[tuple[int, ...]] = [()] if count is None else [(), (count,)]
        numbers: Numbers = {}
        for name, value in given.items():
            number = value
            if isinstance(value, int | float):
                number = torch.tensor(float(value))
            if not isinstance(number, Tensor) or tuple(number.shape) not in shapes:
                found = (
                    describe(number) if isinstance(number, Tensor) else f"a {type(value).__name__}"
                )
                allowed = "a number" if count is None else f"a number, or one per sample ({count},)"
                raise BadInput(
                    f"{self.place}: {method} of {self.name} returned {found} as "
                    f"{clean(str(name), 80)!r}; it should be {allowed}"
                )
            numbers[str(name)] = number
        return numbers

    def _parts_of(self, model: nn.Module) -> dict[str, nn.Module]:
        """Return the parts by name; every trained parameter belongs to exactly one."""
        names = tuple(getattr(self._class, "parts", ()))
        if not names:
            return {WHOLE: model}
        children = dict(model.named_children())
        if missing := [name for name in names if name not in children]:
            raise BadInput(
                f"{self.place}: the model has no part {missing[0]!r} for the recipe {self.name}; "
                f"its children are {clean(', '.join(children), 200) or 'none'}"
            )
        owners: dict[nn.Parameter, list[str]] = {}
        for name in names:
            for parameter in children[name].parameters():
                owners.setdefault(parameter, []).append(name)
        for name, parameter in model.named_parameters():
            of = owners.get(parameter, [])
            if parameter.requires_grad and len(of) != 1:
                belongs = f"to {' and '.join(of)}" if of else "to none"
                raise BadInput(
                    f"{self.place}: {clean(name, 120)} belongs {belongs} of the parts "
                    f"{', '.join(names)} of the recipe {self.name}; each trained parameter belongs "
                    "to exactly one (training.freeze=[NAME] leaves it as it is)"
                )
        return {name: children[name] for name in names}


def samples_in(batch: Batch) -> int:
    """Return the number of samples of a batch."""
    return len(next(iter(batch.values())))


def _settle(made: Any, device: torch.device) -> None:
    """Move what `setup` made to the device; modules are frozen and in evaluation mode."""
    for name, value in list(vars(made).items()):
        if isinstance(value, nn.Module):
            value.to(device).eval().requires_grad_(requires_grad=False)
        elif isinstance(value, Tensor):
            object.__setattr__(made, name, value.to(device))


def _sum_of(made: Any) -> str:
    digest, found = hashlib.sha256(), False
    for name, value in sorted(vars(made).items()):
        tensors = value.state_dict() if isinstance(value, nn.Module) else {"": value}
        for key, tensor in tensors.items():
            if isinstance(tensor, Tensor):
                found = True
                digest.update(f"{name} {key} {tensor.dtype} {tuple(tensor.shape)}".encode())
                bare = tensor.detach().cpu().contiguous().reshape(-1)
                digest.update(bare.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16] if found else ""


def check_settings(recipe: OwnRecipe, training: Any, optimizer: str) -> None:
    """Raise ConfigError for settings that a recipe cannot be trained with."""
    problems: list[Problem] = []
    if training.compile:
        message = f"compiles the supervised step, and not the recipe {recipe.name}; set false"
        problems.append(Problem(message, "training.compile"))
    if training.cuda_graphs:
        message = f"records the supervised step, and not the recipe {recipe.name}; set false"
        problems.append(Problem(message, "training.cuda_graphs"))
    if recipe.takes_steps:
        own = f"the recipe {recipe.name} takes whole steps (training_step)"
        if training.grad_accumulation > 1:
            problems.append(Problem(f"{own}; set 1", "training.grad_accumulation"))
        if training.precision == "fp16":
            problems.append(Problem(f"{own}, which have no loss scaler", "training.precision"))
    if len(recipe.parts) > 1 and optimizer == "muon":
        problems.append(Problem("has no form for the parts of a recipe", "optimizer.type"))
    if problems:
        raise ConfigError(problems)
