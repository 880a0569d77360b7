"""What a training is called by: what it is in its study."""

from pathlib import Path

import pytest

from florilegium.config.base import read_yaml
from florilegium.plan.plan import PHASES, Plan, shares_seeds
from florilegium.plan.project import load_plan

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def paper() -> Plan:
    """The studies as published, on one official split."""
    split = {"oxford17": {"files": {"datasplits.mat": "absent"}}}
    return load_plan(PROJECT, {**read_yaml(PROJECT / "config.yaml"), "preset": "paper", "datasets": split})


PHASE_OF = {
    "flowers/resnet18_on102_clean/corrected": "pretrain",
    "generation/acgan/corrected": "pretrain",  # others learn from its images
    "generation/diffusion/as_published": "train",  # its sibling's images are learned from
    "flowers/resnet18_from102_clean/lr3x": "sweep",
    "detection/r18_focal_focal_alpha0.5_focal_gamma2/corrected": "sweep",
    "detection/r18_batch_batch_size8/corrected": "sweep",
    "flowers/vit_frozen_half/as_published": "ablate",
    "normalization/cifar10_b16_bn/corrected": "ablate",
    "normalization/cifar10_b16_ln/corrected": "train",  # layer normalisation is the transformer's own
    "normalization/cifar10_b16_ln_in21k/corrected": "finetune",
    "flowers/vit_frozen_none/corrected": "finetune",
    "tiny_imagenet/deit/probe_cached": "finetune",  # a head alone is trained, and no block left out
    "detection/r34/corrected": "finetune",
    "flowers/resnet18_scratch/corrected": "train",
}


@pytest.mark.parametrize("key", PHASE_OF)
def test_a_run_is_what_its_study_has_it_for(paper: Plan, key: str):
    e = paper.find(*key.split("/"))
    assert paper.phase(e) == PHASE_OF[key]


def test_a_point_of_a_grid_on_a_split_is_a_sweep_and_a_split_alone_is_not():
    plan = load_plan(PROJECT, {**read_yaml(PROJECT / "config.yaml"), "preset": "paper", "studies": ["flowers"]})
    e = plan.find("flowers", "resnet18_scratch_split2", "corrected")
    assert plan.phase(e) == "train"


def test_groups_hold_every_run_once_by_phase_task_and_seeds(paper: Plan):
    found = paper.trainings()
    runs = [(key, seed) for (_, _, seeds), keys in found.items() for key in keys for seed in seeds]
    assert len(runs) == len(set(runs)) == sum(len(e.seeds) for e in paper.experiments)
    for (phase, task, _), keys in found.items():
        for e in (paper.find(*key.split("/")) for key in keys):
            assert phase in PHASES and e.task == task and paper.phase(e) == phase


def test_groups_that_make_runs_of_one_seed_are_told_apart_by_name():
    a, b, c = (("train", "classification", (0, 1)), ("sweep", "classification", (1,)), ("sweep", "detection", (7,)))
    assert shares_seeds(a, [a, b, c]) and shares_seeds(b, [a, b, c])
    assert not shares_seeds(c, [a, b, c])
