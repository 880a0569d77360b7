"""The named weights of `workflow/weights.yaml`, on disk."""

from collections.abc import Mapping
from pathlib import Path

from florilegium.core.errors import UserError, unknown
from florilegium.core.sources import Weights
from florilegium.core.validate import parse, read_yaml
from florilegium.data.download import Unavailable, download
from florilegium.data.fetch import verify


def read_catalogue(path: Path) -> dict[str, Weights]:
    """The entries of the file by name; raises `UserError` for an unknown key in it."""
    return {name: parse(Weights, entry, f"{path.name}: {name}") for name, entry in read_yaml(path).items()}


def look_up(name: str, catalogue: Mapping[str, Weights]) -> Weights:
    """The entry of that name; raises `UserError` with the nearest one when there is none."""
    if name not in catalogue:
        raise unknown("weights", name, catalogue, "init.weights")
    return catalogue[name]


def kept(name: str, weights: Weights, folder: Path) -> Path:
    """The path of the file of `name`, once it is downloaded or put there by hand."""
    return folder / f"{name}{Path(weights.source.file).suffix}"


def locate(name: str, weights: Weights, folder: Path) -> Path:
    """The file of `name` below `folder`, verified.

    Raises:
        UserError: it is absent or has another checksum; the sentence says where to get it and where to put it.
    """
    path = kept(name, weights, folder)
    try:
        if not path.is_file():
            raise Unavailable("it is not there")
        verify(path, weights.source)
    except Unavailable as error:
        raise UserError(f"{path}: {error}; {_by_hand(path, weights)}") from None
    return path


def obtain(name: str, weights: Weights, folder: Path) -> Path:
    """`locate`, after a download from the first address that answers when the file is absent."""
    path = kept(name, weights, folder)
    failures = []
    for url in () if path.is_file() else weights.source.urls:
        try:
            download(url, path, resume=weights.source.sha256 is not None)
            break
        except Unavailable as error:
            failures.append(f"{url}: {error}")
    if failures and not path.is_file():
        raise UserError(
            f"weights {name} cannot be had ({'; '.join(failures)}); on another machine, {_by_hand(path, weights)}"
        )
    return locate(name, weights, folder)


def _by_hand(path: Path, weights: Weights) -> str:
    return f"get {weights.source.file} from {' or '.join(weights.source.urls)} and put it at {path}"
