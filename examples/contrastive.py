"""A recipe that learns from pairs of views without a target, with a built-in model.

tui-trainer train examples/contrastive.yaml --plugin examples/contrastive.py
"""

import torch
from torch.nn.functional import cross_entropy, normalize

from tui_trainer.plugins import Data, dataset, recipe, setting


class Views(torch.utils.data.Dataset):
    """Squares at random places; the two views of a sample differ in noise and brightness."""

    def __len__(self):
        return 400

    def __getitem__(self, index):
        picture = torch.zeros(1, 12, 12)
        row, column = index % 8, index // 8 % 8
        picture[:, row : row + 4, column : column + 4] = 1
        views = [picture * (0.5 + torch.rand(1)) + 0.2 * torch.randn(1, 12, 12) for _ in range(2)]
        return {"a": views[0], "b": views[1]}


@dataset("views", description="two views of each of 400 pictures")
def views(params):
    return Data(Views())


@recipe("simclr", problem="none")
class SimClr:
    """Contrastive pairs (Chen et al., arXiv:2002.05709)."""

    temperature: float = setting(0.1, "lower is stricter", gt=0, live=True)

    def compute_loss(self, model, batch, step):
        z = normalize(model(torch.cat([batch["a"], batch["b"]])), dim=1)
        likeness = (z @ z.T / self.temperature).fill_diagonal_(-torch.inf)
        partner = torch.arange(len(z), device=z.device).roll(len(z) // 2)
        loss = cross_entropy(likeness, partner)
        found = (likeness.argmax(1) == partner).float().mean()
        return {"loss": loss, "found": found}
