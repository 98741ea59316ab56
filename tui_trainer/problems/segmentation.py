"""Segmentation: a class for each pixel of an image.

Layer: problems. Outputs are logits (B, K, H, W), and targets are classes (B, H, W); one that is
IGNORED is not measured.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tui_trainer.config.problem_specs import ProblemName
from tui_trainer.problems.batch import describe
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.place_totals import PlaceProblem, count_classes
from tui_trainer.problems.problem import Prediction, SampleMismatch
from tui_trainer.problems.targets import check_is_whole, check_places, without_ignored


class Segmentation(PlaceProblem):
    """A class for each pixel; implements `ProblemKind`."""

    name: ProblemName = "segmentation"

    def check(self, targets: Tensor, inputs: Tensor, info: DatasetInfo) -> Tensor:
        check_is_whole(targets)
        targets = without_ignored(targets, info.ignore)
        if inputs.dim() != 4:
            raise SampleMismatch(
                f"a class for each pixel needs an image (C, H, W), not {describe(inputs[0])}"
            )
        height, width = inputs.shape[2:]
        if targets.shape[1:] != (height, width):
            raise SampleMismatch(
                f"the target is {describe(targets[0])} for an image of {height}x{width} pixels; "
                f"it needs one class per pixel, {height}x{width} of int64"
            )
        check_places(targets, info.signature.outputs)
        return targets

    def decode(self, outputs: Tensor, info: DatasetInfo) -> list[Prediction]:
        """Return the masks, and the classes in them with their shares of the pixels."""
        classes = info.classes
        predictions = []
        # A byte holds the classes of most data, and a file may have thousands of masks.
        for mask in outputs.argmax(dim=1).to(torch.uint8 if len(classes) <= 256 else torch.int32):
            counts = count_classes(mask.long(), len(classes)).tolist()
            order = sorted(range(len(classes)), key=lambda index: -counts[index])
            shares = {
                classes[index]: counts[index] / mask.numel() for index in order if counts[index]
            }
            predictions.append(Prediction(shares, shares, mask))
        return predictions
