"""Fields as a form shows them, and what is typed into them as values."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field as PydanticField

from tui_trainer.config.drafts.fields import Field, best_match, field_at, fields_of, groups_of
from tui_trainer.config.drafts.values import argument_text, entry_text, read_entry
from tui_trainer.config.experiment import PLAIN, REGISTRIES
from tui_trainer.config.sections.section import Items, Section, setting
from tui_trainer.config.yaml.reader import parse_value
from tui_trainer.text.errors import BadInput

CHOSEN = {
    "dataset": "pixels",
    "model": "cnn",
    "optimizer": "adamw",
    "schedule": "one_cycle",
    "loss": "auto",
}


class Odd(Section):
    """Fields such as a plugin could have."""

    words: Items[str] = setting((), "words")
    maybe: Literal["a", "b"] | None = setting(None, "a choice or nothing")
    weights: Literal["none"] | Items[Annotated[float, PydanticField(gt=0)]] = setting("none", "w")
    nested: dict[str, int] = setting({}, "something else")
    mixed: int | str = setting(0, "two kinds")
    sizes: Items[int] | None = setting(None, "sizes or nothing")


def the(key: str, **chosen: str) -> Field:
    found = field_at(key, {**CHOSEN, **chosen})
    assert found is not None
    return found


def odd(name: str) -> Field:
    return next(field for field in fields_of("odd", Odd) if field.key == f"odd.{name}")


def test_every_setting_of_every_type_is_in_exactly_one_group() -> None:
    for section, registry in REGISTRIES.items():
        for spec in registry:
            groups = groups_of({**CHOSEN, section: spec.name})
            keys = [field.key for group in groups for field in group.fields]
            assert len(keys) == len(set(keys))
            own = {f"{section}.{name}" for name in spec.params.model_fields}
            if section in ("recipe", "transform"):
                own = set()  # hidden as long as there is nothing to choose
            assert {key for key in keys if key.startswith(f"{section}.")} == own
            plain = {
                f"{name}.{field}" for name, kind in PLAIN.items() for field in kind.model_fields
            }
            assert plain <= set(keys)


def test_labels_are_unique_within_a_group() -> None:
    for group in groups_of(CHOSEN):
        labels = [field.label for field in group.fields]
        assert len(labels) == len(set(labels))


def test_what_people_change_first_comes_first() -> None:
    groups = {group.title: group for group in groups_of(CHOSEN)}
    assert list(groups)[:3] == ["Training", "Optimizer", "Model"]
    first = [field.key for field in groups["Training"].fields[:2]]
    assert first == ["training.epochs", "training.batch_size"]
    optimizer = [field.key for field in groups["Optimizer"].fields]
    assert optimizer[:3] == ["optimizer.lr", "optimizer.weight_decay", "schedule.type"]


@pytest.mark.parametrize(
    ("key", "advanced"),
    [
        ("training.seed", False),
        ("optimizer.lr", False),
        ("model.dropout", False),
        ("optimizer.eps", True),
        ("optimizer.betas", True),
        ("checkpoint.give_up_s", True),
        ("logging.every_seconds", True),
    ],
)
def test_rarely_changed_fields_are_advanced(key: str, advanced: bool) -> None:
    assert the(key).advanced is advanced


def test_a_group_shows_its_advanced_fields_last() -> None:
    for group in groups_of(CHOSEN):
        flags = [field.advanced for field in group.fields]
        assert flags == sorted(flags)


def test_of_an_unknown_type_only_the_type_can_be_chosen() -> None:
    keys = [f.key for g in groups_of({**CHOSEN, "model": "perceiver"}) for f in g.fields]
    assert [key for key in keys if key.startswith("model.")] == ["model.type"]


@pytest.mark.parametrize(
    ("key", "kind", "optional", "bounds"),
    [
        ("training.epochs", "int", True, "at least 1 or empty"),
        ("training.batch_size", "int", False, "1 to 16,777,216"),
        ("optimizer.lr", "float", False, "above 0, at most 10,000"),
        ("optimizer.betas", "list", False, "2 values, each at least 0, below 1"),
        ("model.channels", "list", False, "1 to 16 values, each 1 to 65,536"),
        ("model.activation", "choice", False, ""),
        ("training.drop_last", "bool", False, ""),
        ("training.device", "text", False, ""),
        ("training.seed", "int", False, "at least 0"),
    ],
)
def test_kind_and_bounds_are_read_off_the_section(
    key: str, kind: str, optional: bool, bounds: str
) -> None:
    field = the(key)
    assert (field.kind, field.optional, field.bounds) == (kind, optional, bounds)


def test_units_and_what_is_live_are_told() -> None:
    assert the("training.batch_size").unit == "samples"
    assert the("optimizer.lr").live
    assert not the("training.batch_size").live


def test_a_type_is_a_choice_with_a_description_of_each() -> None:
    field = the("schedule.type")
    assert field.label == "schedule"
    assert dict(zip(field.choices, field.choice_texts, strict=True)) == {
        spec.name: spec.description for spec in REGISTRIES["schedule"]
    }


def test_kinds_that_no_section_has_are_told_apart() -> None:
    assert (odd("words").kind, odd("words").optional) == ("list", False)
    assert (odd("maybe").kind, odd("maybe").optional) == ("choice", True)
    assert odd("maybe").choices == ("a", "b")
    assert (odd("weights").kind, odd("weights").choices) == ("list", ("none",))
    assert odd("weights").bounds == "none, or a list, each above 0"
    assert (odd("sizes").kind, odd("sizes").optional) == ("list", True)
    assert odd("nested").kind == "other"
    assert odd("mixed").kind == "other"


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        (the("optimizer.lr"), " 3e-4 ", 3e-4),
        (the("training.epochs"), "", None),
        (the("training.epochs"), "12", 12),
        (the("training.drop_last"), "true", True),
        (the("model.channels"), "[32, 64]", [32, 64]),
        (the("model.channels"), "32,64", [32, 64]),
        (the("model.channels"), "32", [32]),
        (the("model.channels"), "", []),
        (the("training.device"), "cuda:0", "cuda:0"),
        (the("dataset.path"), "007", "007"),
        (the("dataset.path"), "true", "true"),
        (the("dataset.path"), "'a b'", "a b"),
        (the("dataset.path"), "C:\\data #1", "C:\\data #1"),
        (odd("words"), "", []),
        (odd("words"), "a b, '1'", ["a b", "1"]),
        (odd("weights"), "none", "none"),
        (odd("weights"), "1, 2.5", [1, 2.5]),
        (odd("sizes"), "", None),
        (odd("maybe"), "", None),
        (odd("nested"), "{a: 1}", {"a": 1}),
        (None, "1e3", 1000.0),
    ],
)
def test_a_text_means_what_its_field_asks_for(field: Field | None, text: str, value: Any) -> None:
    read = read_entry(field, text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (the("optimizer.lr"), " "),
        (the("training.drop_last"), ""),
        (the("dataset.path"), ""),
        (the("model.channels"), "1, ["),
        (the("model.channels"), "[1,"),
        (the("optimizer.lr"), "1e999"),
        (the("dataset.path"), "a\0b"),
    ],
)
def test_a_text_that_means_nothing_is_refused(field: Field, text: str) -> None:
    with pytest.raises(BadInput):
        read_entry(field, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (30.0, "30"),
        (0.003, "0.003"),
        (1e-8, "1e-8"),
        (4e-06, "4e-6"),
        (1e300, "1e300"),
        (-0.0, "-0.0"),
        (True, "true"),
        (None, ""),
        ((32, 64), "[32, 64]"),
        ("cuda:0", "cuda:0"),
        ("1e3", "'1e3'"),
        ("", "''"),
    ],
)
def test_values_are_written_as_one_would_type_them(value: Any, text: str) -> None:
    assert argument_text(value) == text


PRINTABLE = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False) | PRINTABLE
)  # fmt: skip


@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4), max_leaves=6))
def test_every_value_is_read_back_from_its_argument(value: Any) -> None:
    assert parse_value(argument_text(value)) == value


@given(PRINTABLE)
def test_every_text_is_read_back_from_its_field(text: str) -> None:
    assert read_entry(the("dataset.path"), entry_text(text, the("dataset.path"))) == text


@given(st.lists(PRINTABLE, max_size=4))
@example(["\xa0"])
def test_every_list_of_texts_is_read_back_from_its_field(words: list[str]) -> None:
    assert read_entry(odd("words"), entry_text(tuple(words), odd("words"))) == words


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_back_from_its_field(number: float) -> None:
    assert read_entry(the("optimizer.lr"), entry_text(number, the("optimizer.lr"))) == number


def test_a_search_means_a_name_before_a_description() -> None:
    groups = groups_of({"optimizer": "adamw", "schedule": "cosine", "model": "mlp"})

    def meant(text: str) -> str:
        field = best_match(groups, text)
        return field.key if field is not None else ""

    assert meant("lr") == "optimizer.lr"
    assert meant("Weight Decay") == "optimizer.weight_decay"
    assert meant("warm") == "schedule.warmup_steps"
    assert meant("decay weight") == "optimizer.weight_decay"
    assert meant("no such thing") == ""
    assert meant("  ") == ""


@pytest.mark.parametrize("value", [{}, {"id": "number", "a b": "date", "2024": "hash"}])
def test_a_mapping_by_columns_is_typed_as_yaml_and_may_be_empty(value: dict[str, str]) -> None:
    field = the("dataset.kinds", dataset="table")
    text = entry_text(value, field)
    assert read_entry(field, text) == value
    assert (text == "") == (not value)
