"""A recipe with a teacher: a small model learns from the outputs of another run's model.

tui-trainer train digits-cnn --name teacher
tui-trainer train digits-mlp --plugin examples/distillation.py recipe=distil recipe.teacher=teacher
"""

import torch
from torch.nn.functional import cross_entropy, kl_div

import tui_trainer as tt
from tui_trainer.plugins import recipe, setting


@recipe("distil")
class Distil:
    """Distillation (Hinton et al., arXiv:1503.02531)."""

    teacher: str = setting(..., "a run, or its folder")
    soft: float = setting(0.7, "weight of the teacher", ge=0, le=1, live=True)
    temperature: float = setting(4.0, "softens both", gt=0)

    def setup(self, data, device):
        self.net = tt.load_run(self.teacher).model()

    def compute_loss(self, model, batch, step):
        outputs, t = model(batch["input"]), self.temperature
        with torch.no_grad():
            wanted = (self.net(batch["input"]) / t).softmax(1)
        soft = kl_div((outputs / t).log_softmax(1), wanted, reduction="batchmean") * t * t
        hard = cross_entropy(outputs, batch["target"])
        return {"loss": self.soft * soft + (1 - self.soft) * hard, "soft": soft}
