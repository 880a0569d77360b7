"""The files that people edit: settings, presets and studies."""

import os
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any, Literal, get_args

from pydantic import Field

from florilegium.config.base import AtLeastOne, Count, Name, NotNegative, Positive, Strict
from florilegium.config.data import Dataset, DatasetOverride
from florilegium.config.experiment import TaskName
from florilegium.config.figures import PlotEntry
from florilegium.config.metrics import Baseline, Published
from florilegium.config.products import Audit
from florilegium.core.errors import UserError

TrackerName = Literal["wandb"]
TRACKERS = "FLORILEGIUM_TRACKERS"


def check_trackers(names: Iterable[TrackerName]) -> None:
    """Raise `UserError` for the first tracker whose package is not installed."""
    for name in names:
        if find_spec(name) is None:
            raise UserError(f"config.yaml: trackers: {name} is not installed; pip install {name}, or take it out")


def request_trackers(names: Iterable[TrackerName]) -> None:
    """Make the stages that this process starts use these trackers and no others."""
    os.environ[TRACKERS] = ",".join(names)


def requested_trackers() -> tuple[TrackerName, ...]:
    """The trackers that this stage is to use."""
    named = os.environ.get(TRACKERS, "").split(",")
    return tuple(name for name in get_args(TrackerName) if name in named)


class ArmEntry(Strict):
    """One arm of an experiment: what differs from the experiment, and why."""

    note: str = Field("", description="names the quirk that the arm keeps or mends")
    data: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)
    init: dict[str, Any] | None = None
    attention: dict[str, Any] | None = None
    attribution: dict[str, Any] | None = None
    samples: dict[str, Any] | None = None
    lr_factor: NotNegative = Field(1.0, description="multiplies the resolved learning rate")
    published: tuple[Published, ...] = Field((), strict=False)
    baseline: Baseline | None = None
    seeds: tuple[Count, ...] | None = Field(None, strict=False)


class ExperimentEntry(Strict):
    """An experiment as a study file writes it. `base` names another entry to inherit from."""

    base: Name | None = None
    abstract: bool = Field(False, description="only inherited from, never run")
    title: str = Field("", description="`{network}` and `{first_weights}` in it become what is true of the preset")
    network: str = Field(
        "",
        description="what the study calls its network, such as ViT-B/16; empty: its base's. Where another one is "
        "trained in its place, titles say which",
    )
    first_weights: str = Field(
        "", description="what the study's weights were trained on, such as ImageNet-21k; empty: its base's"
    )
    task: TaskName | None = Field(None, description="null: its base's, and classification at last")
    data: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)
    init: dict[str, Any] | None = None
    attention: dict[str, Any] | None = Field(
        None, description="look at the attention of the trained network; {} takes every default"
    )
    attribution: dict[str, Any] | None = Field(
        None, description="say which pixels the trained network answers by; {} takes every default"
    )
    samples: dict[str, Any] | None = Field(None, description="sets of images to make with the trained generator")
    arms: dict[Name, ArmEntry] = Field(default_factory=dict)
    grid: dict[str, list[Any]] = Field(
        default_factory=dict, description="`section.key`: values; one experiment each, named after them"
    )


class StudyFile(Strict):
    """`workflow/studies/<study>.yaml`."""

    title: str
    document: str = Field(description="the study, as published")
    stands_in_for: dict[Name, str] = Field(
        default_factory=dict,
        description="data sets that are not the study's own though the best to be had: by name, what they stand in for; "
        "no figure is held against what was measured on others",
    )
    experiments: dict[Name, ExperimentEntry]
    figures: tuple[PlotEntry, ...] = Field(
        (), strict=False, description="what the study argues from, beside the figures that every study has"
    )


