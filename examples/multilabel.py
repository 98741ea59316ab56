"""Several labels for each sample: is a handwritten digit even, above four, prime?

tui-trainer train examples/multilabel.yaml --plugin examples/multilabel.py
"""

from importlib.resources import files

import numpy as np

from tui_trainer.plugins import Data, dataset

LABELS = {"even": {0, 2, 4, 6, 8}, "above four": {5, 6, 7, 8, 9}, "prime": {2, 3, 5, 7}}


@dataset("digit-facts", description="what is true of a handwritten digit")
def digit_facts(params):
    path = files("tui_trainer") / "data" / "builtin" / "digits.csv.gz"
    table = np.loadtxt(str(path), delimiter=",")
    digits = table[:, 64].astype(int)
    # All samples are in memory, so there is a column for each field.
    return Data(
        {
            "input": table[:, :64].reshape(-1, 1, 8, 8).astype(np.float32) / 16,
            "target": np.stack([np.isin(digits, list(those)) for those in LABELS.values()], axis=1),
        },
        classes=tuple(LABELS),
    )
