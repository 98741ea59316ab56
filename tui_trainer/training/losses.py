"""Losses: functions (outputs, batch) -> mean over the samples of the batch.

Layer: training. The mean is over samples even with class weights, unlike torch's, so that
micro-batches weighted by their sizes add up to exactly the mean over the whole group. Outputs are
(B, K), and targets are classes (B,) or numbers (B, 1). At each step they are (B, T, K) and (B, T),
and at each pixel (B, K, H, W) and (B, H, W); the mean is then over steps or pixels. `IGNORED`
targets do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from tui_trainer.config.plugin_loader import LOSS_FACTORIES
from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.config.sections.losses import LOSSES as SPECS
from tui_trainer.config.sections.losses import (
    MODEL_LOSS,
    AutoLossSection,
    BinaryCrossEntropySection,
    CrossEntropySection,
    DiceSection,
    FocalSection,
    HuberSection,
    L1Section,
    WeightedSection,
)
from tui_trainer.config.sections.section import TypedSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.problems.batch import IGNORED
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import ConfigError, Problem
from tui_trainer.training.loss_gradients import LossGradient, of_cross_entropy
from tui_trainer.training.own_losses import Loss, ModelLoss, OwnLoss

TargetLoss = Callable[[Tensor, Tensor], Tensor]
"""Returns the mean loss, given the outputs of the model and the targets alone."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """The loss to train with, and the same loss without label smoothing to measure with."""

    train: Loss
    measure: Loss
    gradient: LossGradient | None = None
    """`train` with its gradient, where there is a quicker way to both than autograd."""

    def use(self, section: TypedSection) -> None:
        """Use edited settings from the next batch on; only losses of plugins can be edited."""
        for loss in (self.train, self.measure):
            if isinstance(loss, OwnLoss):
                loss.use(section)

    @staticmethod
    def of_targets(
        train: TargetLoss, measure: TargetLoss | None = None, gradient: LossGradient | None = None
    ) -> Criterion:
        """Make a criterion of losses that read nothing but the targets of a batch."""
        return Criterion(_of_targets(train), _of_targets(measure or train), gradient)

    def with_classes_last(self) -> Criterion:
        """Return the same for outputs (B, K, H, W); the losses get them as (B, H, W, K).

        Those of torch for images have no deterministic form on CUDA.
        """
        return Criterion(_with_classes_last(self.train), _with_classes_last(self.measure))


def _with_classes_last(loss: Loss) -> Loss:
    return lambda outputs, batch: loss(outputs.movedim(1, -1), batch)


def _of_targets(loss: TargetLoss) -> Loss:
    return lambda outputs, batch: loss(outputs, batch["target"])


def build_criterion(
    section: TypedSection, dataset: Dataset, device: torch.device, own_model: str = ""
) -> Criterion:
    """Build the loss of a section for a dataset.

    Args:
        own_model: the place and name of a model of the user's, which may compute the loss itself.

    Raises:
        ConfigError: the loss and the dataset do not fit each other.
    """
    fitting = [name for name in PROBLEMS[dataset.problem].losses if _has_its_classes(name, dataset)]
    if isinstance(section, AutoLossSection):
        spec = SPECS.find(fitting[0])
        assert spec is not None, "a test keeps the names of losses and specs equal"
        section = spec.params.model_validate({"type": spec.name})
    if section.type == MODEL_LOSS:
        if not own_model:
            raise _misfit(
                "the loss that a model of a plugin returns, and this model is built in; use "
                f"loss={' or '.join(fitting)}"
            )
        returned = ModelLoss(own_model)
        return Criterion(returned, returned)
    if section.type not in fitting:
        raise _misfit(_why_no_loss(section.type, fitting, dataset))
    if section.type in LOSS_FACTORIES:
        own = OwnLoss(LOSS_FACTORIES[section.type], section)
        return Criterion(own, own)
    criterion = LOSSES[section.type](section, dataset, device)
    return criterion.with_classes_last() if dataset.signature.places == "pixel" else criterion


def _has_its_classes(loss: str, dataset: Dataset) -> bool:
    needs_two = loss == "binary_cross_entropy" and dataset.base == "classification"
    return dataset.outputs == 2 if needs_two else True


def _why_no_loss(loss: str, fitting: Sequence[str], dataset: Dataset) -> str:
    spec = PROBLEMS[dataset.problem]
    use = f"use loss={' or '.join(fitting)}"
    if loss in spec.losses:
        return f"{loss} is for two classes, and this dataset has {dataset.outputs}; {use}"
    doubt = f"; {dataset.doubt}" if dataset.doubt else ""
    name = spec.name.replace("_", " ")
    return f"{loss} is not a loss for {name}, which predicts {spec.description}; {use}{doubt}"


def _cross_entropy(section: TypedSection, dataset: Dataset, device: torch.device) -> Criterion:
    assert isinstance(section, CrossEntropySection)
    weights = _class_weights(section, dataset, device)

    def loss(outputs: Tensor, targets: Tensor, smooth: float) -> Tensor:
        if weights is None and (targets.ndim == 1 or targets.is_floating_point()):
            return F.cross_entropy(outputs, targets, label_smoothing=smooth)
        if targets.is_floating_point():
            # Probabilities of the classes, as mixup produces them.
            total = F.cross_entropy(
                outputs, targets, weight=weights, label_smoothing=smooth, reduction="sum"
            )
            return total / len(targets)
        total = F.cross_entropy(
            outputs.flatten(0, -2),
            targets.flatten(),
            weight=weights,
            ignore_index=IGNORED,
            label_smoothing=smooth,
            reduction="sum",
        )
        return total / _known(targets)

    smoothing = section.label_smoothing
    has_one_class = dataset.base == "classification" and dataset.signature.places == "one"
    is_simple = has_one_class and not dataset.soft_targets and weights is None and not smoothing
    return Criterion.of_targets(
        partial(loss, smooth=smoothing),
        partial(loss, smooth=0.0),
        of_cross_entropy() if is_simple else None,
    )


def _focal(section: TypedSection, dataset: Dataset, device: torch.device) -> Criterion:
    assert isinstance(section, FocalSection)
    _need_whole_classes(section, dataset)
    weights, gamma = _class_weights(section, dataset, device), section.gamma
    if dataset.base == "multilabel":
        return Criterion.of_targets(partial(_focal_of_labels, weights=weights, gamma=gamma))

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        known = targets != IGNORED
        classes = targets.where(known, 0)
        log_p = outputs.log_softmax(dim=-1).gather(-1, classes.unsqueeze(-1)).squeeze(-1)
        # Kept above zero, where the gradient of a power below 1 is infinite.
        rest = -torch.expm1(log_p).clamp(max=-torch.finfo(log_p.dtype).tiny)
        each = -log_p if gamma == 0 else -log_p * rest**gamma
        if weights is not None:
            each = each * weights[classes]
        return each.where(known, 0.0).sum() / _known(targets)

    return Criterion.of_targets(loss)


def _focal_of_labels(
    outputs: Tensor, targets: Tensor, weights: Tensor | None, gamma: float
) -> Tensor:
    """Return the mean over samples and labels of the focal loss of each label, present or not."""
    nats = F.binary_cross_entropy_with_logits(outputs, targets, reduction="none")
    # Kept above zero, where the gradient of a power below 1 is infinite.
    rest = -torch.expm1(-nats).clamp(max=-torch.finfo(nats.dtype).tiny)
    each = nats if gamma == 0 else nats * rest**gamma
    return (each if weights is None else each * weights).mean()


def _binary_cross_entropy(
    section: TypedSection, dataset: Dataset, device: torch.device
) -> Criterion:
    assert isinstance(section, BinaryCrossEntropySection)
    _need_whole_classes(section, dataset)
    is_one_class = dataset.base == "classification"
    weight = None if section.pos_weight == 1 else torch.tensor(section.pos_weight, device=device)

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        logit = outputs[:, 1] - outputs[:, 0] if is_one_class else outputs
        return F.binary_cross_entropy_with_logits(logit, targets.to(logit.dtype), pos_weight=weight)

    return Criterion.of_targets(loss)


def _dice(section: TypedSection, dataset: Dataset, device: torch.device) -> Criterion:
    assert isinstance(section, DiceSection)
    smoothing = section.smoothing

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        known = targets != IGNORED
        kept = known.unsqueeze(-1)
        shares = (outputs.softmax(dim=-1) * kept).flatten(1, -2)
        right = (F.one_hot(targets.where(known, 0), outputs.shape[-1]) * kept).flatten(1, -2)
        both = 2 * (shares * right).sum(dim=1) + smoothing
        either = shares.square().sum(dim=1) + right.sum(dim=1) + smoothing
        each = (1 - both / either).mean(dim=1)
        # A sample weighs as much as it has pixels that count, as in the mean over all pixels by
        # which batches are put together.
        return (each * known.flatten(1).sum(dim=1)).sum() / _known(targets)

    return Criterion.of_targets(loss)


def _need_whole_classes(section: TypedSection, dataset: Dataset) -> None:
    if dataset.soft_targets:
        raise _misfit(
            f"{section.type} cannot be trained on mixed classes; use loss=cross_entropy, or leave "
            "dataset.mixup empty"
        )


def _known(targets: Tensor) -> Tensor:
    """Count the targets that are not ignored; at least 1, so that a batch of none has loss 0."""
    return (targets != IGNORED).sum().clamp(min=1)


def _class_weights(
    section: WeightedSection, dataset: Dataset, device: torch.device
) -> Tensor | None:
    """Return weights of shape (classes,) or None; balanced ones average 1 over training samples."""
    given = section.class_weights
    if given == "none":
        return None
    if dataset.base == "language_modelling":
        message = "class weights do not apply to tokens; set loss.class_weights=none"
        raise ConfigError([Problem(message, "loss.class_weights")])
    if given == "balanced":
        if dataset.base == "multilabel":
            message = "labels are not balanced by class weights; give one for each as a list"
            raise ConfigError([Problem(message, "loss.class_weights")])
        if not dataset.class_counts:
            message = "class counts are unknown for this dataset; give the weights as a list"
            raise ConfigError([Problem(message, "loss.class_weights")])
        counts = torch.tensor(dataset.class_counts)
        return (counts.sum() / (dataset.outputs * counts.clamp(min=1))).float().to(device)
    if len(given) != dataset.outputs:
        shown = clean(", ".join(dataset.classes))
        message = f"{len(given)} weights for {dataset.outputs} classes: {shown}"
        raise ConfigError([Problem(message, "loss.class_weights")])
    return torch.tensor(given, device=device)


def _of_numbers(section: TypedSection, dataset: Dataset, device: torch.device) -> Criterion:
    if isinstance(section, HuberSection):
        loss: TargetLoss = partial(F.huber_loss, delta=section.delta)
    else:
        loss = F.l1_loss if isinstance(section, L1Section) else F.mse_loss
    return Criterion.of_targets(loss)


def _misfit(message: str) -> ConfigError:
    return ConfigError([Problem(message, "loss.type")])


LOSSES: dict[str, Callable[[TypedSection, Dataset, torch.device], Criterion]] = {
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": _binary_cross_entropy,
    "focal": _focal,
    "dice": _dice,
    "mse": _of_numbers,
    "l1": _of_numbers,
    "huber": _of_numbers,
}
