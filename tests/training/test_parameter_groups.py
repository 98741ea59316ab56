"""Groups of parameters: the arithmetic is torch's, runs can be cut, and misuse is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn, optim

from tests.plugins import restored
from tests.training.harness import Run, at_step, both, cut_at, same, small_experiment, write_images
from tests.training.test_flat_optimizer import assert_same, give_gradients, parameters
from tests.training.test_optimizers import section_of, small
from tests.training.test_recipes import EXAMPLES, gan
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import with_value
from tui_trainer.config.plugin_loader import load_plugins
from tui_trainer.config.presets import PresetLibrary
from tui_trainer.config.sections.training import Arithmetic
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.runs.commands import Set, Stop
from tui_trainer.runs.config_file import read_config
from tui_trainer.runs.edits import read_edits
from tui_trainer.runs.events import CommandApplied, Notice, RunStarted
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.sessions.preview import preview
from tui_trainer.text.errors import ConfigError
from tui_trainer.training.average import Average
from tui_trainer.training.checkpoints import read_checkpoint
from tui_trainer.training.exactness import compare_cuts
from tui_trainer.training.layer_depth import depths_of
from tui_trainer.training.optimizers import build_optimizer
from tui_trainer.training.parameter_groups import frozen_in
from tui_trainer.training.state import State

CPU = torch.device("cpu")
CNN = {"type": "cnn", "channels": [4, 4], "dropout": 0.2, "norm": "batch"}
MLP = {"type": "mlp", "layers": [8, 6]}
GROUPS: list[dict[str, Any]] = [
    {"match": "head", "lr": 0.02, "weight_decay": 0, "schedule": {"type": "constant"}},
    {"match": "*.0", "freeze_until": 6, "schedule": "cosine"},
    {"match": ["*.bias"], "lr_factor": 2.0, "decay": "all"},
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images.csv")


def grouped(data: Path, kind: str, arithmetic: str = "fused", **training: Any) -> Experiment:
    """Groups with clipping, accumulation and a mean of the weights; a batch norm is frozen, too."""
    groups = GROUPS if kind != "sgd" else [{**GROUPS[0], "momentum": 0.5}, *GROUPS[1:]]
    own = {"momentum": 0.9} if kind == "sgd" else {}
    return small_experiment(
        data,
        model=MLP if kind == "muon" else CNN,
        optimizer={"type": kind, "lr": 0.01, "layer_decay": 0.7, "groups": groups, **own},
        training={"arithmetic": arithmetic, "ema_decay": 0.9, **training},
    )


PATHS = [
    ("adamw", "fused"),
    ("sgd", "plain"),
    pytest.param("rmsprop", "fused", marks=pytest.mark.further),
    pytest.param("adam", "plain", marks=pytest.mark.full),
    pytest.param("muon", "fused", marks=pytest.mark.full),
]


@pytest.mark.parametrize(("kind", "arithmetic"), PATHS)
def test_a_run_with_groups_is_cut_at_every_step(
    tmp_path: Path, data: Path, kind: str, arithmetic: str
) -> None:
    experiment = grouped(data, kind, arithmetic, epochs=None, max_steps=9, validate_every_steps=2)
    edit = Set(key="optimizer.groups.0.lr", value=0.03)
    whole = Run.new(tmp_path / "whole", experiment)
    assert whole.start(at_step(3, edit)).step == 9
    # Every step is a cut of one of the two.
    for first in (1, 2):
        cut = Run.new(tmp_path / f"cut-{first}", experiment)
        assert cut_at(cut, range(first, 9, 2), at_step(3, edit)).step == 9
        assert cut.lines() == whole.lines()
        assert same(cut.final(), whole.final())


def test_a_recipe_with_a_frozen_part_is_cut_at_every_step(tmp_path: Path, data: Path) -> None:
    """The generator is frozen at first: the updates that its recipe asks for do nothing."""
    with restored():
        load_plugins([EXAMPLES / "gan.py"])
        groups = [
            {"match": "generator", "freeze_until": 3, "lr_factor": 0.5},
            {"match": "*.bias", "lr": 0.02},
        ]
        experiment = with_value(gan(data, tmp_path), "optimizer.groups", groups)
        edit = Set(key="optimizer.groups.0.freeze_until", value=4)
        proof = compare_cuts(experiment, 6, tmp_path, edit=edit, edited_at=1)
        assert proof.holds, proof.text
        run = Run.new(tmp_path / "run", with_value(experiment, "checkpoint.every_steps", 1))
        run.start(at_step(1, edit))
    assert moving_steps(run, "generator.0.weight") == [4, 5]
    assert moving_steps(run, "critic.1.weight") == [2, 3, 4, 5]


def moving_steps(run: Run, name: str) -> list[int]:
    """The steps, from the second on, that changed a parameter; the last one has a rate of 0."""
    weights = {
        manifest.step: read_checkpoint(run.directory.checkpoints, manifest).data.state.model[name]
        for manifest in read_manifests(run.directory.checkpoints)
    }
    return [step for step in weights if step > 1 and not weights[step].equal(weights[step - 1])]


@pytest.mark.parametrize("arithmetic", ["fused", "plain"])
@pytest.mark.parametrize("kind", ["sgd", "adamw", "rmsprop"])
def test_the_bits_of_groups_are_those_of_torch(kind: str, arithmetic: Arithmetic) -> None:
    """Groups with settings of their own, one of them frozen at first, beside the others."""
    momentum = {"momentum": 0.9} if kind == "sgd" else {}
    own: list[dict[str, Any]] = [
        {"match": "0", "lr": 0.02, "weight_decay": 0},
        {"match": "[1-3]", "freeze_until": 4},
        {"match": ["6", "7"], "lr_factor": 0.5, "decay": "all"},
        {"match": "[6-9]", "weight_decay": 0.2, "decay": "matrices"},
    ]
    settings = {"type": kind, "weight_decay": 0.1, "decay": "matrices", "groups": own, **momentum}
    section = section_of(settings)
    ours, theirs = parameters(), parameters()
    built = build_optimizer(section, ours, arithmetic=arithmetic)
    state = State(ours, built, CPU, average=Average(ours, 0.9), arithmetic=arithmetic)
    rates = [0.02, *[0.01] * 5, *[0.005] * 2, *[0.01] * 3]
    decays = [0.0 if p.ndim < 2 else 0.1 for p in theirs]
    decays[0], decays[6:10] = 0.0, [0.1, 0.1, 0.2, 0.0]
    optimizer = of_torch(kind, arithmetic, list(zip(theirs, rates, decays, strict=True)), momentum)
    for step in range(1, 9):
        state.freeze_groups(frozen_in(section.groups, step))
        for number in (1, 2, 3):
            theirs[number].requires_grad_(step >= 4)
        give_gradients(ours, step)
        give_gradients(theirs, step)
        state.set_lr(0.01 / step, [lr / step for lr in (0.02, 0.01, 0.005, 0.01)])
        for group, lr in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = lr / step
        if arithmetic == "plain":
            norm = state.gradient_norm()
            state.scale_gradients(torch.clamp(0.5 / (norm + 1e-6), max=1.0))
            assert norm.equal(nn.utils.clip_grad_norm_(theirs.parameters(), 0.5))
        state.update(step)
        optimizer.step()
        assert_same(ours, theirs)
    saved = state.snapshot().optimizer["state"]
    for name, parameter in theirs.named_parameters():
        entry = optimizer.state[parameter]
        assert {key: value.tolist() for key, value in saved[name].items()} == {
            key: value.tolist() for key, value in entry.items() if value is not None
        }


def of_torch(
    kind: str,
    arithmetic: Arithmetic,
    settings: list[tuple[nn.Parameter, float, float]],
    arguments: dict[str, Any],
) -> optim.Optimizer:
    """The optimizer of torch with a group for each parameter, of a rate and a decay."""
    kinds: Any = {"sgd": optim.SGD, "adamw": optim.AdamW, "rmsprop": optim.RMSprop}
    form = {"foreach": kind == "rmsprop"} if arithmetic == "fused" else {"foreach": False}
    if arithmetic == "fused" and kind != "rmsprop":
        form = {"fused": True}
    groups = [{"params": [p], "lr": lr, "weight_decay": decay} for p, lr, decay in settings]
    made: optim.Optimizer = kinds[kind](groups, **arguments, **form)
    return made


def test_edits_of_groups_are_recorded_and_replayed_and_others_are_refused(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", grouped(data, "adamw"))
    edits = [
        Set(key="optimizer.groups.0.lr", value=0.5),
        Set(key="optimizer.groups.1.freeze_until", value=4),
        Set(key="optimizer.groups.2.lr", value=1.0),
        Set(key="optimizer.groups.0.match", value="blocks"),
        Set(key="optimizer.groups.7.lr", value=1.0),
        Set(key="optimizer.layer_decay", value=0.5),
    ]
    run.start(both(at_step(2, *edits), at_step(5, Stop())))
    run.resume()
    made = read_edits(run.directory.edits)
    assert [(e.key, e.old, e.new) for e in made] == [
        ("optimizer.groups.0.lr", 0.02, 0.5),
        ("optimizer.groups.1.freeze_until", 6, 4),
    ]
    answers = {e.id: e.refused for e in run.events if isinstance(e, CommandApplied)}
    refused = [answers[edit.id] for edit in edits[2:]]
    assert "set this or lr, not both" in refused[0]
    assert refused[1].startswith("optimizer.groups.0.match cannot be edited while training")
    assert refused[2].startswith("no setting 'optimizer.groups.7.lr' (did you mean")
    assert refused[3].startswith("optimizer.layer_decay cannot be edited while training")
    notes = [(e.step, e.text) for e in run.events if isinstance(e, Notice)]
    assert (3, "the next step is the first that trains *.0") in notes
    final = run.final()["optimizer"]
    rates = {name: group["lr"] for group in final["param_groups"] for name in group["params"]}
    assert rates["head.output.weight"] == 0.5
    counts = {name: int(entry["step"]) for name, entry in final["state"].items()}
    assert (counts["head.output.weight"], counts["blocks.0.conv.weight"]) == (12, 9)


def test_a_frozen_norm_keeps_its_statistics_until_it_is_trained(tmp_path: Path, data: Path) -> None:
    groups = [{"match": "blocks.0", "freeze_until": 4}]
    optimizer = {"type": "sgd", "groups": groups}
    run = Run.new(
        tmp_path / "run",
        small_experiment(data, model=CNN, optimizer=optimizer, checkpoint={"every_steps": 1}),
    )
    run.start(at_step(6, Stop()))
    assert moving_steps(run, "blocks.0.norm.running_mean") == [4, 5, 6]
    assert moving_steps(run, "blocks.0.conv.weight") == [4, 5, 6]
    assert moving_steps(run, "blocks.1.norm.running_mean") == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("arithmetic", ["fused", "plain"])
def test_an_edit_may_freeze_all_that_is_trained(
    tmp_path: Path, data: Path, arithmetic: str
) -> None:
    experiment = small_experiment(
        data,
        optimizer={"type": "adam", "groups": [{"match": "*", "freeze_until": 1}]},
        training={"arithmetic": arithmetic, "precision": "fp16"},
        checkpoint={"every_steps": 1},
    )
    run = Run.new(tmp_path / "run", experiment)
    freeze_again = Set(key="optimizer.groups.0.freeze_until", value=5)
    run.start(both(at_step(2, freeze_again), at_step(6, Stop())))
    assert moving_steps(run, "head.weight") == [2, 5, 6]
    warned = [(e.step, e.text) for e in run.events if isinstance(e, Notice) and e.level != "note"]
    assert warned == [(2, "nothing is trained before step 5")]


def test_a_shared_parameter_has_all_of_its_names() -> None:
    tied = small(tied=True)
    section = section_of({"type": "adam", "groups": [{"match": "head.weight", "lr": 0.5}]})
    groups = build_optimizer(section, tied).param_groups
    assert [[p.shape for p in group["params"]] for group in groups if "group" in group] == [
        [tied.embedding.weight.shape]
    ]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.ReLU(), nn.Linear(2, 2)), [1, 1, 0]),
        (small(), [4, 3, 2, 1, 0]),
        (
            nn.ModuleDict(
                {
                    "stem": nn.Linear(2, 2),
                    "blocks": nn.ModuleList(nn.Sequential(nn.Linear(2, 2)) for _ in range(3)),
                    "norm": nn.LayerNorm(2),
                    "head": nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)),
                }
            ),
            [4, 3, 2, 1, 0, 0, 0],
        ),
    ],
    ids=["row", "children", "blocks"],
)
def test_the_rate_decays_with_the_depth_as_in_beit(model: nn.Module, expected: list[int]) -> None:
    depths = depths_of(model)
    of_layers = [
        {depths[p] for p in module.parameters(recurse=False)}
        for module in model.modules()
        if any(True for _ in module.parameters(recurse=False))
    ]
    assert of_layers == [{depth} for depth in expected]
    section = section_of({"type": "sgd", "lr": 0.1, "layer_decay": 0.5})
    optimizer = build_optimizer(section, model)
    State(model, optimizer, CPU).set_lr(0.1)
    rates = {p: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates == {p: pytest.approx(0.1 * 0.5**depth) for p, depth in depths.items()}


REFUSED = [
    ([{"match": "hed.*"}], "groups.0.match", "did you mean 'head'?"),
    (
        [{"match": "head"}, {"match": "head.*"}],
        "groups.1.match",
        "is in optimizer.groups.0 already",
    ),
    ([{"match": "*", "freeze": True}], "groups", "freezes the whole model"),
    ([{"match": "*", "freeze_until": 3}], "groups.0.freeze_until", "before step 3"),
]


@pytest.mark.parametrize(("groups", "key", "words"), REFUSED, ids=[key for _, key, _ in REFUSED])
def test_groups_that_do_not_fit_the_model_are_refused_with_their_line(
    tmp_path: Path, data: Path, groups: list[dict[str, Any]], key: str, words: str
) -> None:
    written = tmp_path / "experiment.yaml"
    values = small_experiment(data, optimizer={"type": "adam", "groups": groups}).to_dict()
    written.write_text(to_yaml(values))
    experiment = PresetLibrary([]).experiment(str(written))
    with pytest.raises(ConfigError) as refused:
        preview(experiment, tmp_path)
    (problem,) = refused.value.problems
    assert (problem.key, problem.source) == (f"optimizer.{key}", str(written))
    assert words in problem.message
    assert problem.line is not None
    line = written.read_text().splitlines()[problem.line - 1]
    assert line.strip().removeprefix("- ").startswith(key.rpartition(".")[2])


def test_a_run_says_what_it_is_too_short_for(tmp_path: Path, data: Path) -> None:
    warm_up = {"type": "cosine", "warmup_steps": 4}
    groups = [
        {"match": "*.bias", "schedule": {"type": "constant", "warmup_steps": 12}},
        {"match": "head", "freeze_until": 12},
        {"match": "blocks.0", "freeze_until": 10, "schedule": warm_up},
        {"match": "blocks.*", "freeze_until": 13, "schedule": warm_up},
    ]
    experiment = small_experiment(
        data,
        model=CNN,
        optimizer={"type": "adamw", "groups": groups},
        schedule={"type": "cosine", "warmup_steps": 13},
        training={"init_skip": ["head"]},
    )
    run = Run.new(tmp_path / "run", experiment)
    run.start(at_step(1, Stop()))
    run.resume(at_step(2, Stop()))
    first, resumed = (event.notes for event in run.events if isinstance(event, RunStarted))
    said = [
        "training.init_skip has no effect: name what to take weights from (training.init_from)",
        "the warm-up lasts longer than the run: schedule.warmup_steps is 13, and the run ends at "
        "step 12",
        "the warm-up lasts longer than the run: optimizer.groups.2.schedule.warmup_steps is 4 from "
        "step 10, and the run ends at step 12",
        "blocks.* is never trained: freeze_until is 13, and the run ends at step 12",
    ]
    assert [note for note in first if note in said] == said
    assert not {*said} & {*resumed}
    assert [note for note in preview(experiment, tmp_path).notes if note in said] == said


def test_settings_of_a_frozen_group_are_refused_except_in_a_run_that_has_them(
    tmp_path: Path, data: Path
) -> None:
    groups = [{"match": "head", "lr": 1.0}, {"match": "blocks.0", "freeze": True}]
    optimizer = {"type": "sgd", "momentum": 0.9, "groups": groups}
    run = Run.new(tmp_path / "run", small_experiment(data, model=CNN, optimizer=optimizer))
    config = run.directory.config
    idle = r"\1freeze: true\n\1lr: 0.5\n\1weight_decay: 0\n\1momentum: 0.5\n"
    config.write_text(re.sub(r"( +)freeze: true\n", idle, config.read_text()))
    with pytest.raises(ConfigError) as refused:
        PresetLibrary([]).experiment(str(config))
    lines = config.read_text().splitlines()
    problems = refused.value.problems
    told = [(problem.key, lines[(problem.line or 0) - 1].strip()) for problem in problems]
    assert told == [
        ("optimizer.groups.1.lr", "lr: 0.5"),
        ("optimizer.groups.1.weight_decay", "weight_decay: 0"),
        ("optimizer.groups.1.momentum", "momentum: 0.5"),
    ]
    assert {problem.message for problem in problems} == {
        "has no effect in a group with freeze: true; leave out either this or freeze"
    }
    assert read_config(run.directory).get("optimizer.groups.1.lr") == 0.5


def test_a_preview_says_how_each_group_is_trained(tmp_path: Path, data: Path) -> None:
    groups = [
        {"match": "head", "lr": 0.5, "schedule": "constant"},
        {"match": "blocks.0", "freeze": True},
        {"match": "*.norm", "weight_decay": 0.0, "freeze_until": 7},
    ]
    optimizer = {"type": "adamw", "lr": 0.1, "groups": groups, "layer_decay": 0.5}
    shown = preview(small_experiment(data, model=CNN, optimizer=optimizer), tmp_path)
    assert [(group.match, group.text) for group in shown.groups] == [
        ("head", "lr 0.5, constant schedule, decay 0.01 of 12"),
        ("blocks.0", "frozen"),
        ("*.norm", "lr 0.05, decay 0, frozen until step 7"),
        ("", "lr 0.05, decay 0.01"),
    ]
    assert shown.groups[2].names == ("blocks.1.norm.weight", "blocks.1.norm.bias")
