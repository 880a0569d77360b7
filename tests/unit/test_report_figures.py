"""Every planned figure is drawn, whatever the runs came to, and is equal to the byte when drawn again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import report_world as world
from PIL import Image

from florilegium.report import style
from florilegium.report.catalogue import members, planned
from florilegium.report.comparison import compare
from florilegium.report.figures import DRAW, render
from florilegium.report.figures_curves import mean_curve
from florilegium.report.figures_images import choose, coded, confusion
from florilegium.report.material import Material
from florilegium.report.runs import read_study
from florilegium.report.study import Study, read


def material(
    root: Path, description: dict[str, Any], pixels: Path | None = None, n_classes: int = 17
) -> Material:
    study = read(Study, json.dumps(description))
    runs = read_study(root, study)
    table, differences = compare(study, runs, {})
    classes = (world.CLASSES + [f"class {i}" for i in range(17, n_classes)])[:n_classes]
    packed = {"flowers17": pixels} if pixels else {}
    return Material(study, runs, table, differences, {"flowers17": classes, "flowers102": classes}, packed)


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Material:
    root = tmp_path_factory.mktemp("flowers")
    description = world.study(world.flowers())
    world.write_study(root, description)
    return material(root, description, world.write_pixels(root))


def margin(path: Path) -> int:
    """The darkest grey value on the picture's four edges; 255 when nothing touches them."""
    with Image.open(path) as picture:
        grey = np.asarray(picture.convert("L"))
    return int(min(grey[0].min(), grey[-1].min(), grey[:, 0].min(), grey[:, -1].min()))


def drawn(found: Material, out: Path) -> dict[str, Path]:
    return {path.name: path for path in render(found, out)}


def test_all_planned_figures_are_drawn_and_legible(flowers: Material, tmp_path: Path) -> None:
    files = drawn(flowers, tmp_path)
    assert list(files) == [f"{figure.name}.png" for figure in planned(flowers.study)]
    for path in files.values():
        with Image.open(path) as picture:
            assert 1000 < picture.width < 1800 and picture.height > 400
            assert picture.info.keys() <= {"dpi"}
        assert margin(path) == 255, f"{path.name} is cut at an edge"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """A single arm."""
    root = tmp_path_factory.mktemp("alone")
    description = world.study([world.entry("scratch")])
    world.write_study(root, description)
    return material(root, description, world.write_pixels(root))


def saved(found: Material, kind: str, path: Path) -> Path:
    (figure,) = [figure for figure in planned(found.study) if figure.kind == kind]
    with style.applied():
        style.save(DRAW[kind](found, figure), path)
    return path


@pytest.mark.parametrize("kind", ["published", "curves"])
def test_the_same_runs_give_the_same_bytes(kind: str, alone: Material, tmp_path: Path) -> None:
    once, again = (saved(alone, kind, tmp_path / name).read_bytes() for name in ("once.png", "again.png"))
    assert once == again


def test_a_demo_wears_a_badge(alone: Material, tmp_path: Path) -> None:
    demo = alone.study.model_copy(update={"comparable": False, "preset": "demo"})
    for study, has_badge in ((alone.study, False), (demo, True)):
        path = saved(replace(alone, study=study), "curves", tmp_path / f"{study.preset}.png")
        with Image.open(path) as picture:
            colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
        assert (colours == (0xB4, 0x53, 0x09)).all(axis=1).any() == has_badge


@pytest.mark.parametrize("case", ["one seed", "diverged", "not run", "no validation"])
def test_unlucky_runs_are_drawn_too(case: str, tmp_path: Path) -> None:
    scratch = world.entry("scratch", seeds=[0])
    clean = world.entry("from102_clean", role="transfer", seeds=[0], baseline=world.against("scratch"))
    beside = {"seeds": [0], "baseline": world.against("from102_clean")}
    leaky = world.entry("from102_leaky", "leaky", role="transfer", **beside)
    rate = world.entry("from102_clean", "lr3x", role="rate", lr=0.03, lr_factor=3.0, **beside)
    entries = [scratch, clean, leaky, rate]
    if case != "not run":
        for of in entries:
            world.write_run(
                tmp_path / "runs", of, 0, accuracy=0.7, n_test=40, diverged=case == "diverged",
                validated=case != "no validation",
            )  # fmt: skip
    found = material(tmp_path / "runs", world.study(entries), world.write_pixels(tmp_path, n=40))
    with style.applied():
        for figure in planned(found.study):
            assert (
                DRAW[figure.kind](found, figure)
                .texts[0]
                .get_text()
                .replace("\n", " ")
                .startswith(figure.question)
            )


def test_12_arms_and_102_classes_fit(tmp_path: Path) -> None:
    arms = [
        world.entry(
            f"arm{i}", title=f"ResNet-18 with a long description, number {i}", seeds=[0], dataset="flowers102"
        )
        for i in range(12)
    ]
    for of in arms:
        world.write_run(tmp_path / "runs", of, 0, accuracy=0.5, n_test=204, n_classes=102)
    found = material(tmp_path / "runs", world.study(arms), n_classes=102)
    for kind in ("curves", "confusion"):
        assert margin(saved(found, kind, tmp_path / f"{kind}.png")) == 255


def test_figures_follow_from_the_description() -> None:
    study = read(Study, json.dumps(world.study([world.entry("net")])))
    assert [figure.name for figure in planned(study)] == [
        "published",
        "curves_target_flowers17",
        "confusion",
        "samples",
    ]


def test_curves_of_rates_show_the_baselines_own() -> None:
    study = read(Study, json.dumps(world.study(world.flowers())))
    (figure,) = [figure for figure in planned(study) if figure.group == "rates"]
    assert [entry.lr_factor for entry in members(study, figure)] == [0.1, 0.3, 1.0, 3.0]


def test_mean_curve_is_over_the_runs_that_got_so_far() -> None:
    assert mean_curve([np.array([1.0, 3.0]), np.array([3.0])]).tolist() == [2.0, 3.0]


def test_confusion_counts_targets_by_row() -> None:
    table = pd.DataFrame({"target": [0, 0, 1], "prediction": [0, 1, 1]})
    assert confusion([table, table], 2).tolist() == [[2, 2], [0, 2]]


def test_predictions_may_name_their_classes() -> None:
    table = pd.DataFrame({"target": ["tulip"], "prediction": ["daisy"]})
    assert coded(table, ["daisy", "tulip"]).to_numpy().tolist() == [[1, 0]]


def test_samples_are_spread_over_right_ones_and_the_surest_errors() -> None:
    predictions = pd.DataFrame(
        {
            "image": list("abcdef"),
            "target": [0, 1, 2, 3, 0, 1],
            "prediction": [0, 1, 2, 3, 1, 0],
            "probability": [0.9, 0.8, 0.7, 0.6, 0.5, 0.95],
        }
    )
    right, wrong = choose(predictions, 2)
    assert list(right["image"]) == ["a", "d"] and list(wrong["image"]) == ["f", "e"]
