"""The names of settings as people type them: short names, and the names other programs use.

Layer: config, without pydantic, because the command line reads its words and completes them without
it. `settings.txt` beside this file lists every setting of every type; a test keeps it equal to the
sections.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

from tui_trainer.text.clean import suggest
from tui_trainer.text.errors import BadInput

SETTINGS_FILE = Path(__file__).with_name("settings.txt")

OTHER_NAMES: dict[str, str] = {
    **dict.fromkeys(("learning_rate", "learningrate", "base_lr", "init_lr", "step_size"), "lr"),
    **dict.fromkeys(("wd", "l2", "weightdecay", "l2_penalty"), "weight_decay"),
    **dict.fromkeys(
        ("bs", "batch", "batchsize", "train_batch_size", "per_device_train_batch_size"),
        "batch_size",
    ),
    **dict.fromkeys(("num_epochs", "max_epochs", "n_epochs", "nepochs", "epoch"), "epochs"),
    **dict.fromkeys(("num_train_epochs", "number_of_epochs"), "epochs"),
    **dict.fromkeys(("steps", "num_steps", "max_iters", "iterations", "total_steps"), "max_steps"),
    **dict.fromkeys(("max_time", "time_limit"), "max_seconds"),
    **dict.fromkeys(("grad_clip", "clip", "max_grad_norm", "clip_grad_norm"), "grad_clip_norm"),
    **dict.fromkeys(("gradient_clip_val", "clip_norm"), "grad_clip_norm"),
    **dict.fromkeys(
        ("accumulate_grad_batches", "gradient_accumulation_steps", "grad_accum", "accumulation"),
        "grad_accumulation",
    ),
    **dict.fromkeys(("random_seed", "manual_seed", "random_state", "rng_seed"), "seed"),
    **dict.fromkeys(
        ("workers", "n_workers", "num_data_workers", "dataloader_workers"), "num_workers"
    ),
    **dict.fromkeys(("amp", "mixed_precision", "dtype"), "precision"),
    **dict.fromkeys(("gpu", "gpus", "accelerator"), "device"),
    **dict.fromkeys(("ema", "ema_beta"), "ema_decay"),
    **dict.fromkeys(("warmup", "num_warmup_steps", "warmup_iters"), "warmup_steps"),
    **dict.fromkeys(("smoothing", "labelsmoothing"), "label_smoothing"),
    **dict.fromkeys(("drop_rate", "dropout_rate", "p_dropout"), "dropout"),
    **dict.fromkeys(("num_heads", "n_heads", "n_head", "nhead"), "heads"),
    **dict.fromkeys(("num_layers", "n_layers", "n_layer"), "layers"),
    **dict.fromkeys(("pretrained", "checkpoint_path", "weights"), "init_from"),
    **dict.fromkeys(("label", "labels", "target_column", "label_column"), "target"),
    **dict.fromkeys(("data_path", "data_dir", "csv", "file"), "path"),
    **dict.fromkeys(("param_groups", "parameter_groups", "paramwise_cfg"), "groups"),
    **dict.fromkeys(("lr_mult", "lr_scale", "lr_multiplier"), "lr_factor"),
    **dict.fromkeys(("layerwise_decay", "layer_lr_decay", "llrd", "lr_decay_rate"), "layer_decay"),
    **dict.fromkeys(("unfreeze_at", "unfreeze_step", "freeze_steps"), "freeze_until"),
    **dict.fromkeys(("opt", "optim"), "optimizer"),
    **dict.fromkeys(("scheduler", "lr_scheduler", "lr_schedule"), "schedule"),
    **dict.fromkeys(("net", "network", "arch", "architecture"), "model"),
    **dict.fromkeys(("criterion", "loss_fn", "objective"), "loss"),
    **dict.fromkeys(("data", "ds"), "dataset"),
}
"""The last part of a key, or a section, by other names that the field has for it."""


def keys_named(name: str, keys: Iterable[str]) -> list[str]:
    """Return the keys whose last part is this name; settings inside of lists have no short name."""
    return [key for key in keys if key.rpartition(".")[2] == name and key.count(".") < 2]


def full_key(word: str, keys: Collection[str]) -> str:
    """Return the key for a word that may be its last part alone: `lr` is `optimizer.lr`.

    A word with a dot is returned as it is, whether there is such a key or not.

    Raises:
        BadInput: several keys end in the word, or none does; names those that may be meant.
    """
    if "." in word or word in keys:
        return word
    found = keys_named(word, keys)
    if len(found) > 1:
        raise BadInput(f"more than one setting has this name; write {_any_of(found)}")
    if not found:
        raise BadInput(f"no such setting{suggest_key(word, keys)}")
    return found[0]


def other_name(word: str, keys: Iterable[str]) -> list[str]:
    """Return the keys for which a word is another common name; those in its own section first."""
    section, _, name = word.lower().replace("-", "_").rpartition(".")
    found = keys_named(OTHER_NAMES.get(name, ""), keys) if name in OTHER_NAMES else []
    return [key for key in found if section and key.startswith(f"{section}.")] or found


def suggest_key(word: str, keys: Collection[str]) -> str:
    """Return ` (did you mean 'optimizer.lr'?)` for a word that is no key, or an empty string."""
    found = other_name(word, keys)
    return f" (did you mean {_any_of(map(repr, found))}?)" if found else suggest(word, keys)


def _any_of(words: Iterable[str]) -> str:
    return " or ".join(words)


@cache
def all_settings() -> dict[str, bool]:
    """Return every key that an experiment can have, and whether it can be edited live.

    Types are not known here, so the keys of all of them are listed.
    """
    lines = SETTINGS_FILE.read_text(encoding="utf-8").splitlines()
    keys = (line.partition(" ") for line in lines if "=" not in line)
    return {key: mark == "live" for key, _, mark in keys}


@cache
def all_types() -> dict[str, list[str]]:
    """Return the names of the types by section, such as `cosine` of `schedule`."""
    found: dict[str, list[str]] = {}
    for line in SETTINGS_FILE.read_text(encoding="utf-8").splitlines():
        section, equals, name = line.partition("=")
        if equals:
            found.setdefault(section, []).append(name)
    return found
