"""The random changes to training batches of a plugin's images, for `@dataset(augment="images")`.

Layer: data. They are those of the built-in images, with 0 as the background.
"""

from __future__ import annotations

from tui_trainer.config.problem_specs import ProblemName, base_of
from tui_trainer.config.sections.datasets import ImagesSection, RowsSection
from tui_trainer.data.base.augment import augment_images, check_changes
from tui_trainer.data.base.in_turn import Augment
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.text.errors import BadInput, ConfigError, Problem


def augment_of(section: RowsSection, info: DatasetInfo) -> Augment | None:
    """Return the changes that the settings of a data set ask for, or None.

    Raises:
        BadInput: the data have no images, or cannot be changed so.
    """
    if not isinstance(section, ImagesSection):
        return None
    field, signature = info.names[0], info.signature
    if signature.kind != "image":
        raise BadInput(
            f"dataset {section.type}: augment='images' changes the first field, but {field} is not "
            "an image (C, H, W) of floats; leave it out"
        )
    check_changes(section, signature.input_shape, "x".join(map(str, signature.input_shape)))
    if section.mixup is not None and (obstacle := _obstacle_to_mixup(info)):
        raise ConfigError([Problem(f"{obstacle}; leave it empty", "dataset.mixup")])
    classes = len(info.classes) if info.base == "classification" else 0
    has_masks = signature.places == "pixel"
    return augment_images(section, 0.0, classes, field, has_masks=has_masks)


def _obstacle_to_mixup(info: DatasetInfo) -> str:
    if info.base == "segmentation":
        return "masks cannot be mixed: a pixel of two images would have two classes"
    if len(info.names) > 1:
        return f"only {info.names[0]} would be mixed, but samples have {', '.join(info.names)}"
    return ""


def has_soft_targets(section: RowsSection, problem: ProblemName) -> bool:
    """Whether the changes turn classes into shares of classes."""
    is_mixed = isinstance(section, ImagesSection) and section.mixup is not None
    return is_mixed and base_of(problem) == "classification"
