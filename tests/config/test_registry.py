"""Registries: what can be named, and how what cannot be is refused."""

from __future__ import annotations

from typing import Any, Literal, get_args

import pytest

from tui_trainer.config.experiment import PLAIN, REGISTRIES
from tui_trainer.config.sections.section import Registry, Spec, TypedSection


class OneSection(TypedSection):
    """A thing."""

    type: Literal["one"]


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_spec_is_found_by_the_only_type_its_section_accepts(kind: str) -> None:
    registry = REGISTRIES[kind]
    assert registry.kind == kind
    assert [spec.name for spec in registry] == list(registry.names)
    for spec in registry:
        assert registry.find(spec.name) is spec
        assert get_args(spec.params.model_fields["type"].annotation) == (spec.name,)
        assert spec.description


def test_every_setting_has_a_description() -> None:
    bare = [
        f"{kind}.{spec.name}.{name}"
        for kind, registry in REGISTRIES.items()
        for spec in registry
        for name, info in spec.params.model_fields.items()
        if name != "type" and not info.description
    ]
    assert bare == []


def test_the_types_of_settings_are_not_texts_that_pydantic_evaluates_at_each_start() -> None:
    kinds = {spec.params for registry in REGISTRIES.values() for spec in registry}
    bases = {base for kind in (*kinds, *PLAIN.values()) for base in kind.__mro__}
    late = {
        f"{base.__module__}.{base.__name__}"
        for base in bases
        if base.__module__.startswith("tui_trainer.")
        and any(isinstance(kind, str) for kind in vars(base).get("__annotations__", {}).values())
    }
    assert late == set()


def test_a_name_that_is_taken_is_refused() -> None:
    registry = Registry("thing")
    first = Spec("one", "a thing", OneSection)
    registry.add(first)
    with pytest.raises(ValueError, match="thing 'one' is built in; give this one another name"):
        registry.add(Spec("one", "another", OneSection))
    assert list(registry) == [first]
    registry.add(Spec("two", "of a plugin", OneSection, origin="a.py:4"))
    with pytest.raises(ValueError, match=r"thing 'two' is registered by a\.py:4, too"):
        registry.add(Spec("two", "of another", OneSection, origin="b.py:9"))


@pytest.mark.parametrize("name", ["os.system", "", None, 1, ["sgd"], {"sgd": 1}])
def test_fault_35_what_is_no_name_of_a_registry_is_not_found(name: Any) -> None:
    registry = REGISTRIES["optimizer"]
    assert registry.find(name) is None
    assert "available: sgd, adam, adamw" in registry.complaint(name)


def test_fault_34_a_complaint_suggests_the_nearest_name() -> None:
    complaint = REGISTRIES["optimizer"].complaint("admw")
    assert complaint.startswith("no optimizer type 'admw' (did you mean 'adamw'?)")


def test_fault_37_a_complaint_is_bounded_and_clean() -> None:
    complaint = REGISTRIES["model"].complaint("\x1b[2J\u202e" + "x" * 100_000)
    assert len(complaint) < 200
    assert complaint.isprintable()
