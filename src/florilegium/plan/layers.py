"""What several files say of one experiment, merged, so that an error can name the file that set the key."""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from florilegium.core.attention_settings import Attention
from florilegium.core.attribution_settings import Attribution
from florilegium.core.errors import UserError, unknown
from florilegium.core.sampling import Samples
from florilegium.core.schema import ArmEntry, ExperimentEntry, Overlay
from florilegium.core.spec import Model
from florilegium.core.strict import Strict
from florilegium.core.tasks import TaskName
from florilegium.core.validate import parse

SECTIONS = ("data", "model", "recipe")
EXTRAS: dict[str, type[Strict]] = {"attention": Attention, "attribution": Attribution, "samples": Samples}
S = TypeVar("S", bound=Strict)


@dataclass(frozen=True)
class Layer:
    """Values of one file for one experiment, with the file's name for error sentences.

    A general layer is for several experiments: it changes what is looked at of their attention, and
    does not ask for it.
    """

    where: str
    values: Mapping[str, Any]
    general: bool = False


def values_of(entry: ExperimentEntry | ArmEntry | Overlay) -> dict[str, Any]:
    """What it says of an experiment, by section."""
    return {section: getattr(entry, section) for section in (*SECTIONS, "init", *EXTRAS)}


def overlay_layers(name: str, overlays: Sequence[tuple[str, str, Overlay]]) -> list[Layer]:
    """A layer for each overlay of the experiment; one that does not name it alone is general."""
    return [
        Layer(source, values_of(o), pattern != name)
        for pattern, source, o in overlays
        if fnmatch.fnmatchcase(name, pattern)
    ]


def section_of(model: type[S], section: str, layers: list[Layer], place: str) -> S:
    """Merge one section over all layers; a key's error names the layer that set it last."""
    merged: dict[str, Any] = {}
    origin = place
    for layer in layers:
        for key, value in (layer.values.get(section) or {}).items():
            if key not in model.model_fields:
                raise unknown("key", key, model.model_fields, f"{layer.where}: {place}: {section}")
            merged[key] = value
            origin = layer.where
    try:
        return parse(model, merged, f"{place}: {section}")
    except UserError as error:
        key = str(error).removeprefix(f"{place}: {section}: ").split(" = ")[0]
        setter = next(
            (layer.where for layer in reversed(layers) if key in (layer.values.get(section) or {})), origin
        )
        raise UserError(f"{setter}: {error}") from None


def extra_of(name: str, layers: list[Layer], model: Model, task: TaskName, place: str) -> Any:
    """What else is asked of a trained network, when a layer that is not general asks for it."""
    if all(layer.values.get(name) is None for layer in layers if not layer.general):
        return None
    extra = section_of(EXTRAS[name], name, layers, place)
    if isinstance(extra, Attention):
        extra.check_model(model, place)
    if isinstance(extra, Attribution) and task != "classification":
        raise UserError(f"{place}: attribution: explains classifiers alone, and this is {task}; take it out")
    return extra
