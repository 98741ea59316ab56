"""Sections and specs of the data sets of texts.

Layer: config.
"""

from typing import Literal

from tui_trainer.config.sections.datasets import (
    MEBIBYTE,
    TOKENIZER,
    VOCABULARY,
    DatasetSection,
    Name,
    RowsSection,
)
from tui_trainer.config.sections.section import Items, Spec, setting


class TextSection(DatasetSection):
    """Text to be predicted token by token: a file, the files of a folder, or rows of a table."""

    type: Literal["text"]
    path: str = setting(
        ...,
        "file, or folder with its sub-folders; stdlib: for the source of Python's own library",
        path=True,
    )
    column: str | None = setting(
        None,
        "the column with the texts, one per row, of JSON lines, Parquet or CSV; empty: plain text",
        min_length=1,
    )
    test_fraction: float = setting(
        0.2,
        "share of the files held out for the test; of one file, its end; 0: no test",
        ge=0,
        le=0.8,
    )
    val_fraction: float = setting(
        0.15,
        "share of the remaining files used for validation; 0: none, and no best step",
        ge=0,
        le=0.8,
    )
    patterns: Items[Name] = setting(
        ("*.txt",), "which files of a folder, such as *.txt or docs/*.md", min_length=1
    )
    tokenizer: str = TOKENIZER
    vocabulary: int = VOCABULARY
    sequence_length: int = setting(
        100,
        "tokens, as bytes, per row of a batch, through which gradients flow",
        unit="tokens",
        ge=2,
        le=65536,
    )
    val_bytes: int | None = setting(
        MEBIBYTE,
        "validate on at most this much; empty: on all of it",
        unit="bytes",
        ge=1,
        limit=True,
    )
    max_file_bytes: int = setting(
        8 * MEBIBYTE,
        "larger files of a folder are left out",
        unit="bytes",
        ge=1,
        le=2**32,
        limit=True,
    )
    max_bytes: int = setting(
        256 * MEBIBYTE, "more text than this is left out", unit="bytes", ge=3, le=2**32, limit=True
    )


class TextFoldersSection(RowsSection):
    """Text files, whole or in passages; the folder a file is in is its class."""

    type: Literal["text_folders"]
    path: str = setting(
        ...,
        "folder with a sub-folder for each class; stdlib: for the source of Python's own library",
        path=True,
    )
    test_fraction: float = setting(
        0.2, "share of the files held out for the test; 0: no test", ge=0, le=0.8
    )
    val_fraction: float = setting(
        0.15,
        "share of the remaining files used for validation; 0: none, and no best step",
        ge=0,
        le=0.8,
    )
    patterns: Items[Name] = setting(
        ("*.txt",), "which files of a folder, such as *.txt or mail/*.eml", min_length=1
    )
    tokenizer: str = TOKENIZER
    vocabulary: int = VOCABULARY
    samples: Literal["passages", "files"] = setting(
        "passages", "what a sample is: a passage of a file, or the file, such as a review or a mail"
    )
    passage_lines: int = setting(20, "lines per passage", unit="lines", ge=1, le=100_000)
    max_passage_bytes: int = setting(
        1024, "the rest of a longer passage or file is cut off", unit="bytes", ge=2, le=65536
    )
    min_files: int = setting(
        10, "a class with fewer files is left out", ge=3, le=1_000_000, limit=True
    )
    max_passages_file: int = setting(
        20, "most passages taken from one file", ge=1, le=2**20, limit=True
    )
    max_passages_class: int = setting(
        500,
        "most passages, not files, taken from one class, so that none outweighs the others",
        ge=3,
        limit=True,
    )
    max_file_bytes: int = setting(
        8 * MEBIBYTE, "larger files are left out", unit="bytes", ge=1, le=2**32, limit=True
    )


class TokensSection(DatasetSection):
    """Files of token numbers for language modelling: one, or train.bin and val.bin in a folder."""

    type: Literal["tokens"]
    path: str = setting(
        ...,
        "a file of tokens, or a folder with train.bin, val.bin and, if there is one, test.bin",
        path=True,
    )
    test_fraction: float = setting(
        0.05, "share of a single file, its end, held out for the test; 0: no test", ge=0, le=0.8
    )
    val_fraction: float = setting(
        0.05,
        "share of the rest used for validation, its end; 0: none, and no best step",
        ge=0,
        le=0.8,
    )
    token_dtype: Literal["uint16", "uint32"] = setting(
        "uint16", "the type of a token in the files, little-endian"
    )
    vocabulary: int | None = setting(
        None,
        "all tokens are below this; empty: the size of the tokenizer, or up to the largest token",
        ge=2,
        le=2**31 - 1,
    )
    tokenizer: str | None = setting(
        None, "tokenizer.json that the tokens come from, to show texts; empty: numbers", path=True
    )
    sequence_length: int = setting(256, "tokens per row of a batch", unit="tokens", ge=2, le=65536)
    val_tokens: int | None = setting(
        1 << 20,
        "validate on this many from the beginning at most; empty: on all of them",
        unit="tokens",
        ge=2,
        limit=True,
    )
    test_tokens: int | None = setting(
        1 << 22,
        "test on this many from the beginning at most; empty: on all of them",
        unit="tokens",
        ge=2,
        limit=True,
    )


TEXT_DATASETS = (
    Spec("text", "text files, predicted token by token", TextSection),
    Spec("text_folders", "text files or their passages, one folder per class", TextFoldersSection),
    Spec("tokens", "files of token numbers, of which the next is predicted", TokensSection),
)
