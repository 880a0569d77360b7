"""The files that people edit: settings, presets and studies."""

import os
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field

from florilegium.config.base import AtLeastOne, Name, Names, Positive, Seeds, Strict, Texts
from florilegium.config.claims import ClaimEntry
from florilegium.config.data import DataUse, DetectionData, Model
from florilegium.config.datasets import Dataset, DatasetOverride
from florilegium.config.figures import PlotEntry
from florilegium.config.metrics import Baseline, Published, TaskName
from florilegium.config.pictures import Pictures
from florilegium.config.products import Audit
from florilegium.config.recipes import DetectionRecipe, GenerationRecipe, Recipe
from florilegium.config.weights import WeightsOverride
from florilegium.core.errors import UserError

TrackerName = Literal["wandb"]
TRACKERS = "FLORILEGIUM_TRACKERS"


def check_trackers(names: Iterable[TrackerName], where: str) -> None:
    """Raise `UserError`, which starts with `where`, for the first tracker whose package is not installed."""
    for name in names:
        if find_spec(name) is None:
            raise UserError(f"{where}: trackers: {name} is not installed; pip install {name}, or take it out")


def request_trackers(names: Iterable[TrackerName]) -> None:
    """Set the trackers of all stages that this process starts."""
    os.environ[TRACKERS] = ",".join(names)


def requested_trackers() -> tuple[TrackerName, ...]:
    """The trackers that this stage uses."""
    named = os.environ.get(TRACKERS, "").split(",")
    return tuple(name for name in get_args(TrackerName) if name in named)


class Sections(Strict):
    """The parts of an experiment that several files may set; each is checked once all files are merged."""

    data: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)
    init: dict[str, Any] | None = Field(None, description="initial weights; {} in an overlay: random ones")
    attention: dict[str, Any] | None = Field(None, description="attention of the trained network; {}: all defaults")
    attribution: dict[str, Any] | None = Field(None, description="pixels that predictions depend on; {}: all defaults")
    samples: dict[str, Any] | None = Field(None, description="sets of images to generate with the trained generator")

    @classmethod
    def belongs(cls, key: str) -> str:
        """The way out for a key that stands one level too high."""
        of = {
            "data": (DataUse, DetectionData),
            "model": (Model,),
            "recipe": (Recipe, DetectionRecipe, GenerationRecipe),
        }
        plain = key.rpartition(".")[2]
        section = next((name for name, kinds in of.items() if any(plain in k.model_fields for k in kinds)), None)
        return f"; {plain} belongs into {section}, so write {section}: {{{plain}: ...}}" if section else ""


class ArmEntry(Sections):
    """One arm of an experiment: its differences from the experiment, and the reason for them."""

    note: str = Field("", description="the quirk that the arm keeps or corrects")
    lr_factor: Positive = Field(1.0, description="factor of the resolved learning rate")
    published: tuple[Published, ...] = Field((), strict=False)
    baseline: Baseline | None = None
    seeds: Seeds | None = None


class ExperimentEntry(Sections):
    """An experiment as a study file writes it. `base` names another entry to inherit from."""

    base: Name | None = None
    abstract: bool = Field(False, description="only a base of other entries, never run")
    title: str = Field("", description="`{network}` and `{first_weights}` are replaced by those of the preset")
    network: str = Field(
        "",
        description="the study's name for its network, such as ViT-B/16; empty: that of the base. Titles say where "
        "another network is trained in its place",
    )
    first_weights: str = Field(
        "", description="training data of the study's initial weights, such as ImageNet-21k; empty: those of the base"
    )
    task: TaskName | None = Field(None, description="null: that of the base, or classification without a base")
    arms: dict[Name, ArmEntry] = Field(default_factory=dict)
    grid: dict[str, list[Any]] = Field(
        default_factory=dict, description="`section.key`: values; an experiment for each combination, named after it"
    )


class StudyFile(Strict):
    """`workflow/studies/<study>.yaml`."""

    title: str
    document: str = Field(description="the published study")
    stands_in_for: dict[Name, str] = Field(
        default_factory=dict,
        description="data sets that replace the study's own, which are not available, and what each replaces; results "
        "on them are not compared with published ones",
    )
    experiments: dict[Name, ExperimentEntry]
    figures: tuple[PlotEntry, ...] = Field((), strict=False, description="figures beside those that every study has")
    claims: tuple[ClaimEntry, ...] = Field((), strict=False, description="its testable sentences, and what tests them")


