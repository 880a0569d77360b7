"""The pretrained weights of `workflow/weights.yaml`, by name, and their files on disk."""

from collections.abc import Mapping
from pathlib import Path

from florilegium.config.base import Where, named, parse, read_yaml
from florilegium.config.data import DatasetOverride, Weights, check_overrides
from florilegium.core.errors import Mistakes, UserError, unknown
from florilegium.data.fetch import Verified, mismatch
from florilegium.data.fetch import obtain as obtain_file


def read_catalogue(
    path: Path, overrides: Mapping[str, DatasetOverride] | None = None, where: Where = "config.yaml"
) -> dict[str, Weights]:
    """Every entry of the file, by name. `overrides`, `weights` of the configuration (`where`), may name only what the
    file holds; raises `UserError` or `UserErrors` for what is misspelt in either."""
    mistakes = Mistakes()
    catalogue = {}
    file = f"{path.parent.name}/{path.name}"
    entries = read_yaml(path, file)
    for name, entry in entries.items():
        with mistakes.caught():
            catalogue[name] = parse(Weights, entry, f"{file}: {name}")
    published = {name: [entry.source] for name, entry in catalogue.items()}
    for name, override in (overrides or {}).items():
        with mistakes.caught():
            if name in catalogue or name not in entries:
                check_overrides({name: override}, published, "weights", named(where, ["weights", name]))
    mistakes.refuse()
    return catalogue


def look_up(name: str, catalogue: Mapping[str, Weights]) -> Weights:
    """The entry of that name; raises `UserError` with the nearest one when there is none."""
    if name not in catalogue:
        raise unknown("weights", name, catalogue, "init.weights")
    return catalogue[name]


def obtain(name: str, weights: Weights, folder: Path, override: DatasetOverride | None = None) -> Verified:
    """The file of `name`, verified.

    It is taken from the path in `override`; else from `<folder>/<name>` with the suffix of the published file,
    where a person may put it by hand; else it is downloaded into the folder `<folder>/<name>`.
    Raises `UserError` if no place has it, or if the person's own file, which stays, is not the published one.
    """
    source = weights.source.model_copy(update={"optional": False})
    override = override or DatasetOverride()
    by_hand = folder / f"{name}{Path(source.file).suffix}"
    advice = f"get {source.file} from {' or '.join(source.urls)} and put it at {by_hand}"
    if by_hand.is_file() and source.file not in override.files:
        if reason := mismatch(by_hand, source):
            raise UserError(f"{by_hand}: {reason}; {advice}, or remove it to have it downloaded")
        return Verified(source.file, by_hand.as_posix(), by_hand)
    otherwise = f"or, on another machine, {advice}"
    verified = obtain_file(f"weights {name}", f"weights.{name}", source, override, folder / name, otherwise=otherwise)
    assert verified is not None, "only an optional file may be absent"
    return verified
