"""Small files of the package `tokenizers`, for tests."""

from __future__ import annotations

from pathlib import Path

import pytest

TEXTS = ("hello world, this is text\n", "the quick brown fox \u4e2d\u6587\n") * 5


def bpe_file(path: Path, specials: tuple[str, ...] = (), size: int = 300) -> Path:
    """Write a tokenizer of pairs of bytes; the test is skipped without the package."""
    tokenizers = pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
    from tokenizers import decoders, models, pre_tokenizers, trainers

    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.save(str(path))
    return path


def unigram_file(path: Path) -> Path:
    """Write a tokenizer with an unknown token, that marks spaces; skipped without the package."""
    tokenizers = pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
    from tokenizers import decoders, models, pre_tokenizers, trainers

    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=["<unk>", "<s>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.save(str(path))
    return path
