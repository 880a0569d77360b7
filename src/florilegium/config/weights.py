"""Pretrained weights: where they are published, and what a person has in their place."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from florilegium.config.base import AtLeastOne, Name, Strict, Where, named
from florilegium.config.data import check_weight_file
from florilegium.config.datasets import DatasetOverride, LocalFile, RemoteFile, check_checksums, check_overrides
from florilegium.core.errors import Mistakes, UserError, unknown
from florilegium.core.files import local_path

HUB_FILE = "model.safetensors"
Names = Literal["own", "by_order"]
NAMES = (
    "names of the entries in the file. own: the network's, or others that timm knows how to read; by_order: of another "
    "framework, whose entries stand in the order of the network's"
)


class HubFile(Strict):
    """A file of a repository on the Hugging Face Hub."""

    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    file: Name = HUB_FILE
    revision: str = Field("main", description="a commit, or the name of a branch or a tag")
    sha256: str | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        check_checksums(self)
        return self


class PackagedFile(Strict):
    """A file that an installed Python package ships; `path` starts at the folder of all packages."""

    package: Name
    version: str
    path: str
    sha256: str | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        check_checksums(self)
        if self.path.startswith("/") or ".." in self.path.split("/"):
            raise ValueError(f"path: '{self.path}' must be a path inside the package; mend it")
        return self


class Weights(Strict):
    """One entry of `workflow/weights.yaml`: pretrained weights and their source."""

    model: str = Field(description="the `model.name` that the weights are for")
    source: RemoteFile | None = None
    hub: HubFile | None = None
    package: PackagedFile | None = None
    timm: Name | None = Field(None, description="a name of timm with its tag, whose own configuration says where")
    names: Names = Field("own", description=NAMES)
    n_classes: AtLeastOne | None = Field(None, description="number of classes of the head in the file")
    title: str = Field("", description="what reports call them; empty: their name")
    homepage: str = ""
    citation: str = ""
    terms: str = ""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if sum(x is not None for x in (self.source, self.hub, self.package, self.timm)) != 1:
            raise ValueError("give exactly one of source, hub, package and timm")
        if self.published is not None:
            check_weight_file(self.published.file)
        return self

    @property
    def published(self) -> RemoteFile | None:
        """The file by its published name, with its checksums; None where timm alone knows it."""
        if self.source is not None:
            return self.source
        if self.hub is not None:
            return RemoteFile(file=self.hub.file, sha256=self.hub.sha256)
        if self.package is not None:
            return RemoteFile(file=Path(self.package.path).name, sha256=self.package.sha256)
        return None


class WeightsOverride(DatasetOverride):
    """What `config.yaml` says of weights: other sources of the published file, or a file in their place."""

    file: str | None = Field(None, description="a file on this machine, in place of all that is published")
    sha256: str | None = Field(None, description="of `file`; null: it is not verified")
    model: str | None = Field(None, description="the `model.name` that `file` is for; null: that of the published name")
    names: Names | None = Field(None, description=NAMES)
    title: str = Field("", description="what reports call them; empty: their name")

    @model_validator(mode="after")
    def _one_file(self) -> Self:
        if self.file is None:
            if given := [key for key in ("sha256", "model", "names", "title") if getattr(self, key)]:
                raise ValueError(f"{given[0]}: belongs to file, and there is none; give file, or take it out")
            return self
        if self.files or self.mirrors:
            raise ValueError("file: stands in place of all that is published; take out files and mirrors")
        check_weight_file(self.file)
        check_checksums(self)
        return self

    @property
    def paths(self) -> dict[str, Path]:
        return super().paths | ({} if self.file is None else {own_name(self.file): local_path(self.file)})

    @property
    def places(self) -> DatasetOverride:
        """The other sources, of which the file in place of the published one is one."""
        own = {} if self.file is None else {own_name(self.file): LocalFile(path=self.file, sha256=self.sha256)}
        return DatasetOverride(mirrors=self.mirrors, files={**self.files, **own})


def own_name(path: str) -> Name:
    """What stands for a published name of a person's own file."""
    return f"weights{Path(path).suffix.lower()}"


def with_own(
    catalogue: Mapping[str, Weights], overrides: Mapping[str, WeightsOverride], tags: Collection[str], where: Where
) -> dict[str, Weights]:
    """The catalogue, in which files of the configuration replace entries or add some.

    Args:
        tags: names of timm with published weights, which need no entry.

    Raises:
        UserError, UserErrors: an override of something that has no entry and is no file, or a file without its model.
    """
    mistakes, entries = Mistakes(), dict(catalogue)
    taken: dict[tuple[str, str], str] = {}  # by mirror and file, the first that has it from there
    for name, override in overrides.items():
        place = f"{named(where, ['weights', name])}: weights.{name}"
        with mistakes.caught():
            known = catalogue.get(name) or (Weights(model=name, timm=name) if name in tags else None)
            if override.file is None:
                _check_override(name, override, known, {*catalogue, *like(name, tags)}, named(where, ["weights", name]))
                published = known and known.published
                file = published.file if published else HUB_FILE
                for mirror in () if published and published.sha256 else override.mirrors:
                    if (other := taken.setdefault((mirror, file), name)) != name:
                        why = f"{mirror} has one {file}, and {other} takes it"
                        raise UserError(f"{place}.mirrors: {why}; give each a folder of its own")
                continue
            if known is None and override.model is None:
                raise UserError(f"{place}: the key model is missing; name the network that {override.file} is for")
            own = {"source": RemoteFile(file=own_name(override.file)), "model": override.model, "title": override.title}
            chosen = {key: value for key, value in {**own, "names": override.names}.items() if value}
            before = {} if known is None else known.model_dump(include={"model", "names", "n_classes"})
            entries[name] = Weights.model_validate(before | chosen)
    mistakes.refuse()
    return entries


def like(name: str, tags: Collection[str]) -> list[str]:
    """The tags of the architecture that `name` begins with; if there is none, those that are spelt most alike."""
    architecture = name.partition(".")[0]
    same = [tag for tag in tags if tag.partition(".")[0] == architecture]
    return same or get_close_matches(name, sorted(tags), n=3, cutoff=0.5)


def _check_override(name: str, override: WeightsOverride, known: Weights | None, names: set[str], where: str) -> None:
    if known is None:
        error = unknown("weights", name, names, f"{where}: weights")
        raise UserError(f"{error}; for weights of your own give file and model")
    if known.published is not None:
        check_overrides({name: override}, {name: [known.published]}, "weights", where)
    elif override.files:
        raise UserError(
            f"{where}: weights.{name}.files: {name} has no entry in workflow/weights.yaml, so that timm alone knows "
            "the name of its file; give the path at file"
        )
