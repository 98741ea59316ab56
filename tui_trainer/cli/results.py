"""`tui-trainer evaluate` and `tui-trainer predict`: print what a run's weights can do.

Layer: cli. `evaluate` prints metrics on a split beside the baselines, `predict` predictions for new
files or generated text. The work is done by `training`, imported when it is needed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_trainer.cli import argument_values
from tui_trainer.cli.output_file import written_beside
from tui_trainer.cli.picture_folder import PictureFolder
from tui_trainer.cli.prediction_file import SUFFIXES, write_predictions
from tui_trainer.config.overrides import DATA_PLACE, Override, parse_overrides
from tui_trainer.config.sections.metrics import metrics_text
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.sessions.trained_model import (
    Generation,
    evaluate_run,
    generate_text,
    open_predictor,
)
from tui_trainer.text.clean import clean
from tui_trainer.text.console import print_block, print_error, print_json, print_line
from tui_trainer.text.errors import BadInput, ExitCode
from tui_trainer.text.format import counted

if TYPE_CHECKING:
    from tui_trainer.training.evaluation import Evaluation
    from tui_trainer.training.prediction import Predicted, Predictor


_MOVED = f"{DATA_PLACE}="
"""A word that begins so says where the data are; a file of such a name is ./dataset.path=..."""


def evaluate(arguments: argparse.Namespace) -> int:
    """Measure a run's model on one of its splits, or on a labelled file of its own."""
    run = argument_values.find_run(arguments)
    argument_values.load_plugins(arguments)
    overrides = parse_overrides(arguments.overrides)
    only_baselines = arguments.baselines
    if arguments.data is not None and arguments.split is not None:
        raise BadInput("--data FILE is measured as a whole and has no splits; leave out --split")
    if only_baselines and arguments.split == "train":
        raise BadInput(
            "--baselines: they are fitted to the training split; use --split val or test"
        )
    evaluation = evaluate_run(
        run,
        arguments.split or "test",
        arguments.which,
        arguments.device,
        overrides,
        only_baselines=only_baselines,
        file=arguments.data or "",
    )
    return print_evaluation(run, evaluation, as_json=arguments.json)


def predict(arguments: argparse.Namespace) -> int:
    """Print predictions of a run's model for files, or text that it generates."""
    # What comes after an option is parsed as an override, even if it is a file.
    words = [*arguments.files, *arguments.overrides]
    overrides = parse_overrides([word for word in words if word.startswith(_MOVED)])
    files = [word for word in words if not word.startswith(_MOVED)]
    out = arguments.out
    if arguments.probabilities and out is None:
        raise BadInput("--probabilities is for --out FILE; --json prints all probabilities")
    if files and arguments.generate is not None:
        raise BadInput("--generate continues --prompt TEXT, and takes no files")
    argument_values.load_plugins(arguments)
    run = argument_values.find_run(arguments)
    where = (arguments.which, arguments.device, overrides)
    if arguments.generate is None:
        how_to_write = None
        if out is not None:
            how_to_write = PredictionOutput(out, arguments.probabilities, arguments.force)
        return print_predictions(run, files, *where, as_json=arguments.json, output=how_to_write)
    if out is not None:
        raise BadInput("--out is for predictions of files; --generate prints a text")
    how = Generation(
        arguments.generate,
        arguments.prompt,
        arguments.temperature,
        arguments.top_k,
        arguments.seed,
    )
    return print_generated(run, how, *where, as_json=arguments.json)


def print_evaluation(run: RunDirectory, evaluation: Evaluation, *, as_json: bool = False) -> int:
    """Print the metrics of a checkpoint beside the baselines."""
    for note in evaluation.notes:
        print_error(f"tui-trainer: {clean(note)}")
    if as_json:
        print_json({"run": run.path.name, **evaluation.to_dict()})
        return ExitCode.OK
    which = f", step {evaluation.step:,}" if evaluation.metrics else ""
    text = f": {metrics_text(evaluation.metrics)}" if evaluation.metrics else ""
    print_line(f"{run.path.name}{which}, {_measured_on(evaluation)}{text}")
    for name, metrics in evaluation.baseline.items():
        print_line(f"  baseline {name.replace('_', ' ')}: {metrics_text(metrics)}")
    return ExitCode.OK


def _measured_on(evaluation: Evaluation) -> str:
    """Name the split, or the file with its size."""
    file = evaluation.file
    if file is None:
        return evaluation.split
    if file.is_own:
        return f"{file.name} ({file.count}, the data of the run itself)"
    if file.known is None:
        return f"{file.name} ({file.count})"
    return f"{file.name} ({file.count}, {file.known or 'none'} of them trained on)"


_SHOWN = 3
"""How many classes a line names; JSON has all of them."""


@dataclass(frozen=True, slots=True)
class PredictionOutput:
    """The options for writing predictions to a file, or masks to a folder."""

    path: Path
    probabilities: bool = False
    """Whether a file has those of all classes."""
    force: bool = False
    """Whether files of before are replaced."""


