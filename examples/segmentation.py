"""A class for each pixel: does it belong to the ground, a disc or a square?

tui-trainer train examples/segmentation.yaml --plugin examples/segmentation.py
"""

import numpy as np

from tui_trainer.plugins import Data, DatasetParams, dataset, setting

SIDE = 32


class Params(DatasetParams):
    count: int = setting(300, "how many pictures", ge=20)


# The settings of random flips, shifts and so on are added; masks are turned with their pictures.
@dataset("shapes", description="discs and squares on noise", params=Params, augment="images")
def shapes(params):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    masks = np.zeros((params.count, SIDE, SIDE), dtype=np.int64)
    for mask in masks:
        # Seeded from dataset.split_seed before this function is called.
        for label in np.random.permutation([1, 2]):
            down, right = (abs(axis - np.random.randint(5, 27)) for axis in (rows, columns))
            distance = np.hypot(down, right) if label == 1 else np.maximum(down, right)
            mask[distance <= np.random.randint(3, 7)] = label
    # Discs and squares are equally bright, so only their form tells them apart.
    images = (masks > 0) + np.random.normal(0, 0.5, masks.shape)
    return Data({"input": images[:, None], "target": masks}, classes=("ground", "disc", "square"))
