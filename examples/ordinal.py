"""Classes in an order: one star, two stars, ... five, where four is nearer to five than one is.

tui-trainer train examples/ordinal.yaml --plugin examples/ordinal.py
"""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from tui_trainer.plugins import Data, dataset, loss, problem, setting


@dataset("stars", description="a table of dishes, and how many stars each got")
def stars(count: int = setting(400, "how many dishes", ge=50)):
    table = torch.randn(count, 4)
    taste = table @ torch.tensor([1.0, -0.7, 0.4, 0.0]) + 0.2 * torch.randn(count)
    borders = torch.tensor([-1.2, -0.4, 0.4, 1.2])
    # Numbers are seeded from dataset.split_seed, so that a resume has the same table.
    return Data(
        {"input": table, "target": torch.bucketize(taste, borders)},
        problem="ordinal",
        classes=("1", "2", "3", "4", "5"),
    )


# The rest, such as the check of the targets, is that of classification.
@problem(
    "ordinal",
    like="classification",
    losses=("borders",),
    better={"accuracy": "higher", "places_off": "lower"},
)
class Ordinal:
    """One class for each sample, where classes have an order (McCullagh, 1980)."""

    cautious: bool = setting(False, "predict the higher class only where it is sure by 3 to 1")

    def head(self, target, info):
        return len(info.classes) - 1  # for each border between two: does it lie above?

    def levels(self, outputs):
        above = outputs.sigmoid() > (0.75 if self.cautious else 0.5)
        return above.sum(1)

    def totals(self, info, device, extras=(), *, with_result=False):
        return Errors(self.levels)

    def decode(self, outputs, info):
        return [info.classes[level] for level in self.levels(outputs).tolist()]


class Errors:
    """Adds up over the batches of a split how far predictions are off."""

    def __init__(self, levels):
        self.levels, self.count, self.right, self.off = levels, 0, 0, 0

    def update(self, outputs, batch, loss):
        error = (self.levels(outputs) - batch["target"]).abs()
        self.count += len(error)
        self.right = self.right + (error == 0).sum()
        self.off = self.off + error.sum()

    def compute(self):
        return {"accuracy": self.right / self.count, "places_off": self.off / self.count}


@loss("borders", problems=("ordinal",))
def borders(outputs, target):
    """Mean over the borders of the cross entropy of lying above."""
    places = torch.arange(outputs.shape[1], device=outputs.device)
    return binary_cross_entropy_with_logits(outputs, (target[:, None] > places).float())