def print_predictions(
    run: RunDirectory,
    files: Sequence[str],
    which: str,
    device: str,
    overrides: Sequence[Override] = (),
    *,
    as_json: bool = False,
    output: PredictionOutput | None = None,
) -> int:
    """Predict every sample of every file, as lines or JSON lines, or write them with `output`.

    A file that cannot be read is reported, and the others are still predicted; but a file of
    predictions is for all of them or none.
    """
    if not files:
        raise BadInput("predict needs files, or --generate N for a language model")
    predictor, notes = open_predictor(run, which, device, overrides)
    _note(notes)
    if output is not None and _is_one_file(predictor, output):
        return _write_file(predictor, files, output, as_json=as_json)
    folder = None if output is None else _picture_folder(output, files)
    worst: int = ExitCode.OK
    for path in files:
        try:
            predictions = predictor.file(path)
        except BadInput as error:
            _note([str(error)])
            worst = max(worst, int(error.exit_code))
            continue
        _note(predictions.notes)
        for sample in predictions.samples:
            written = None if folder is None else _written(sample, folder, path)
            _print_sample(path, sample, written, as_json=as_json)
    return worst


def _is_one_file(predictor: Predictor, output: PredictionOutput) -> bool:
    """Whether all predictions go into a file, and not one picture each into a folder."""
    if predictor.has_own_values:
        return output.path.suffix.lower() in SUFFIXES
    return not predictor.makes_masks


def _picture_folder(output: PredictionOutput, files: Sequence[str]) -> PictureFolder:
    if output.probabilities:
        raise BadInput("--probabilities is for tables; a folder is for masks and pictures")
    if output.path.suffix.lower() in SUFFIXES:
        raise BadInput(f"--out {clean(str(output.path), 200)}: name a folder, for masks")
    return PictureFolder(output.path, files, force=output.force)


def _written(sample: Predicted, folder: PictureFolder, file: str) -> Path:
    """Write the mask or picture of a sample; returns its path."""
    if not (sample.is_mask or sample.is_picture):
        raise BadInput(
            "--out names a folder, which is for masks and pictures, and the predictions are "
            "neither; name a .csv or a .jsonl file"
        )
    path = folder.path_for(file, sample.place)
    with written_beside(path) as temporary:
        sample.write(temporary)
    return path


def _write_file(
    predictor: Predictor, files: Sequence[str], output: PredictionOutput, *, as_json: bool
) -> int:
    """Write predictions to a file, and print what it holds."""
    written = write_predictions(
        predictor,
        files,
        output.path,
        probabilities=output.probabilities,
        force=output.force,
    )
    _note(written.notes)
    columns = list(written.columns)
    if as_json:
        print_json({"out": str(output.path), "rows": written.rows, "columns": columns})
        return ExitCode.OK
    shown = clean(", ".join(columns), 300)
    print_line(f"{clean(str(output.path), 200)}: {counted(written.rows, 'row')} with {shown}")
    return ExitCode.OK


def _print_sample(file: str, sample: Predicted, written: Path | None, *, as_json: bool) -> None:
    """Print a prediction, and where its mask or picture is if it was written."""
    noun = "mask" if sample.is_mask else "picture"
    if as_json:
        record: dict[str, Any] = {"file": file, "place": sample.place}
        if sample.is_mask or sample.is_picture:
            record[noun] = None if written is None else str(written)
        else:
            record["prediction"] = sample.value
        print_json({**record, **({"shares": sample.shares} if sample.shares else {})})
        return
    place = f"{file}, {sample.place}" if sample.place else file
    where = f"; {noun} {clean(str(written), 200)}" if written is not None else ""
    print_line(f"{clean(place, 200)}: {_text(sample)}{where}")


def print_generated(
    run: RunDirectory,
    how: Generation,
    which: str,
    device: str,
    overrides: Sequence[Override] = (),
    *,
    as_json: bool = False,
) -> int:
    """Print the prompt and the text with which a language model continues it."""
    text, notes = generate_text(run, how, which, device, overrides)
    _note(notes)
    if as_json:
        print_json({"prompt": how.prompt, "text": text})
    else:
        # A model may generate any bytes, including escape sequences for the terminal.
        lines = f"{how.prompt}{text}".split("\n")
        print_block("\n".join(clean(line.replace("\t", "    "), 100_000) for line in lines))
    return ExitCode.OK


def _text(sample: Predicted) -> str:
    if sample.is_mask:
        return ", ".join(f"{clean(name, 80)} {share:.1%}" for name, share in sample.shares.items())
    if sample.is_picture:
        return "a picture"
    if isinstance(sample.value, int | float):
        return _number(sample.value)
    if isinstance(sample.value, dict):
        return ", ".join(
            f"{clean(name, 80)} {_number(value)}" for name, value in sample.value.items()
        )
    if isinstance(sample.value, list):
        words = [
            _number(value) if isinstance(value, int | float) else clean(value, 80)
            for value in sample.value
        ]
        return ", ".join(words) or "none"
    if not sample.shares:
        return clean(sample.value, 2000)
    # With a threshold of its own, what is predicted need not be the likeliest.
    shares = sorted(sample.shares.items(), key=lambda share: share[0] != sample.value)
    likeliest = f"{clean(shares[0][0], 80)} {shares[0][1]:.1%}"
    others = ", ".join(f"{clean(name, 80)} {share:.1%}" for name, share in shares[1:_SHOWN])
    return f"{likeliest} ({others})" if others else likeliest


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def _note(notes: Sequence[str]) -> None:
    for note in notes:
        print_error(f"tui-trainer: {clean(note)}")
