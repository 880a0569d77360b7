"""Typed models of everything that a person writes: data sets, studies, presets and settings."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from florilegium.core.recipe import AtLeastOne, Count, Fraction, NotNegative, Strict

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$")]
Split = Literal["train", "val", "test"]
STAND_IN = "the project's own rendering"

# --- data sets -----------------------------------------------------------------------------


class RemoteFile(Strict):
    """One file of a data set: where it is published and what it must contain."""

    file: Name
    urls: tuple[str, ...] = Field((), strict=False)
    md5: str | None = None
    sha256: str | None = None
    optional: bool = Field(False, description="the data set is usable without it")


class Rendering(Strict):
    """A data set that the project draws itself; see `florilegium.data.synthetic`."""

    scene: Literal["flowers17", "flowers102"]
    seed: Count = 0
    size: AtLeastOne = 32
    per_class: AtLeastOne = 20


class Dataset(Strict):
    """A source of labelled images: published archives, a folder of the user's, or a rendering."""

    title: str = ""
    layout: Literal["oxford17", "oxford102", "folders"]
    files: tuple[RemoteFile, ...] = Field((), strict=False)
    folder: str | None = Field(None, description="folders: a folder of one's own, one subfolder a class")
    rendered: Rendering | None = None
    classes: tuple[str, ...] = Field((), strict=False, description="class names in label order")
    official_splits: Count = Field(0, description="how many published splits there are to choose from")
    citation: str = ""
    terms: str = ""
    homepage: str = ""

    @model_validator(mode="after")
    def _one_origin(self) -> "Dataset":
        if sum([bool(self.files), self.folder is not None, self.rendered is not None]) != 1:
            raise ValueError("give exactly one of files, folder and rendered")
        return self


class LocalFile(Strict):
    """A file that stands in for a published one; without a checksum it is taken as it is."""

    path: str
    md5: str | None = None
    sha256: str | None = None


class DatasetOverride(Strict):
    """What `config.yaml` may say about a data set of `workflow/datasets.yaml`."""

    mirrors: tuple[str, ...] = Field(
        (), strict=False, description="folders or addresses that are tried first; the file's name is appended"
    )
    files: dict[Name, LocalFile | Literal["absent"]] = Field(
        default_factory=dict, description="a local file in place of a published one"
    )


# --- the audit -----------------------------------------------------------------------------


class Audit(Strict):
    """When two images are called the same picture."""

    radius: Count = Field(
        10, description="largest Hamming distance of two 64-bit pHashes; distances are even"
    )
    pixel_threshold: NotNegative = Field(
        0.02, description="largest mean squared difference of the 32 x 32 RGB thumbnails in [0, 1]"
    )
    contrast_share: NotNegative = Field(
        0.35, description="largest share of that difference in the summed variance of both thumbnails"
    )
    dihedral: bool = Field(True, description="look for the eight flips and rotations")


# --- studies -------------------------------------------------------------------------------


class DataUse(Strict):
    """Which images of a data set an experiment trains, validates and tests on.

    `holdout` takes a seeded stratified part of the training images for validation and test: the
    data set's own splits are then merged, and selection must be `last`.
    """

    dataset: Name
    storage_size: AtLeastOne = Field(256, description="side in pixels of the packed images")
    train: tuple[Split, ...] = Field(("train",), strict=False)
    val: tuple[Split, ...] = Field(("val",), strict=False)
    test: tuple[Split, ...] = Field(("test",), strict=False)
    holdout: Fraction | None = None
    clean: tuple[Name, ...] = Field(
        (),
        strict=False,
        description="data sets whose validation and test pictures are dropped from training; its own name: doubles across its splits",
    )

    @model_validator(mode="after")
    def _disjoint(self) -> "DataUse":
        if self.holdout is None:
            for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
                both = set(getattr(self, a)) & set(getattr(self, b))
                if both:
                    raise ValueError(f"{a}, {b}: both hold the split {sorted(both)[0]}, so images would leak")
        elif not 0 < self.holdout < 1:
            raise ValueError("holdout: must lie between 0 and 1")
        return self


class Init(Strict):
    """Where the first weights come from: a run of another experiment, a file, or a named entry of
    `workflow/weights.yaml`. The run of the same seed is taken."""

    experiment: Name | None = None
    arm: Name = "corrected"
    file: str | None = None
    weights: Name | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "Init":
        if sum(x is not None for x in (self.experiment, self.file, self.weights)) != 1:
            raise ValueError("give exactly one of experiment, file and weights")
        return self