class Overlay(Sections):
    """The changes of a preset or `config.yaml` to an experiment; they override the study file.

    Attention, attribution and samples of an overlay for several experiments (`all`, a glob) only change experiments
    that have them already.
    """

    seeds: Seeds | None = Field(None, description="seeds of all arms but those that name their own here")
    arms: dict[Name, ArmEntry] = Field(default_factory=dict)
    grid: dict[str, list[Any]] = Field(
        default_factory=dict, description="of an experiment's grid, the values that are kept"
    )
    skip: bool = Field(False, description="leave the experiment out of this preset")
    skip_arms: Names = Field((), description="leave these arms out, where the experiment has them")


class StudyOverlay(Strict):
    """The changes of a preset to a whole study, and to single experiments of it."""

    all: Overlay = Field(default_factory=Overlay)
    experiments: dict[str, Overlay] = Field(
        default_factory=dict, description="by name or glob; later ones override earlier ones"
    )


class Preset(Strict):
    """`workflow/presets/<preset>.yaml`: the size of everything."""

    title: str
    note: str = Field("", description="everything that is smaller than in the studies; part of every comparison")
    seeds: Seeds
    share_process: bool = Field(False, description="run the seeds of an experiment in one process")
    datasets: dict[Name, Name] = Field(default_factory=dict, description="data sets, and their replacements")
    studies: dict[Name, StudyOverlay] = Field(default_factory=dict)


class Card(Strict):
    """The accelerator of the estimates of GPU hours, by its data sheet: dense rates in 10^12 operations per second."""

    name: str = "NVIDIA H200"
    teraflops_16bit: Positive = Field(989.0, description="bf16 and fp16, on matrix units")
    teraflops_tf32: Positive = Field(495.0, description="TF32 on matrix units: convolutions of torch in fp32")
    teraflops_32bit: Positive = Field(67.0, description="fp32: all other products in fp32")
    terabytes: Positive = Field(4.8, description="memory bandwidth in 10^12 bytes per second")
    launch_microseconds: Positive = Field(45.0, description="time of the host per kernel; not on the data sheet")


def _of_an_experiment(key: str) -> str:
    """The key of a change; raises `ValueError` unless it is study/experiment."""
    if "/" not in key:
        raise ValueError("must be written study/experiment: flowers/net is one of flowers, and flowers/* are all of it")
    return key


class Settings(Strict):
    """`config.yaml`, the one file that a user edits."""

    preset: Name = "demo"
    studies: Names = Field((), description="empty: all")
    seeds: Seeds | None = Field(None, description="null: those of the preset")
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    gpus_per_training: AtLeastOne = Field(1, description="on a CPU: number of processes")
    deterministic: bool = Field(True, description="deterministic kernels on a GPU, where they exist; a CPU always is")
    trackers: tuple[TrackerName, ...] = Field((), strict=False, description="trackers beside TensorBoard, offline")
    corrupt_images: Literal["stop", "skip"] = "stop"
    pictures: Pictures = Field(default_factory=Pictures, description="how pictures are read")
    bad_boxes: Literal["stop", "drop"] = Field(
        "stop", description="boxes that are empty, inverted, outside or not finite"
    )
    rerun_on_versions: bool = Field(
        False, description="re-run stages when the version of a package that they use changes"
    )
    audit: Audit = Field(default_factory=Audit)
    estimates: Card = Field(default_factory=Card, description="assumptions of `snakemake gpu_hours`")
    datasets: dict[Name, DatasetOverride] = Field(default_factory=dict, description="other sources of files")
    weights: dict[Name, WeightsOverride] = Field(
        default_factory=dict, description="other sources of files, and files of your own"
    )
    own_datasets: dict[Name, Dataset] = Field(default_factory=dict, description="your own data sets")
    stand_ins: dict[Name, Name] = Field(default_factory=dict, description="more replacements, or others, of data sets")
    experiments: dict[Annotated[str, AfterValidator(_of_an_experiment)], Overlay] = Field(
        default_factory=dict, description="changes by `study/experiment` or a glob"
    )
    own_studies: Texts = Field((), description="paths of your own study files")
