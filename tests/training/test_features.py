"""Number formats, running means, recomputation, frozen layers, other weights: right, and exact."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.training.harness import Run, at_step, cut_at, same, small_experiment, write_images
from tui_trainer.runs.commands import Pause, Stop
from tui_trainer.runs.commands import Resume as GoOn
from tui_trainer.runs.describe import describe
from tui_trainer.runs.events import Event, Notice, RunStarted, StateChanged, StepsTaken
from tui_trainer.runs.view import RunView
from tui_trainer.sessions.preview import preview
from tui_trainer.text.errors import BadInput, ConfigError
from tui_trainer.training.forward import Forward
from tui_trainer.training.frozen_layers import freeze
from tui_trainer.training.parameter_names import names_matching
from tui_trainer.training.preparation import recompute_blocks, take_weights
from tui_trainer.training.start import state_of
from tui_trainer.ui.compose.facts import sizes

STEPS = 12
CNN = {"type": "cnn", "channels": [4, 4], "dropout": 0.2}

FEATURES: dict[str, dict[str, Any]] = {
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "ema": {"ema_decay": 0.9},
    "recomputed": {"gradient_checkpointing": True},
    "channels_last": {"channels_last": True},
    "frozen": {"freeze": ["blocks.0"]},
    "clipped": {"grad_clip_value": 0.01, "grad_clip_norm": None},
    "plain_arithmetic": {"arithmetic": "plain"},
}
PAIRS = [pair for pair in combinations(FEATURES, 2) if not set(pair) <= {"bf16", "fp16"}]
CUTS = [
    *[(pair, (2, 5, 9)) for pair in (("fp16", "ema"), ("plain_arithmetic", "channels_last"))],
    *[pytest.param(pair, (1, 4, 6, 11), marks=pytest.mark.full) for pair in PAIRS],
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images.csv")


def started(folder: Path, data: Path, model: dict[str, Any] = CNN, **training: Any) -> Run:
    return Run.new(folder, small_experiment(data, model=model, training=training))


@pytest.mark.parametrize(("pair", "steps"), CUTS)
def test_fault_12_pairs_of_features_cut_at_a_step_equal_the_uncut_run(
    tmp_path: Path, data: Path, pair: tuple[str, str], steps: Sequence[int]
) -> None:
    settings = {**FEATURES[pair[0]], **FEATURES[pair[1]]}
    uncut = started(tmp_path / "uncut", data, **settings)
    assert uncut.start().step == STEPS

    run = started(tmp_path / "cut", data, **settings)
    assert cut_at(run, steps).step == STEPS
    assert run.lines() == uncut.lines()
    assert same(run.final(), uncut.final())


LAYOUTS = ["plain", "ema", "channels_last", "bf16", "fp16", "recomputed"]


@pytest.mark.parametrize(
    "writer",
    [
        *LAYOUTS[:2],
        *(pytest.param(layout, marks=pytest.mark.further) for layout in LAYOUTS[2:]),
    ],
)
def test_a_checkpoint_loads_in_every_other_layout(tmp_path: Path, data: Path, writer: str) -> None:
    run = started(tmp_path, data, **FEATURES.get(writer, {}))
    run.start(at_step(3, Stop()))
    names = run.final()["model"].keys()
    for step, reader in enumerate(LAYOUTS, 4):
        run.experiment = small_experiment(data, model=CNN, training=FEATURES.get(reader, {}))
        assert run.resume(at_step(step, Stop())).step == step
        assert run.final()["model"].keys() == names
        moments = run.final()["optimizer"]["state"]["head.output.weight"]
        assert float(moments["step"]) == step


def test_channels_last_changes_the_memory_and_not_the_numbers(tmp_path: Path, data: Path) -> None:
    plain = started(tmp_path / "plain", data)
    last = started(tmp_path / "last", data, channels_last=True)
    plain.start()
    last.start()
    model = last.task().model
    kernel = model.get_parameter("blocks.1.conv.weight")
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    for name, weights in plain.final()["model"].items():
        torch.testing.assert_close(last.final()["model"][name], weights, atol=1e-4, rtol=1e-3)


def test_recomputing_blocks_gives_the_same_bits(tmp_path: Path, data: Path) -> None:
    plain = started(tmp_path / "plain", data)
    again = started(tmp_path / "again", data, gradient_checkpointing=True)
    plain.start()
    again.start()
    assert again.lines() == plain.lines()
    assert same(again.final()["model"], plain.final()["model"])


def test_recomputing_keeps_less_in_memory() -> None:
    kept = 0

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    def measured(model: nn.Module) -> int:
        nonlocal kept
        kept = 0
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(torch.randn(8, 16)).sum().backward()
        return kept

    def deep() -> nn.Module:
        model = nn.Sequential()
        parts = [nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16)) for _ in range(4)]
        model.add_module("blocks", nn.Sequential(*parts))
        model.blocks = model.get_submodule("blocks")
        return model

    recomputed = deep()
    recompute_blocks(recomputed)
    whole, less = measured(deep()), measured(recomputed)
    assert less < whole / 2


def test_a_copy_of_a_model_recomputes_and_keeps_modes_for_itself() -> None:
    model = nn.Sequential()
    model.add_module("blocks", nn.Sequential(*(nn.BatchNorm1d(4) for _ in range(2))))
    freeze(model, ["blocks.0"])
    recompute_blocks(model)
    copied = deepcopy(model).train()
    copied(torch.randn(8, 4)).sum().backward()
    frozen, trained = copied.get_submodule("blocks").children()
    assert (frozen.training, trained.training) == (False, True)
    assert trained.state_dict()["num_batches_tracked"] == 1
    assert not any("num_batches" in name and tensor for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_without_blocks_cannot_be_recomputed(tmp_path: Path, data: Path) -> None:
    run = started(tmp_path, data, {"type": "linear"}, gradient_checkpointing=True)
    with pytest.raises(ConfigError, match="linear has no blocks to recompute"):
        run.task()


def test_the_mean_is_what_is_validated_tested_and_kept_as_best(tmp_path: Path, data: Path) -> None:
    plain = started(tmp_path / "plain", data)
    meant = started(tmp_path / "meant", data, ema_decay=0.99)
    plain.start()
    outcome = meant.start()
    raw, ema = meant.final()["model"], meant.final()["ema"]
    # The training itself is not touched by it.
    assert same(raw, plain.final()["model"])
    assert not same(ema["head.output.weight"], raw["head.output.weight"])
    validated = [line["val/loss"] for line in meant.lines() if "val/loss" in line]
    assert validated != [line["val/loss"] for line in plain.lines() if "val/loss" in line]
    assert outcome.test is not None


def test_the_mean_of_a_run_that_began_without_one_begins_at_the_checkpoint(
    tmp_path: Path, data: Path
) -> None:
    run = started(tmp_path, data)
    run.start(at_step(6, Stop()))
    run.experiment = small_experiment(data, model=CNN, training={"ema_decay": 0.5})
    assert run.resume(at_step(7, Stop())).step == 7
    assert run.final()["ema"] is not None


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_computes_in_it_and_keeps_float32(
    tmp_path: Path, data: Path, precision: str
) -> None:
    run = started(tmp_path, data, precision=precision)
    seen: set[torch.dtype] = set()
    task = run.task()
    layer = task.model.get_submodule("head.output")
    layer.register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
    outputs, _ = task.forward({"input": torch.randn(2, 1, 4, 4), "target": torch.zeros(2)})
    assert seen == {torch.bfloat16 if precision == "bf16" else torch.float16}
    assert outputs.dtype == torch.float32
    assert run.start().state == "finished"
    assert all(w.dtype in (torch.float32, torch.int64) for w in run.final()["model"].values())


def test_a_loss_scale_that_overflows_is_halved_and_its_step_left_out(
    tmp_path: Path, data: Path
) -> None:
    run = started(tmp_path, data, precision="fp16")
    run.start(at_step(1, Stop()))
    checkpoint = run.final()
    assert checkpoint["scaler"]["scale"] == 65536.0

    huge = small_experiment(
        data, model=CNN, training={"precision": "fp16"}, optimizer={"type": "sgd", "lr": 0.01}
    )
    other = Run.new(tmp_path / "other", huge)
    task = other.task()
    state = state_of(task)
    weights = {name: w.clone() for name, w in task.model.named_parameters()}
    state.clear_gradients()
    outputs, _ = task.forward({"input": torch.randn(4, 1, 4, 4), "target": torch.zeros(4)})
    state.backward(outputs.sum() * 1e36)
    state.unscale_gradients()
    state.update(1)
    for name, parameter in task.model.named_parameters():
        assert torch.equal(parameter, weights[name]), name
    scaler = state.snapshot().scaler
    assert scaler is not None
    assert scaler["scale"] == 32768.0


def test_left_out_steps_are_told_and_too_many_end_the_run(tmp_path: Path, data: Path) -> None:
    run = Run.new(
        tmp_path,
        small_experiment(
            data,
            model={"type": "linear"},
            training={"precision": "fp16", "epochs": 40, "grad_clip_norm": None},
            loss={"type": "cross_entropy", "class_weights": [1e30, 1e30, 1e30]},
            early_stopping={"patience": None},
        ),
    )
    outcome = run.start()
    told = [e.text for e in run.events if isinstance(e, Notice) and e.text.startswith("fp16")]
    assert told
    assert outcome.state == "failed"
    assert "gradient norm is" in outcome.reason


def test_frozen_layers_do_not_move_and_keep_their_statistics(tmp_path: Path, data: Path) -> None:
    run = started(tmp_path, data, freeze=["blocks.0"])
    before = {name: t.clone() for name, t in run.task().model.state_dict().items()}
    run.start()
    after = run.final()["model"]
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor) == name.startswith("blocks.0"), name
    started_event = next(event for event in run.events if isinstance(event, RunStarted))
    trained = sum(p.numel() for p in run.task().model.parameters() if p.requires_grad)
    assert started_event.trained_parameters == trained
    total = sum(p.numel() for p in run.task().model.parameters())
    assert started_event.parameters == total > trained
    told = describe(started_event)[0]
    assert f": {total:,} parameters, {trained:,} trained on cpu" in told
    view = RunView()
    view.apply(started_event)
    assert RunView.from_dict(view.to_dict()).model.trained_parameters == trained
    frozen = preview(run.experiment, run.directory.path.parent)
    assert (frozen.parameters, frozen.trained_parameters) == (total, trained)
    assert sizes(frozen, 200)[0].startswith(f"{total:,} parameters, {trained:,} trained · ")


def test_a_name_that_is_not_there_and_a_model_with_nothing_left_are_refused() -> None:
    model = nn.Sequential()
    model.add_module("body", nn.Linear(2, 2))
    model.add_module("head", nn.Linear(2, 2))
    with pytest.raises(ConfigError, match=r"no layer 'bodi' \(did you mean 'body'\?\)"):
        freeze(model, ["bodi"])
    with pytest.raises(ConfigError, match="this freezes the whole model"):
        freeze(model, ["*"])
    assert names_matching(["*.bias"], dict(model.named_parameters()), "k") == {
        "body.bias",
        "head.bias",
    }


def test_a_run_starts_from_the_weights_of_another(tmp_path: Path, data: Path) -> None:
    first = started(tmp_path / "first", data)
    first.start()
    best = first.final()
    second = started(
        tmp_path / "second", data, init_from=str(tmp_path / "first"), freeze=["blocks"]
    )
    second.start(at_step(3, Stop()))
    blocks = {n: w for n, w in second.final()["model"].items() if n.startswith("blocks")}
    weights = best["model"] if best["best"] is None else best["best"]
    assert same(blocks, {name: weights[name] for name in blocks})
    notes = next(e for e in second.events if isinstance(e, RunStarted)).notes
    assert any(note.startswith("weights taken from step ") for note in notes)
    # A resume does not need the other run any more.
    for file in (tmp_path / "first" / "checkpoints").iterdir():
        file.unlink()
    assert second.resume(at_step(5, Stop())).step == 5


def small_mlp(outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 2), nn.Linear(2, outputs))


def test_weights_of_another_model_are_refused_with_the_way_out() -> None:
    here, other = small_mlp(), small_mlp(5).state_dict()
    with pytest.raises(BadInput, match=r"1\.weight is 5x2 there and 3x2 here.*init_skip=\[1\]"):
        take_weights(here, other, (), "step 3 of run")
    note = take_weights(here, other, ["1"], "step 3 of run")
    assert note == "weights taken from step 3 of run: 6 of 15 parameters"
    assert torch.equal(here.get_parameter("0.weight"), other["0.weight"])


def test_what_is_to_be_left_out_leaves_something_to_take() -> None:
    inside = nn.ModuleDict({"net": small_mlp()})
    other = nn.ModuleDict({"net": small_mlp(5)}).state_dict()
    hint = r"init_skip=\[net\.1\.weight, net\.1\.bias\]"
    with pytest.raises(BadInput, match=hint):
        take_weights(inside, other, (), "weights.pt")
    note = take_weights(inside, other, ["net.1.weight", "net.1.bias"], "weights.pt")
    assert note == "weights taken from weights.pt: 6 of 15 parameters"


@pytest.mark.parametrize(
    "prefix", ["_orig_mod.", "module.", "model.", "module._orig_mod.", "net.encoder."]
)
def test_a_prefix_of_every_name_is_removed_and_noted(prefix: str) -> None:
    here, plain = small_mlp(), small_mlp().state_dict()
    note = take_weights(here, {prefix + name: one for name, one in plain.items()}, (), "w.pt")
    assert same(dict(here.state_dict()), dict(plain))
    said = f"weights taken from w.pt: 15 of 15 parameters; the prefix '{prefix}' of its names"
    assert note == f"{said} was removed"


def test_tensors_beside_the_prefixed_ones_are_counted() -> None:
    here, there = small_mlp(), small_mlp()
    averaged = torch.optim.swa_utils.AveragedModel(there).state_dict()
    assert "n_averaged" in averaged, "the data is as the test needs it"
    note = take_weights(here, averaged | {"criterion.scale": torch.ones(2)}, (), "w.pt")
    assert same(dict(here.state_dict()), dict(there.state_dict()))
    assert note.endswith("; 2 of its 6 tensors are not in the model")


def test_the_prefix_of_the_whole_model_is_meant_and_not_that_of_a_part() -> None:
    here = nn.ModuleDict({"head": nn.Linear(2, 3), "net": nn.ModuleDict({"head": nn.Linear(2, 3)})})
    plain = {name: torch.randn_like(one) for name, one in here.state_dict().items()}
    take_weights(here, plain, (), "plain.pt")
    assert same(dict(here.state_dict()), plain)
    take_weights(here, {f"net.{name}": one * 2 for name, one in plain.items()}, (), "w.pt")
    assert same(dict(here.state_dict()), {name: one * 2 for name, one in plain.items()})


def test_of_two_prefixes_none_is_guessed() -> None:
    here, plain = small_mlp(), small_mlp().state_dict()
    before = {name: one.clone() for name, one in here.state_dict().items()}
    pair = {f"{who}.{name}": one for who in ("teacher", "student") for name, one in plain.items()}
    there, wanted = r"it has teacher\.0\.weight 2x2, .* and 5 more", r"wants 0\.weight 2x2, "
    with pytest.raises(BadInput, match=rf"nothing in w\.pt fits: {there}; the model {wanted}"):
        take_weights(here, pair, (), "w.pt")
    # Names without a prefix beside names with one: some are of another model.
    mixed = {f"model.{name}": one for name, one in plain.items()} | {"0.bias": plain["0.bias"]}
    with pytest.raises(BadInput, match=r"0\.weight is missing there"):
        take_weights(here, mixed, (), "w.pt")
    assert same(dict(here.state_dict()), before)


@pytest.mark.parametrize("skip", [["0", "1"], ["*"]])
def test_weights_of_which_nothing_is_taken_are_refused(skip: list[str]) -> None:
    plain = small_mlp().state_dict()
    there = r"w\.pt, which has 0\.weight 2x2, 0\.bias 2, 1\.weight 3x2 and 1 more"
    with pytest.raises(BadInput, match=rf"init_skip leaves out everything, .*{there}"):
        take_weights(small_mlp(), plain, skip, "w.pt")


def test_statistics_that_fit_do_not_count_as_weights_taken() -> None:
    def model(width: int) -> nn.Sequential:
        return nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, 1, bias=False))

    with pytest.raises(BadInput, match=r"nothing in w\.pt fits"):
        take_weights(model(2), model(3).state_dict(), (), "w.pt")


def test_weights_come_from_a_plain_file_too(tmp_path: Path, data: Path) -> None:
    model = started(tmp_path / "a", data).task().model
    torch.save({"state_dict": model.state_dict(), "epoch": 3}, tmp_path / "weights.pt")
    run = started(tmp_path / "b", data, init_from=str(tmp_path / "weights.pt"), seed=5)
    assert same(run.task().model.state_dict(), model.state_dict())
    (tmp_path / "bad.pt").write_bytes(b"no pickle")
    with pytest.raises(BadInput, match=r"bad\.pt: holds something other than tensors"):
        started(tmp_path / "c", data, init_from=str(tmp_path / "bad.pt")).task()
    with pytest.raises(BadInput, match="no such file or run"):
        started(tmp_path / "d", data, init_from=str(tmp_path / "none.pt")).task()


def test_weights_of_a_wrapped_model_are_those_of_the_plain_one(tmp_path: Path, data: Path) -> None:
    model = started(tmp_path / "a", data).task().model
    torch.save(nn.DataParallel(model).state_dict(), tmp_path / "parallel.pt")
    task = started(tmp_path / "b", data, init_from=str(tmp_path / "parallel.pt"), seed=5).task()
    assert same(task.model.state_dict(), model.state_dict())
    assert any("the prefix 'module.' of its names was removed" in n for n in task.dataset.notes)


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_model_trains_and_its_checkpoint_loads_without(
    tmp_path: Path, data: Path
) -> None:
    run = started(tmp_path, data, {"type": "mlp", "layers": [8]}, compile=True, epochs=1)
    assert run.start().state == "finished"
    assert set(run.final()["model"]) == {
        "hidden.0.linear.weight",
        "hidden.0.linear.bias",
        "head.weight",
        "head.bias",
    }


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_sequences_of_different_length_are_not_compiled() -> None:
    class Lengths(nn.Module):
        """Fails where it is traced."""

        def forward(self, inputs: torch.Tensor, lengths: torch.Tensor | None = None) -> Any:
            assert not torch.compiler.is_compiling()
            return inputs.sum(1), lengths

    forward = Forward(Lengths(), compiled=True)
    batch = {
        "input": torch.ones(2, 3),
        "target": torch.zeros(2),
        "lengths": torch.tensor([3, 1]),
    }
    (outputs, lengths), carry = forward(batch)
    assert outputs.tolist() == [3.0, 3.0]
    assert lengths is batch["lengths"]
    assert carry is None


def test_a_pause_that_gives_the_device_back_keeps_the_mean(tmp_path: Path, data: Path) -> None:
    quiet = started(tmp_path / "quiet", data, ema_decay=0.9)
    quiet.start()
    run = started(tmp_path / "run", data, ema_decay=0.9)

    def go_on(event: Event) -> tuple[GoOn, ...]:
        return (GoOn(),) if isinstance(event, StateChanged) and event.state == "paused" else ()

    pause = at_step(5, Pause(offload=True))
    run.start(lambda event: (*pause(event), *go_on(event)))
    assert run.lines() == quiet.lines()
    assert same(run.final(), quiet.final())
    assert any(isinstance(event, StepsTaken) for event in run.events)


def test_a_carry_is_zeroed_in_the_rows_that_begin_anew() -> None:
    class Counter(nn.Module):
        def advance(
            self, inputs: torch.Tensor, carry: tuple[torch.Tensor, ...] | None
        ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
            before = torch.zeros(len(inputs), 1) if carry is None else carry[0]
            now = before + inputs.float().sum(1)[:, None]
            return now, (now,)

    forward = Forward(Counter(), stateful=True)
    ones, none = torch.ones(3, 2), torch.zeros(3)
    _, carry = forward({"input": ones, "target": none})
    outputs, carry = forward({"input": ones, "target": none}, carry)
    assert outputs[:, 0].tolist() == [4, 4, 4]
    some, all_rows = torch.tensor([False, True, False]), torch.tensor([True, True, True])
    outputs, carry = forward({"input": ones, "target": none, "fresh": some}, carry)
    assert outputs[:, 0].tolist() == [6, 2, 6]
    outputs, _ = forward({"input": ones, "target": none, "fresh": all_rows}, carry)
    assert outputs[:, 0].tolist() == [2, 2, 2]
