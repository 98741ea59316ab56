"""`Predictor`: the model of a run's checkpoint, and its predictions for new samples.

Layer: training. The preprocessing recorded in the checkpoint is used. The training data is not
read, and need not exist any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor, nn

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.plugin_loader import RECIPE_FACTORIES
from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.config.sections.recipes import SUPERVISED
from tui_trainer.data.base.random import preserved_generators
from tui_trainer.data.base.to_device import placed_on
from tui_trainer.data.files.mask_colours import colour_of
from tui_trainer.data.files.png import write_mask, write_picture
from tui_trainer.data.load import load
from tui_trainer.data.new_samples import read_unseen
from tui_trainer.data.sources.file_samples import Unseen
from tui_trainer.data.sources.new_plugin_data import why_no_files
from tui_trainer.data.tokenizers.tokenizer import continuation
from tui_trainer.data.tokenizers.tokenizer_choice import tokenizer_of
from tui_trainer.models.build import build_model
from tui_trainer.models.sampling import generate
from tui_trainer.problems.batch import Batch, lengths_of
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.kinds import kind_of
from tui_trainer.problems.problem import Prediction, Value
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.text.errors import BadInput, TrainerError
from tui_trainer.training.changes import check_model, prediction_notes
from tui_trainer.training.checkpoint_data import CheckpointData
from tui_trainer.training.checkpoints import Checkpoint, choose_checkpoint
from tui_trainer.training.forward import Forward
from tui_trainer.training.own_recipe import OwnRecipe, samples_in
from tui_trainer.training.recipe_step import in_precision
from tui_trainer.training.step_context import StepContext


@dataclass(frozen=True, slots=True)
class Predicted:
    """The prediction for one sample."""

    place: str
    """The position of the sample in its file; empty if the whole file is one sample."""
    prediction: Prediction
    colours: Sequence[int | None] = ()
    """Of the classes of a mask, as in the masks that were trained on."""

    @property
    def is_mask(self) -> bool:
        return self.prediction.mask is not None

    @property
    def is_picture(self) -> bool:
        """Whether it is a picture, in which nothing is counted."""
        return self.prediction.picture is not None

    def write(self, path: Path) -> None:
        """Write the mask or picture as a PNG; CannotWrite if the file cannot be written."""
        if self.prediction.mask is not None:
            write_mask(self.prediction.mask, path, self.colours)
            return
        assert self.prediction.picture is not None, "others are not written to a file each"
        write_picture(self.prediction.picture, path)

    @property
    def value(self) -> Value:
        return self.prediction.value

    @property
    def shares(self) -> dict[str, float]:
        return self.prediction.shares


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predictions for all samples of a file."""

    file: str
    samples: tuple[Predicted, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PredictedRows:
    """The rows of a file with the prediction for each."""

    header: tuple[str, ...]
    """The names of the cells."""
    is_table: bool
    """Whether they are those of the file; if not, there is a row for each sample."""
    rows: Iterator[tuple[list[str], Prediction]]
    """The cells of each row, and the prediction of its sample; to be read once."""
    notes: tuple[str, ...]


class Predictor:
    """The model of a checkpoint, ready for new samples."""

    def __init__(
        self, checkpoint: Checkpoint, experiment: Experiment, device: torch.device
    ) -> None:
        """Build the model and load the weights.

        Raises:
            CheckpointUnusable: the weights belong to another model.
        """
        data = checkpoint.data
        self.step = checkpoint.manifest.step
        self.outline = data.outline() or outline_of_files(data, experiment)
        self._kind = kind_of(self.outline)
        self._dataset = experiment.dataset
        self._preprocessing = data.preprocessing
        self._device = device
        training = experiment.training
        # Outputs at each pixel are as many as in training, where they fitted into memory.
        usual = training.batch_size if self.outline.signature.places == "pixel" else 256
        self._batch_size = training.eval_batch_size or usual
        with preserved_generators():
            is_called = self.outline.problem != "none"
            self.model = build_model(
                experiment.model, self.outline.signature, checks_outputs=is_called
            )
            self.model.to(device).eval()
        check_model(self.model, data)
        self.model.load_state_dict(data.state.measured)
        self._forward = Forward(
            self.model,
            fields=self.outline.names,
            precision=training.precision,
            is_called=is_called,
        )
        self._training = training
        self._recipe = _predicting(experiment, self.outline, self.model, device)

    @property
    def makes_masks(self) -> bool:
        """Whether its predictions are masks of pictures."""
        return self.outline.signature.places == "pixel" and not self.has_own_values

    @property
    def has_own_values(self) -> bool:
        """Whether a plugin's code says what is predicted, which may be anything."""
        spec = PROBLEMS.get(self.outline.problem)
        return self._recipe is not None or (spec is not None and "decode" in spec.own_methods)

    @property
    def label_separator(self) -> str | None:
        """The sign between the labels in a cell, as in the data; None if it predicts no labels."""
        if self.outline.base != "multilabel":
            return None
        separator: str | None = getattr(self._dataset, "label_separator", None)
        # In the data, an empty one stands for any space.
        return "|" if separator is None else separator or " "

    def file(self, path: str) -> Predictions:
        """Predict every sample of a file.

        Raises:
            BadInput: the file cannot be read as samples like those trained on.
        """
        if self._kind.why_no_predictions and self._recipe is None:
            raise BadInput(self._kind.why_no_predictions)
        unseen = read_unseen(self._dataset, self._preprocessing, path, self.outline)
        return Predictions(path, self.predicted(unseen), unseen.notes)

    def rows(self, path: str) -> PredictedRows:
        """Predict every sample of a file, to be written beside the rows that it has.

        Raises:
            BadInput: as `file`.
        """
        if self._kind.why_no_predictions and self._recipe is None:
            raise BadInput(self._kind.why_no_predictions)
        unseen = read_unseen(self._dataset, self._preprocessing, path, self.outline)
        table = unseen.rows
        if table is None:
            header = ("place",) if any(unseen.places) else ()
            samples = self.predicted(unseen)
            by_place = (([one.place][: len(header)], one.prediction) for one in samples)
            return PredictedRows(header, False, by_place, unseen.notes)
        predictions: Iterable[Prediction] = chain.from_iterable(
            decoded for _, decoded in self._batches(unseen)
        )
        if table.samples is not None:
            by_sample = list(predictions)
            predictions = (by_sample[sample] for sample in table.samples)
        # A batch of predictions at a time, because a table may have millions of rows.
        rows = zip(table.read(), predictions, strict=True)
        return PredictedRows(table.header, True, rows, unseen.notes)

    def predicted(self, unseen: Unseen) -> tuple[Predicted, ...]:
        """Predict samples that are prepared as a model takes them."""
        predictions: list[Prediction] = []
        parts: list[Tensor] = []
        for outputs, decoded in self._batches(unseen):
            predictions += decoded
            if unseen.is_one:
                parts.append(outputs)
        colours = self._colours()
        samples = tuple(
            Predicted(place, prediction, colours)
            for place, prediction in zip(unseen.places, predictions, strict=False)
        )
        if len(samples) > 1 and parts:
            together = self._kind.combine(torch.cat(parts))
            if together is not None:
                whole = self._kind.decode(together, self.outline)[0]
                samples = (*samples, Predicted("whole file", whole))
        return samples

    def _colours(self) -> list[int | None]:
        """Return the colours of the classes in masks, by their names or their palette."""
        if not self.makes_masks:
            return []
        palette = self._preprocessing.get("inputs", {}).get("palette", {})
        names = [palette.get(name, name) for name in self.outline.classes]
        return [colour_of(name) if name.startswith("#") else None for name in names]

    @torch.inference_mode()
    def _batches(self, unseen: Unseen) -> Iterator[tuple[Tensor, list[Prediction]]]:
        """Yield the outputs of the samples, and what they mean.

        They are decoded batch by batch: the outputs of many masks would not fit into memory.
        """
        split = unseen.split(self.outline.names[0])
        for index, batch in enumerate(split.in_order(self._batch_size)):
            placed = placed_on(self._device, batch, split)
            if self._recipe is not None:
                yield torch.empty(samples_in(placed), 0), self._by_recipe(placed, index)
                continue
            outputs = self._forward(placed)[0].double().cpu()
            yield outputs, self._decoded(outputs, batch)

    def _by_recipe(self, batch: Batch, index: int) -> list[Prediction]:
        assert self._recipe is not None, "there is a recipe that predicts"
        context = StepContext(self._device, self._training.seed, "predict", (index,))
        inputs = {name: field for name, field in batch.items() if name != "target"}
        try:
            with in_precision(self._training.precision, self._device):
                values = self._recipe.predict_step(self.model, inputs, context)
        except TrainerError:
            raise
        except Exception as error:
            raise BadInput(self._recipe.describe(error)) from error
        return values

    def _decoded(self, outputs: Tensor, batch: Batch) -> list[Prediction]:
        lengths = batch.get(lengths_of(self.outline.names[0]))
        if lengths is None or self.outline.signature.places != "step":
            return self._kind.decode(outputs, self.outline)
        rows = zip(outputs, lengths.tolist(), strict=True)
        return [self._kind.decode(row[None, :length], self.outline)[0] for row, length in rows]

    def generated(self, prompt: str, count: int, temperature: float, top_k: int, seed: int) -> str:
        """Generate the `count` tokens that follow a prompt, as text.

        Bytes that are not UTF-8, and unknown tokens, become U+FFFD, the replacement character.

        Raises:
            BadInput: this is not a language model, or an argument cannot be used.
        """
        tokenizer = tokenizer_of(self._preprocessing.get("tokenizer"))
        known = tokenizer.encode([prompt.encode("utf-8", "surrogateescape")])[0].tolist()
        # As in training, a token of its own marks the start of a text, if there is one.
        start = [] if tokenizer.start is None else [tokenizer.start]
        if not start and not known:
            raise BadInput("these tokens have none that begins a text: name some with --prompt")
        following = generate(
            self.model,
            self.outline.signature,
            torch.tensor([*start, *known]),
            count,
            temperature=temperature,
            top_k=top_k,
            generator=torch.Generator(self._device).manual_seed(seed),
        )
        return continuation(tokenizer, known, following.tolist())


def _predicting(
    experiment: Experiment, info: DatasetInfo, model: nn.Module, device: torch.device
) -> OwnRecipe | None:
    """Return the recipe of an experiment if it says itself what is predicted."""
    if experiment.recipe.type == SUPERVISED:
        return None
    if not hasattr(RECIPE_FACTORIES[experiment.recipe.type].made_by, "predict_step"):
        return None
    return OwnRecipe(experiment.recipe, info, model, device)


def load_predictor(
    run: RunDirectory, experiment: Experiment, device: torch.device, which: str
) -> tuple[Predictor, list[str]]:
    """Load the predictor of a run's checkpoint; also return notes on checkpoints passed over.

    Raises:
        CheckpointUnusable: it cannot be read, or belongs to another model.
    """
    checkpoint, notes = choose_checkpoint(run.checkpoints, which, run.command("predict"))
    predictor = Predictor(checkpoint, experiment, device)
    return predictor, [*notes, *prediction_notes(checkpoint.data.origin, run)]


def why_no_files_of(run: RunDirectory, which: str) -> str:
    """Return why no files can be predicted with a run whose plugin is not loaded; "" if unknown."""
    checkpoint, _ = choose_checkpoint(run.checkpoints, which, run.command("predict"))
    return why_no_files(checkpoint.data.preprocessing)


def outline_of_files(data: CheckpointData, experiment: Experiment) -> DatasetInfo:
    """Load the dataset to describe it, for an older checkpoint that has no description of it."""
    return load(experiment.dataset, data.preprocessing, experiment.problem).info
