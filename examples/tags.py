"""A tag for each word of a sentence, where some words may be a noun, a verb or an adjective.

tui-trainer train examples/tags.yaml --plugin examples/tags.py
"""

import random

import numpy as np

from tui_trainer.plugins import Data, DatasetParams, dataset, setting

WORDS = {
    "determiner": ("the", "a", "every"),
    "adjective": ("light", "clean", "open", "old"),
    "noun": ("light", "open", "walk", "saw", "door"),
    "verb": ("light", "clean", "open", "walk", "saw"),
}
TAGS = tuple(WORDS)
VOCABULARY = sorted({word for words in WORDS.values() for word in words})
LONGEST = 9


class Params(DatasetParams):
    count: int = setting(600, "how many sentences", ge=20)


@dataset("sentences", description="words with their part of speech", params=Params)
def sentences(params):
    words = np.zeros((params.count, LONGEST), dtype=np.int64)
    tags = np.full_like(words, -100)  # Not measured: the rest of a shorter sentence.
    for row in range(params.count):
        # Seeded from dataset.split_seed before this function is called.
        things = [["determiner", *["adjective"] * random.randrange(3), "noun"] for _ in range(2)]
        for place, tag in enumerate([*things[0], "verb", *things[1]]):
            words[row, place] = 1 + VOCABULARY.index(random.choice(WORDS[tag]))
            tags[row, place] = TAGS.index(tag)
    return Data({"input": words, "target": tags}, classes=TAGS, vocabulary=1 + len(VOCABULARY))
