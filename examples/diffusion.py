"""A recipe whose loss calls the model with noisy inputs: denoising diffusion.

tui-trainer train examples/diffusion.yaml --plugin examples/diffusion.py
"""

import torch
from torch import nn
from torch.nn.functional import mse_loss

from tui_trainer.plugins import ModelParams, model, recipe, setting


class Params(ModelParams):
    width: int = setting(32, "channels of the hidden layers", unit="channels", ge=1)


class Denoiser(nn.Module):
    """Guesses the noise in pictures (B, C, H, W), given how noisy they are."""

    def __init__(self, channels, width):
        super().__init__()
        self.into = nn.Conv2d(channels + 1, width, 3, padding=1)
        self.middle = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, x, t):
        level = t.view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
        hidden = torch.relu(self.into(torch.cat([x, level], 1)))
        return self.out(torch.relu(self.middle(hidden)) + hidden)


@model("denoiser", description="three convolutions that see the level of noise", params=Params)
def denoiser(params, signature):
    return Denoiser(signature.input_shape[0], params.width)


@recipe("ddpm", problem="none")
class Ddpm:
    """Denoising diffusion (Ho et al., arXiv:2006.11239)."""

    noise_steps: int = setting(100, "steps from a picture to noise", ge=2)

    def setup(self, data, device):
        self.shape = data.signature.input_shape
        self.beta = torch.linspace(1e-3, 0.1, self.noise_steps, device=device)
        self.kept = torch.cumprod(1 - self.beta, 0)

    def compute_loss(self, model, batch, step):
        x = batch["input"]
        t, noise = step.randint(self.noise_steps, (len(x),)), step.randn(*x.shape)
        kept = self.kept[t].view(-1, 1, 1, 1)
        return mse_loss(model(kept.sqrt() * x + (1 - kept).sqrt() * noise, self.level(t)), noise)

    def level(self, t):
        return t / self.noise_steps

    def preview(self, model, step):
        x = step.randn(16, *self.shape)
        for t in reversed(range(self.noise_steps)):
            beta, kept = self.beta[t], self.kept[t]
            guess = model(x, self.level(torch.full((16,), t, device=x.device)))
            x = (x - beta / (1 - kept).sqrt() * guess) / (1 - beta).sqrt()
            x = x + beta.sqrt() * step.randn(*x.shape) if t else x
        return (x - x.amin()) / (x.amax() - x.amin())