class Published(Strict):
    """A figure as the study printed it; a single number is a range of itself."""

    metric: Name
    low: float
    high: float
    source: str = Field(description="where in the study document it stands")
    note: str = ""

    @field_validator("low", "high", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Baseline(Strict):
    """The experiment and arm that a paired test is made against."""

    experiment: Name
    arm: Name = "corrected"


class ArmEntry(Strict):
    """One arm of an experiment: what differs from the experiment, and why."""

    note: str = Field("", description="names the quirk that the arm keeps or mends")
    data: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)
    init: dict[str, Any] | None = None
    lr_factor: NotNegative = Field(1.0, description="multiplies the resolved learning rate")
    published: tuple[Published, ...] = Field((), strict=False)
    baseline: Baseline | None = None
    seeds: tuple[Count, ...] | None = Field(None, strict=False)


class ExperimentEntry(Strict):
    """An experiment as a study file writes it. `base` names another entry to inherit from."""

    base: Name | None = None
    abstract: bool = Field(False, description="only inherited from, never run")
    title: str = ""
    data: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)
    init: dict[str, Any] | None = None
    arms: dict[Name, ArmEntry] = Field(default_factory=dict)
    grid: dict[str, list[Any]] = Field(
        default_factory=dict, description="`section.key`: values; one experiment each, named after them"
    )


class StudyFile(Strict):
    """`workflow/studies/<study>.yaml`."""

    title: str
    document: str = Field(description="the study, as published")
    experiments: dict[Name, ExperimentEntry]


class Model(Strict):
    """A network by its registered name and what its constructor takes."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


# --- presets and settings ------------------------------------------------------------------


class Overlay(Strict):
    """What a preset or `config.yaml` changes of an experiment; it wins over the study file."""

    data: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)
    arms: dict[Name, ArmEntry] = Field(default_factory=dict)
    skip: bool = Field(False, description="leave the experiment out of this preset")


class StudyOverlay(Strict):
    """What a preset changes of a whole study, and of single experiments of it."""

    all: Overlay = Field(default_factory=Overlay)
    experiments: dict[Name, Overlay] = Field(default_factory=dict)


class Preset(Strict):
    """`workflow/presets/<preset>.yaml`: how large everything is."""

    title: str
    note: str = Field("", description="what is smaller than in the studies; stands in every comparison")
    comparable: bool = Field(description="whether the figures may be held against the published ones")
    seeds: tuple[Count, ...] = Field(strict=False)
    share_process: bool = Field(False, description="the seeds of an experiment share one process")
    datasets: dict[Name, Name] = Field(default_factory=dict, description="data sets that stand in for others")
    studies: dict[Name, StudyOverlay] = Field(default_factory=dict)


class Settings(Strict):
    """`config.yaml`, the one file that a user edits."""

    preset: Name = "demo"
    studies: tuple[Name, ...] = Field((), strict=False, description="empty: all")
    seeds: tuple[Count, ...] | None = Field(None, strict=False, description="null: the preset's")
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    gpus_per_training: AtLeastOne = Field(1, description="on a CPU: processes")
    corrupt_images: Literal["stop", "skip"] = "stop"
    rerun_on_versions: bool = Field(
        False, description="another version of a package (torch, Pillow, ...) re-runs the stages that use it"
    )
    audit: Audit = Field(default_factory=Audit)
    datasets: dict[Name, DatasetOverride] = Field(
        default_factory=dict, description="local files or mirrors of a data set of workflow/datasets.yaml"
    )
    own_datasets: dict[Name, Dataset] = Field(default_factory=dict, description="data sets of one's own")
    experiments: dict[str, Overlay] = Field(default_factory=dict, description="`study/experiment`: changes")
    own_studies: tuple[str, ...] = Field((), strict=False, description="study files of one's own, as paths")


# --- pretrained weights --------------------------------------------------------------------


class Weights(Strict):
    """One entry of `workflow/weights.yaml`: published weights, and whose they are."""

    model: str = Field(description="the name that `model.name` takes to fit them")
    source: RemoteFile
    n_classes: AtLeastOne = Field(description="classes of the head that they hold")
    homepage: str = ""
    citation: str = ""
    terms: str = ""