class Overlay(Strict):
    """What a preset or `config.yaml` changes of an experiment; it wins over the study file."""

    data: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)
    init: dict[str, Any] | None = Field(None, description="in place of the study's first weights; {}: random ones")
    seeds: tuple[Count, ...] | None = Field(
        None, strict=False, description="of every arm, but for those that name theirs here"
    )
    attention: dict[str, Any] | None = Field(
        None, description="for several experiments (`all`, a glob): of those alone whose attention is looked at anyway"
    )
    attribution: dict[str, Any] | None = Field(
        None, description="for several experiments: of those alone that are explained anyway"
    )
    samples: dict[str, Any] | None = Field(None, description="as attention: of those alone that have samples anyway")
    arms: dict[Name, ArmEntry] = Field(default_factory=dict)
    skip: bool = Field(False, description="leave the experiment out of this preset")
    skip_arms: tuple[Name, ...] = Field((), strict=False, description="leave these of its arms out, where it has them")


class StudyOverlay(Strict):
    """What a preset changes of a whole study, and of single experiments of it."""

    all: Overlay = Field(default_factory=Overlay)
    experiments: dict[str, Overlay] = Field(default_factory=dict, description="by name or glob; what stands lower wins")


class Preset(Strict):
    """`workflow/presets/<preset>.yaml`: how large everything is."""

    title: str
    note: str = Field("", description="what is smaller than in the studies; stands in every comparison")
    seeds: tuple[Count, ...] = Field(strict=False)
    share_process: bool = Field(False, description="the seeds of an experiment share one process")
    datasets: dict[Name, Name] = Field(default_factory=dict, description="data sets that stand in for others")
    studies: dict[Name, StudyOverlay] = Field(default_factory=dict)


class Card(Strict):
    """The accelerator that estimates of GPU hours assume, as its data sheet has it: dense rates, in 10^12 operations
    a second."""

    name: str = "NVIDIA H200"
    teraflops_16bit: Positive = Field(989.0, description="bf16 and fp16, on matrix units")
    teraflops_tf32: Positive = Field(
        495.0, description="TF32 on matrix units, which torch takes for convolutions in fp32"
    )
    teraflops_32bit: Positive = Field(67.0, description="fp32, which all other products of fp32 are made in")
    terabytes: Positive = Field(4.8, description="a second, from its memory and back, in 10^12 bytes")
    launch_microseconds: Positive = Field(
        45.0, description="that its host takes for a kernel of a step: no data sheet says it"
    )


class Settings(Strict):
    """`config.yaml`, the one file that a user edits."""

    preset: Name = "demo"
    studies: tuple[Name, ...] = Field((), strict=False, description="empty: all")
    seeds: tuple[Count, ...] | None = Field(None, strict=False, description="null: the preset's")
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    gpus_per_training: AtLeastOne = Field(1, description="on a CPU: processes")
    deterministic: bool = Field(
        True, description="on a GPU, kernels that repeat their bits where there are such; a CPU always does"
    )
    trackers: tuple[TrackerName, ...] = Field((), strict=False, description="beside TensorBoard; offline")
    corrupt_images: Literal["stop", "skip"] = "stop"
    bad_boxes: Literal["stop", "drop"] = Field(
        "stop", description="boxes that are empty, inverted, outside their image or not finite"
    )
    rerun_on_versions: bool = Field(
        False, description="another version of a package (torch, Pillow, ...) re-runs the stages that use it"
    )
    audit: Audit = Field(default_factory=Audit)
    estimates: Card = Field(default_factory=Card, description="what `snakemake gpu_hours` assumes")
    datasets: dict[Name, DatasetOverride] = Field(
        default_factory=dict, description="local files or mirrors of a data set of workflow/datasets.yaml"
    )
    weights: dict[Name, DatasetOverride] = Field(
        default_factory=dict, description="local files or mirrors of weights of workflow/weights.yaml"
    )
    own_datasets: dict[Name, Dataset] = Field(default_factory=dict, description="data sets of one's own")
    stand_ins: dict[Name, Name] = Field(
        default_factory=dict, description="data sets that stand in for others; wins over the preset's"
    )
    experiments: dict[str, Overlay] = Field(
        default_factory=dict, description="`study/experiment`, globs allowed: changes"
    )
    own_studies: tuple[str, ...] = Field((), strict=False, description="study files of one's own, as paths")
