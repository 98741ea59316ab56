"""`TokenizerChoice`: the tokenizer that the settings name, before it has learned from texts.

Layer: data. What is learned comes from training texts only, or from a checkpoint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tui_trainer.config.sections.datasets import TOKENIZERS
from tui_trainer.data.files.disk import NoSuchData, open_file
from tui_trainer.data.tokenizers.learned import learn, learned
from tui_trainer.data.tokenizers.tokenizer import ByteTokenizer, NumberTokenizer, Tokenizer
from tui_trainer.data.tokenizers.tokenizer_file import (
    MOST_FILE_BYTES,
    FileTokenizer,
    tokenizer_of_json,
)
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CheckpointUnusable

BYTES = ByteTokenizer()


class TokenizedSection(Protocol):
    """A section with the settings of a tokenizer."""

    @property
    def tokenizer(self) -> str: ...

    @property
    def vocabulary(self) -> int: ...


@dataclass(frozen=True, slots=True)
class TokenizerChoice:
    """Bytes, characters, words, or what a file says."""

    kind: str
    limit: int
    """The most characters or words with a token of their own."""
    known: Tokenizer | None = field(default=None, repr=False)
    """The tokenizer, if nothing has to be learned."""

    @property
    def layout(self) -> dict[str, str]:
        """The entry of a source's `layout`; bytes have none, as in older versions."""
        return {} if self.kind == "bytes" else {"tokenizer": self.kind}

    def sum_with(self, sha256: str) -> str:
        """Return the sum of data and tokenizer; with bytes it is that of the data."""
        if self.kind == "bytes":
            return sha256
        content = (
            str(self.known.saved().get("json", "")) if self.kind == "file" and self.known else ""
        )
        own = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
        return hashlib.sha256(f"{sha256} {self.kind} {own}".encode()).hexdigest()

    def fit(self, train: Iterable[bytes]) -> Tokenizer:
        """Return the tokenizer, learned from the training texts if there is something to learn."""
        if self.known is not None:
            return self.known
        return learn("words" if self.kind == "words" else "characters", train, self.limit)


def choose_tokenizer(
    section: TokenizedSection, saved: Mapping[str, Any] | None = None
) -> TokenizerChoice:
    """Return the tokenizer that a section names; `saved` is that of a checkpoint, if there is one.

    A checkpoint has the content of a file, so that the file is not read again.

    Raises:
        BadInput: the file cannot be read, or is no tokenizer.
    """
    kind = section.tokenizer if section.tokenizer in TOKENIZERS else "file"
    known: Tokenizer | None = BYTES if kind == "bytes" else None
    if kind == "file":
        is_same_kind = saved is not None and saved.get("type") == "file"
        known = tokenizer_of(saved) if is_same_kind else read_tokenizer(section.tokenizer)
    return TokenizerChoice(kind, section.vocabulary, known)


def tokenizer_of(saved: Mapping[str, Any] | None) -> Tokenizer:
    """Return the tokenizer that a checkpoint has; None stands for bytes, as in older versions.

    Raises:
        CheckpointUnusable: it is none that a run saves.
        BadInput: the package for it is missing.
    """
    if saved is None or saved.get("type") == "bytes":
        return BYTES
    known = saved.get("known")
    match saved.get("type"):
        case "words" | "characters" as kind if isinstance(known, list):
            return learned(kind, [str(text) for text in known])
        case "file":
            file = tokenizer_of_json(str(saved.get("json")), "the tokenizer in the checkpoint")
            if not saved.get("is_of_tokens"):
                return file
            # The settings may have said that there are more tokens than the file has.
            return file.of_tokens().with_vocabulary(int(saved["vocabulary"]))
        case "numbers" if type(size := saved.get("vocabulary")) is int:
            return NumberTokenizer(size)
    raise CheckpointUnusable("the tokenizer in the checkpoint is not what a run saves")


def unit_of(saved: Mapping[str, Any] | None) -> str:
    """Return the noun for a token of the tokenizer that a checkpoint has."""
    kind = "bytes" if saved is None else str(saved.get("type"))
    return kind.removesuffix("s") if kind in TOKENIZERS else "token"


def read_tokenizer(path: str) -> FileTokenizer:
    """Read a tokenizer.json.

    Raises:
        BadInput: the file cannot be read, or is no tokenizer.
    """
    try:
        file = open_file(path, max_bytes=MOST_FILE_BYTES)
    except NoSuchData as error:
        names = ", ".join(TOKENIZERS)
        refused = BadInput(f"{error}; a tokenizer is {names} or a tokenizer.json")
        refused.key = "dataset.tokenizer"
        raise refused from error
    try:
        content = file.content[:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{clean(path, 200)}: is not UTF-8, so it is not a tokenizer.json"
        ) from error
    try:
        return tokenizer_of_json(content, file.name)
    except BadInput as error:
        error.key = "dataset.tokenizer"
        raise
