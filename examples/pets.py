"""A picture, a text and numbers in one sample, read from files of your own: what is a pet worth?

python examples/pets.py
tui-trainer train examples/pets.yaml --plugin examples/pets.py

The first command writes the folder examples/pets, with a JSON file for each pet.
"""

import json
import random
from pathlib import Path

import torch
from torch import nn

from tui_trainer.plugins import Data, dataset, loss, metric, model, setting

WORDS = ("calm", "wild", "young", "old", "small", "large")
WORTH = {"calm": 2.0, "wild": -1.0, "young": 1.5, "old": -2.0, "small": 0.0, "large": 1.0}


@dataset("pets", description="pets with a picture, a text and numbers")
def pets(path):
    return Data(
        sorted(Path(path).glob("*.json")),
        read=read,
        target=lambda file: json.loads(file.read_text())["price"],
        collate=collate,
    )


def read(file):
    """A sample without its target, in training and for `tui-trainer predict`."""
    pet = json.loads(file.read_text())
    numbers = torch.tensor([pet["age"], pet["weight"]])
    return {"picture": torch.tensor(pet["picture"])[None], "text": pet["text"], "numbers": numbers}


def collate(samples):
    """A batch of some samples: texts become numbers of words, padded to the longest."""
    texts = [[WORDS.index(word) for word in one["text"].split()] for one in samples]
    longest = max(map(len, texts))
    batch = {
        "picture": torch.stack([one["picture"] for one in samples]),
        "words": torch.tensor([words + [0] * (longest - len(words)) for words in texts]),
        "words_lengths": torch.tensor([len(words) for words in texts]),
        "numbers": torch.stack([one["numbers"] for one in samples]),
    }
    if "target" in samples[0]:  # what is to be predicted has none
        batch["target"] = torch.tensor([one["target"] for one in samples])
    return batch


class Appraiser(nn.Module):
    """Three encoders, whose sum is read by a head."""

    def __init__(self, width):
        super().__init__()
        self.picture = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten())
        self.seen = nn.Linear(4 * 6 * 6, width)
        self.words = nn.Embedding(len(WORDS), width)
        self.numbers = nn.Linear(2, width)
        self.head = nn.Sequential(nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, 1))

    # Each parameter gets the field of its name; the mask is True where there is a word.
    def forward(self, picture, words, numbers, words_mask):
        said = (self.words(words) * words_mask.unsqueeze(2)).sum(1)
        return self.head(self.seen(self.picture(picture)) + said + self.numbers(numbers))


@model("appraiser", description="a convolution, an embedding and a layer")
def appraiser(signature, width: int = setting(32, "numbers that describe a pet", ge=1)):
    return Appraiser(width)


@loss("pinball", problems=("regression",))
def pinball(
    outputs,
    target,
    quantile: float = setting(0.5, "share of the prices below", gt=0, lt=1, live=True),
):
    """The loss whose best constant is a quantile (Koenker and Bassett, 1978)."""
    error = target - outputs
    return torch.maximum(quantile * error, (quantile - 1) * error).mean()


@metric("within_one", better="higher", problems=("regression",), percent=True)
def within_one(outputs, target):
    """Share of the pets whose price is right to one."""
    return ((outputs - target).abs() <= 1).float().squeeze(1)


def write_pets(folder, count=300):
    """Write as many pets into a folder."""
    dice = random.Random(0)
    folder.mkdir(exist_ok=True)
    for number in range(count):
        words = dice.sample(WORDS, dice.randint(1, 4))
        age, weight, spots = dice.uniform(0, 10), dice.uniform(1, 5), dice.randint(0, 8)
        bright = {*dice.sample(range(64), spots)}
        noise = [[dice.uniform(0, 0.2) for _ in range(8)] for _ in range(8)]
        pet = {
            "text": " ".join(words),
            "age": age,
            "weight": weight,
            "picture": [[value + (8 * y + x in bright) for x, value in enumerate(row)]
                        for y, row in enumerate(noise)],
            "price": 5 - 0.3 * age + weight / 2 + spots + sum(WORTH[word] for word in words),
        }  # fmt: skip
        (folder / f"{number:03}.json").write_text(json.dumps(pet))


if __name__ == "__main__":
    write_pets(Path(__file__).with_suffix(""))
