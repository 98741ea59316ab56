"""A recipe with two parts: a generator draws digits that a critic takes for real ones.

tui-trainer train examples/gan.yaml --plugin examples/gan.py
"""

from torch import nn
from torch.nn.functional import softplus

from tui_trainer.plugins import ModelParams, model, recipe, setting


class Params(ModelParams):
    width: int = setting(128, "units of the hidden layers", unit="units", ge=1)
    latent: int = setting(32, "numbers that the generator starts from", ge=1)


@model("gan-pair", description="a generator and a critic of small pictures", params=Params)
def gan_pair(params, signature):
    channels, height, width = signature.input_shape
    size = channels * height * width
    generator = nn.Sequential(
        nn.Linear(params.latent, params.width),
        nn.ReLU(),
        nn.Linear(params.width, size),
        nn.Unflatten(1, (channels, height, width)),
    )
    critic = nn.Sequential(
        nn.Flatten(), nn.Linear(size, params.width), nn.LeakyReLU(0.2), nn.Linear(params.width, 1)
    )
    return nn.ModuleDict({"generator": generator, "critic": critic})


@recipe("gan", problem="none", better={"critic_gap": "lower"})
class Gan:
    """Non-saturating GAN (Goodfellow et al., arXiv:1406.2661)."""

    parts = ("generator", "critic")
    critic_lr: float = setting(1.0, "times optimizer.lr", gt=0, live=True)

    def lr_factors(self):
        return {"critic": self.critic_lr}

    def drawn(self, model, count, step):
        return model["generator"](step.randn(count, model["generator"][0].in_features))

    def training_step(self, model, batch, step):
        real = batch["input"]
        fake = self.drawn(model, len(real), step)
        critic = model["critic"]
        critic_loss = softplus(-critic(real)).mean() + softplus(critic(fake.detach())).mean()
        step.update("critic", critic_loss)
        generator_loss = softplus(-critic(fake)).mean()
        step.update("generator", generator_loss)
        return {"critic": critic_loss, "generator": generator_loss}

    def validation_step(self, model, batch, step):
        fake = self.drawn(model, len(batch["input"]), step)
        return {"critic_gap": (model["critic"](batch["input"]) - model["critic"](fake)).flatten()}

    def preview(self, model, step):
        pictures = self.drawn(model, 16, step)
        return (pictures - pictures.amin()) / (pictures.amax() - pictures.amin())
