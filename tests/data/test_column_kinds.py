"""Kinds of a table's columns: which are recognised, how each is encoded, what older runs keep."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tests.data.splits import tensors
from tests.data.test_table import all_inputs, all_numbers, loaded, other_notes, refusal, table
from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.load import load
from tui_trainer.data.new_samples import read_unseen
from tui_trainer.data.sources.column_inputs import width_of
from tui_trainer.data.sources.file_samples import Unseen
from tui_trainer.text.errors import BadInput

BUILTIN = PresetLibrary([builtin_dir()])


def new_inputs(tmp_path: Path, data: Dataset, content: str, **settings: Any) -> torch.Tensor:
    """The inputs that the rows of a new file have for a model trained on some data."""
    return new_samples(tmp_path, data, content, **settings).inputs


def new_samples(tmp_path: Path, data: Dataset, content: str, **settings: Any) -> Unseen:
    """The samples that `predict` makes of new rows."""
    new = tmp_path / "new.csv"
    new.write_text(content)
    section = TableSection(type="table", path="gone.csv", target="y", **settings)
    return read_unseen(section, data.preprocessing, str(new), data.info)


@pytest.mark.parametrize(
    ("name", "inputs", "targets"),
    [
        ("penguins-mlp", 8.588597708, -1.832719527),
        ("auto-mpg-mlp", 18.232735282, -9.843982463),
        ("digits-mlp", -18.598689537, -92.211929783),
        ("vowels-gru", -2.746068584, 12.039455583),
    ],
)
def test_the_presets_have_the_inputs_they_always_had(
    name: str, inputs: float, targets: float
) -> None:
    experiment = BUILTIN.experiment(name, [])
    section = experiment.dataset.model_copy(update={"split_by": "position"})
    train = tensors(load(section, None, experiment.problem).train)
    for values, expected in ((train.inputs, inputs), (train.targets, targets)):
        flat = values.double().flatten()
        total = (flat * torch.arange(len(flat)).double().sin()).sum().item()
        assert total == pytest.approx(expected, rel=1e-4)


def flags(words: str) -> str:
    pair = words.split()
    return table([f"{n * 2},{pair[n // 2 % len(pair)]},{n % 3}" for n in range(40)])


@pytest.mark.parametrize(
    "words", ["True false", "YES no", "t F", "Y n", "yes No YES no", "Ja nein", "oui non"]
)
def test_yes_and_no_are_one_input(tmp_path: Path, words: str) -> None:
    data = loaded(tmp_path, flags(words))
    assert data.preprocessing["layout"]["column b"] == "boolean"
    assert all_inputs(data)[:, 1].tolist() == [1 - n // 2 % 2 for n in range(40)]
    assert other_notes(data)[-1] == (
        "b: yes or no, as one input of 1 or 0; dataset.categorical=[b] makes an input of each text"
    )
    assert loaded(tmp_path, flags(words), categorical=["b"]).input_shape == (
        1 + len(words.split()),
    )
    new = new_inputs(tmp_path, data, "a,b\n1,FALSE\n2,y\n")
    assert new[:, 1].tolist() == [0, 1]
    with pytest.raises(BadInput, match=r"new\.csv:3: column 'b' has 'maybe', which is neither yes"):
        new_inputs(tmp_path, data, "a,b\n1,no\n2,maybe\n")


@pytest.mark.parametrize("words", ["yes", "true no", "on off", "yes no x", "male female"])
def test_other_pairs_of_texts_stay_categories(tmp_path: Path, words: str) -> None:
    data = loaded(tmp_path, flags(words))
    assert data.preprocessing["layout"]["column b"] == "category"


def test_gaps_among_booleans_have_the_mean_and_an_input_of_their_own(tmp_path: Path) -> None:
    rows = [f"{n * 2},{['yes', 'no', ''][n % 3]},{n % 7}" for n in range(60)]
    data = loaded(tmp_path, table(rows), missing="mean")
    mean = data.preprocessing["inputs"]["b"]["mean"]
    assert 0.3 < mean < 0.7
    assert all_inputs(data)[:3, 1:].flatten().tolist() == pytest.approx([1, 0, 0, 0, mean, 1])
    assert f"b: 20 missing values filled with the training mean {mean:.4g}" in data.notes
    new = new_inputs(tmp_path, data, "a,b\n1,\n", missing="mean")
    assert new[0, 1:].tolist() == pytest.approx([mean, 1])
    dropped = loaded(tmp_path, table(rows), missing="drop")
    assert (len(all_inputs(dropped)), dropped.input_shape) == (40, (2,))
    assert "table.csv:4: column 'b' has no value" in refusal(tmp_path, table(rows))


def test_ids_are_left_out_and_stated_ones_kept(tmp_path: Path) -> None:
    rows = [f"{n + 1},id-{n * 7 % 40:03},{n % 9},{n % 3}" for n in range(40)]
    content = table(rows, "nr,code,a,y")
    data = loaded(tmp_path, content)
    assert [*data.preprocessing["inputs"]] == ["a"]
    assert data.preprocessing["layout"]["column nr"] == "left out"
    ways = (
        "nr: only numbers the rows, and is left out; dataset.kinds={nr: number} keeps it",
        "code: has a different text in each row, and is left out; "
        "dataset.kinds={code: category} keeps it",
    )
    assert {*ways} <= {*data.notes}
    # A gap in them is no matter, and neither are they needed for a prediction.
    gap = content.replace("id-000", "")
    assert [*loaded(tmp_path, gap).preprocessing["inputs"]] == ["a"]
    assert new_inputs(tmp_path, data, "a\n3\n").shape == (1, 1)
    kept = loaded(tmp_path, content, kinds={"nr": "number", "code": "hash"}, buckets=8)
    assert kept.input_shape == (1 + 8 + 1,)
    assert not any("nr:" in note for note in kept.notes)


@pytest.mark.parametrize("name", ["customer_id", "CustomerId", "Loan ID", "patient"])
def test_numbers_that_differ_are_ids_by_their_name(tmp_path: Path, name: str) -> None:
    rows = [f"{n * 37 % 41 + 1000},{n % 9},{n % 3}" for n in range(40)]
    data = loaded(tmp_path, table(rows, f"{name},a,y"))
    assert [*data.preprocessing["inputs"]] == ["a"]
    note = f"{name}: has a different number in each row, and is left out; dataset.kinds={{{name}: "
    assert any(text.startswith(note) for text in data.notes)
    for header, other in ((f"{name},a,y", [*rows[1:], rows[1]]), ("liquid,a,y", rows)):
        kept = loaded(tmp_path, table(other, header)).preprocessing["inputs"]
        assert [*kept] == header.split(",")[:2]


def test_nothing_is_left_out_where_nothing_else_varies(tmp_path: Path) -> None:
    content = table([f"{n},u,{n % 3}" for n in range(40)])
    assert [*loaded(tmp_path, content).preprocessing["inputs"]] == ["a", "b"]
    few = table([f"{n},{'uv'[n % 2]},{n % 3}" for n in range(19)])
    assert [*loaded(tmp_path, few).preprocessing["inputs"]] == ["a", "b"]


def test_a_run_that_knew_fewer_kinds_goes_on_as_it_was(tmp_path: Path) -> None:
    rows = [f"{n + 1},id {n},{['yes', 'no'][n // 2 % 2]},{n % 3}" for n in range(40)]
    content = table(rows, "no,code,b,y")
    then = loaded(tmp_path, content, categorical=["code", "b"], kinds={"no": "number"})
    assert {*then.preprocessing["layout"].values()} == {"y", "number", "category"}
    now = loaded(tmp_path, content, fitted=then.preprocessing, record=then.split_record)
    assert now.preprocessing == then.preprocessing
    assert torch.equal(all_inputs(now), all_inputs(then))
    new = loaded(tmp_path, content)
    assert torch.equal(
        all_inputs(loaded(tmp_path, content, fitted=new.preprocessing, record=new.split_record)),
        all_inputs(new),
    )
    assert new.input_shape == (1,)


def test_hashed_texts_are_those_of_training_for_new_rows_too(tmp_path: Path) -> None:
    rows = [f"{n * 2},w{n % 30},{n % 3}" for n in range(90)]
    data = loaded(tmp_path, table(rows), kinds={"b": "hash"}, buckets=64)
    assert data.input_shape == (65,)
    inputs = all_inputs(data)
    assert torch.equal(inputs[0, 1:], inputs[30, 1:])
    assert len({*inputs[:30, 1:].argmax(1).tolist()}) > 20
    new = new_inputs(tmp_path, data, "a,b\n0,w0\n0,never seen\n")
    assert torch.equal(new[0, 1:], inputs[0, 1:])
    assert new[1, 1:].sum() == 1
    gaps = table([*rows, "1,,0", "3,,1", "5,,2"])
    filled = loaded(tmp_path, gaps, kinds={"b": "hash"}, buckets=64, missing="mean")
    assert (all_inputs(filled)[90:, 1:65] == 0).all()


def test_only_numbers_have_noise(tmp_path: Path) -> None:
    rows = [f"{n * 2},{['yes', 'no', ''][n % 3]},w{n % 30},{n % 7}" for n in range(60)]
    content = table(rows, "a,b,c,y")
    data = loaded(tmp_path, content, missing="mean", noise=1.0, kinds={"c": "hash"}, buckets=8)
    assert data.augment is not None
    batch = {"input": all_inputs(data), "target": torch.zeros(60, 1)}
    changed = data.augment(batch, torch.Generator().manual_seed(1))["input"] != batch["input"]
    assert changed.any(dim=0).tolist() == [True] + [False] * 10


@pytest.mark.parametrize(
    ("kinds", "text"),
    [
        ({"c": "number"}, "dataset.kinds: no column 'c'"),
        ({"y": "number"}, "dataset.kinds: 'y' is not an input"),
        ({"b": "boolean"}, "table.csv:2: column 'b' has 'u', which is neither yes nor no"),
        ({"b": "number"}, "table.csv:2: column 'b' has 'u', which is not a finite number"),
    ],
)
def test_a_stated_kind_that_does_not_fit_is_refused(
    tmp_path: Path, kinds: dict[str, str], text: str
) -> None:
    rows = [f"{n * 2},{'uv'[n % 2]},{n % 3}" for n in range(40)]
    assert text in refusal(tmp_path, table(rows), kinds=kinds)


def test_kinds_are_typed_as_a_mapping(tmp_path: Path) -> None:
    words = ["dataset.kinds={id: number, '2024': hash}", "dataset.path=x.csv", "dataset.target=y"]
    experiment = BUILTIN.experiment("penguins-mlp", parse_overrides(words))
    assert experiment.get("dataset.kinds") == {"id": "number", "2024": "hash"}
    with pytest.raises(BadInput, match=r"dataset\.kinds.*'numbr'"):
        BUILTIN.experiment("penguins-mlp", parse_overrides(["dataset.kinds={id: numbr}"]))


def test_fault_37_hostile_names_of_columns_are_harmless_in_notes(tmp_path: Path) -> None:
    evil = [f"\x1b]0;{kind}\x07\u202e{{0}}: [x" for kind in ("id", "flag", "when", "text", "many")]
    rows = [
        f"{n},{['yes', 'no'][n // 2 % 2]},2025-04-{n % 28 + 1:02},"
        f"{'ab cd ef ' * 3}{n},w{n % 30},{n % 3}"
        for n in range(60)
    ]
    content = table(rows, ",".join([f'"{name}"' for name in evil] + ["y"]))
    data = loaded(tmp_path, content, kinds={evil[4]: "hash"})
    kinds = [data.preprocessing["layout"][f"column {name}"] for name in evil]
    assert kinds == ["left out", "boolean", "date", "text", "hash"]
    told = "".join(data.notes)
    assert all(f"{kind}\\x07" in told for kind in ("id", "flag", "when", "text"))
    assert not {"\x1b", "\x07", "\u202e", "\n"} & {*told}


@pytest.mark.parametrize("separator", list("|;,"))
def test_classes_that_look_like_labels_are_told(tmp_path: Path, separator: str) -> None:
    cells = [f"red{separator}big", "red", "blue", f"blue{separator} big"]
    content = table([f'{n * 2},u,"{cells[n % 4]}"' for n in range(40)])
    data = loaded(tmp_path, content, separator="comma")
    assert data.problem == "classification"
    assert (
        f"y: each different text, such as 'red{separator}big', is a class; with "
        f"dataset.label_separator='{separator}' there are 3 labels, and a row may have several"
    ) in data.notes
    asked = loaded(tmp_path, content, separator="comma", problem="classification")
    assert not any("label_separator" in note for note in asked.notes)


def test_classes_with_a_comma_in_each_are_no_labels(tmp_path: Path) -> None:
    names = ["Smith, Jane", "Jones, Joe", "Kent, Clark"]
    content = table([f'{n * 2},u,"{names[n % 3]}"' for n in range(40)])
    assert not any("label_separator" in note for note in loaded(tmp_path, content).notes)


_COLUMNS = {
    "number": st.integers(-99, 99).map(str),
    "category": st.sampled_from(["u", "v", "w"]),
    "boolean": st.sampled_from(["yes", "No"]),
    "date": st.dates(date(1999, 1, 1), date(2030, 1, 1)).map(str),
    "day_first": st.dates(date(1999, 1, 1), date(2030, 1, 1)).map("{:%d/%m/%Y}".format),
    "text": st.lists(st.sampled_from(["ab", "cd", "ef", "gh"]), min_size=6).map(" ".join),
}


@settings(max_examples=40)
@given(st.data())
def test_new_rows_are_encoded_as_those_of_training_and_of_a_resumed_run(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("any")
    kinds = data.draw(st.lists(st.sampled_from([*_COLUMNS]), min_size=1, max_size=4))
    tokenizer = data.draw(st.sampled_from(["bytes", "words"]))
    count = data.draw(st.integers(25, 40))
    columns = [
        data.draw(st.lists(st.just("") | _COLUMNS[kind], min_size=count, max_size=count))
        for kind in kinds
    ]
    names = [f"c{place}" for place in range(len(kinds))]
    rows = [
        ",".join([*cells, "pq"[row % 2]]) for row, cells in enumerate(zip(*columns, strict=True))
    ]
    content = table(rows, ",".join([*names, "y"]))
    try:
        trained = loaded(folder, content, missing="mean", tokenizer=tokenizer)
    except BadInput:
        # A column without a value, or dates that may be two.
        reject()
    inputs, numbers = all_inputs(trained), all_numbers(trained)
    fitted, record = trained.preprocessing, trained.split_record
    way = {"missing": "mean", "tokenizer": tokenizer}
    resumed = loaded(folder, content, fitted=fitted, record=record, **way)
    unseen = new_samples(folder, trained, content, missing="mean")
    for read, others in (
        (all_inputs(resumed), all_numbers(resumed)),
        (unseen.inputs, unseen.others.get("numbers")),
    ):
        assert torch.equal(read, inputs)
        assert (others is None) == (numbers is None)
        assert others is None or numbers is None or torch.equal(others, numbers)
    width = sum(map(width_of, fitted["inputs"].values()))
    signature = trained.signature
    assert (signature.numbers or trained.input_shape[0]) == width or not width
    assert signature.numbers == (0 if numbers is None else numbers.shape[1])
