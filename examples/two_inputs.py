"""Two inputs with names: the left half of a digit as a picture, the right half as a sequence.

tui-trainer train examples/two-inputs.yaml --plugin examples/two_inputs.py
"""

from importlib.resources import files

import numpy as np
import torch
from torch import nn

from tui_trainer.plugins import Data, ModelParams, dataset, model, setting


class Halves(torch.utils.data.Dataset):
    """Samples as dicts; here a part of the rows on the right is left out at random."""

    def __init__(self, pictures, digits):
        self.pictures, self.digits = pictures, digits

    def __len__(self):
        return len(self.digits)

    def __getitem__(self, index):
        picture = self.pictures[index]
        # Seeded for each sample, so a resume draws the same.
        rows = np.random.randint(4, 9)
        return {
            "left": picture[None, :, :4],
            "right": picture[:rows, 4:],
            "target": int(self.digits[index]),
        }


@dataset("halves", description="digits as a picture and a sequence")
def halves(params):
    path = files("tui_trainer") / "data" / "builtin" / "digits.csv.gz"
    table = np.loadtxt(str(path), delimiter=",", dtype=np.float32)
    pictures = table[:, :64].reshape(-1, 8, 8) / 16
    return Data(Halves(pictures, table[:, 64]), classes=tuple("0123456789"))


class TwoHalves(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.left = nn.Sequential(nn.Flatten(), nn.Linear(32, width))
        self.right = nn.GRU(4, width, batch_first=True)
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(2 * width, 10))

    # Each parameter gets the field of its name; the mask is made because it is asked for.
    def forward(self, left, right, right_mask):
        states, _ = self.right(right)
        last = right_mask.sum(1) - 1
        of_right = states[torch.arange(len(states), device=states.device), last]
        return self.head(torch.cat([self.left(left), of_right], dim=1))


class Params(ModelParams):
    width: int = setting(64, "hidden units of each half", unit="units", ge=1)


@model("two-halves", description="a layer and a GRU", params=Params)
def two_halves(params, signature):
    return TwoHalves(params.width)
