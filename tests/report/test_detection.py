"""A detector's report: its pictures, its figures, and what a study asks for of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import pytest
from PIL import Image
from scipy import stats

from florilegium.config.metrics import COCO_METRICS
from florilegium.data.pack import BoxedPictures
from florilegium.figures import detector, style
from florilegium.figures.material import Material
from florilegium.figures.registry import KINDS, planned
from florilegium.report.arms import Arms
from florilegium.report.page import dataset_table
from florilegium.report.runs import epochs_to_90_percent
from florilegium.report.scores import readable_scores, scores
from florilegium.report.statistics import one_more
from florilegium.report.study import Page, read
from florilegium.report.tables import read_csv, write_csv
from tests.helpers import detection, report

DEPTHS = [
    detection.entry(f"r{depth}", title=f"ResNet-{depth}", seeds=[0, 1, 2], published=published)
    for depth, published in ((18, [report.figure("AP", 0.30, 0.31)]), (34, []), (50, []))
]
SEEDS = [
    detection.entry("luck", "drawn", seeds=[11, 22, 33, 44, 55]),
    detection.entry("luck", "fixed", seeds=[3407], baseline={"experiment": "luck", "arm": "drawn"}),
]
FOCAL = [
    detection.entry(f"focal_{a}_{g}", seeds=[0, 1], values={"recipe.focal_alpha": a, "recipe.focal_gamma": g})
    for a in (0.25, 0.5)
    for g in (0.0, 2.0, 5.0)
]
LOSSES = [{"experiment": "r18/corrected", "source": "model3", "losses": [1.5, 1.2, 1.07, 0.98] * 5}]
ASKED = [
    report.chosen("cost", "against", DEPTHS, x="seconds_per_epoch", metrics=["AP", "AP50"]),
    report.chosen("luck", "seeds", SEEDS, marked=[3407]),
    report.chosen("focal", "heatmap", FOCAL, x="recipe.focal_gamma", by="recipe.focal_alpha", metrics=["AP", "loss"]),
    report.chosen("losses", "curves", DEPTHS, published=LOSSES),
]


def described(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"study": "detection", "title": "Study 5", "figures": ASKED}
    return report.study([*DEPTHS, *SEEDS, *FOCAL], **{**given, **changes})


def material(root: Path, description: dict[str, Any], scenes: Path | None) -> Material:
    return report.material_of(root, description, {"scenes": detection.CLASSES}, scenes=scenes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Material:
    root = tmp_path_factory.mktemp("detection")
    scenes = detection.write_scenes(root / "scenes")
    for number, of in enumerate([*DEPTHS, *SEEDS, *FOCAL]):
        for seed in of["seeds"]:
            cost = {"seconds_per_epoch": 10.0 + 8 * number + seed % 7}
            detection.write_run(
                root / "runs", of, seed, scenes, skill=0.6 + 0.02 * number, cost=cost,
                diverged=(of["experiment"], seed) == ("focal_0.5_5.0", 1),
            )  # fmt: skip
    return material(root / "runs", described(), scenes)


def drawn(found: Material, name: str) -> matplotlib.figure.Figure:
    (figure,) = [figure for figure in planned(found.study) if figure.name == name]
    return report.drawn(found, figure)


def texts(figure: matplotlib.figure.Figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


DETECTOR = report.kinds_in(detector)
NAMES = [*(figure["name"] for figure in ASKED), *DETECTOR, "published"]


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_drawn_and_legible(whole: Material, name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.png"
    style.save(drawn(whole, name), path)
    with Image.open(path) as picture:
        grey = np.asarray(picture.convert("L"))
        assert 800 < picture.width < 1900 and picture.height > 250
    assert min(grey[0].min(), grey[-1].min(), grey[:, 0].min(), grey[:, -1].min()) == 255


def test_every_figure_is_drawn_before_anything_is_run(tmp_path: Path) -> None:
    found = material(tmp_path, described(), None)
    for figure in planned(found.study):
        assert report.drawn(found, figure).texts


def test_what_is_there_stands_beside_what_was_found(whole: Material) -> None:
    """The boxes that are drawn are those of the annotations, in pixels of the packed picture."""
    figure = drawn(whole, "detections")
    assert whole.scenes is not None
    pictures = BoxedPictures(whole.scenes, whole.scenes.with_name("annotations.json"), ("test",))
    first = [a["bbox"] for a in pictures.truth["annotations"] if a["image_id"] == 1]
    boxes = [[p.get_x() + 0.5, p.get_y() + 0.5, p.get_width(), p.get_height()] for p in figure.axes[0].patches]
    assert boxes == [[value * detection.SCALE for value in box] for box in first]
    assert len(figure.axes) == 16
    assert {text.split()[0] for text in texts(figure)} == set(detection.CLASSES)


def test_the_worst_images_come_first(whole: Material) -> None:
    heads = [ax.get_title("left") for ax in drawn(whole, "misses").axes[::2]]
    missed = [int(head.split(", ")[1].split()[0]) for head in heads if head]
    assert missed == sorted(missed, reverse=True) and missed[0] > 0


def test_pictures_of_data_sets_are_not_put_into_documents() -> None:
    assert "pictures" in KINDS["detections"].reads and "pictures" in KINDS["misses"].reads


def test_a_marked_seed_is_held_against_the_others(whole: Material) -> None:
    runs = {run.seed: run.metrics["AP"] for arm in SEEDS for run in whole.runs["luck", arm["arm"]]}
    others = [runs[seed] for seed in (11, 22, 33, 44, 55)]
    rank = 1 + sum(other > runs[3407] for other in others)
    (told,) = [text for text in texts(drawn(whole, "luck")) if text.startswith(f"{100 * runs[3407]:.1f}")]
    assert f"rank {rank} of 6" in told
    (row,) = whole.differences[whole.differences["experiment"] == "luck"].itertuples()
    assert float(told.rpartition(" ")[2]) == pytest.approx(row.p_adjusted, abs=5e-4)


def test_a_single_run_of_another_seed_is_compared_as_one_more_draw(whole: Material) -> None:
    """A comparison of seed 3407 with others has no pairs, and still a test."""
    drawn_at_random = whole.runs["luck", "drawn"]
    lone = [run for run in whole.runs["luck", "fixed"] if run.seed == 3407]
    lucky, usual = ("luck", "fixed"), ("luck", "drawn")
    found = Arms({lucky: lone, usual: drawn_at_random}).paired(lucky, usual)
    assert found is not None
    difference = found.difference
    value, others = lone[0].metrics["AP"], [run.metrics["AP"] for run in drawn_at_random]
    assert found.n_seeds == 1 and found.other_mean == pytest.approx(np.mean(others))
    assert difference.mean == pytest.approx(value - np.mean(others))
    assert difference.p_value >= one_more(others, value)[2]  # images alone make an AP vary, too
    assert difference.low < difference.mean < difference.high
    assert (difference.low > 0 or difference.high < 0) == (difference.p_value < 0.05)
    assert Arms({lucky: lone, usual: drawn_at_random[:1]}).paired(lucky, usual) is None


def test_one_more_value_against_an_independent_computation() -> None:
    """The two-sample t test with equal variances of a sample and a single value is the same test."""
    values, value = [0.31, 0.29, 0.33, 0.30, 0.28], 0.36
    low, high, p = one_more(values, value)
    mean, spread = np.mean(values), np.std(values, ddof=1)
    assert p == pytest.approx(2 * stats.t.sf((value - mean) / (spread * np.sqrt(1.2)), 4))
    assert one_more(values, high)[2] == pytest.approx(0.05) == one_more(values, low)[2]
    with pytest.raises(ValueError, match="two values"):
        one_more([0.3], 0.3)


def test_a_cell_says_how_many_runs_stand_behind_it(whole: Material) -> None:
    told = texts(drawn(whole, "focal"))
    assert len([text for text in told if text.endswith("n = 2")]) == 10
    assert len([text for text in told if text.endswith("n = 1, 1 diverged")]) == 2


def test_published_losses_reach_as_far_as_our_own(whole: Material) -> None:
    ax = drawn(whole, "losses").axes[0]
    (line,) = [line for line in ax.lines if line.get_linewidth() == 4 and len(line.get_xdata())]
    assert list(line.get_ydata()) == LOSSES[0]["losses"][:12]


def test_an_arm_stands_at_what_it_cost(whole: Material) -> None:
    ax = drawn(whole, "cost").axes[0]
    assert ax.get_xlabel() == "seconds an epoch"
    places = [line.get_xdata()[0] for line in ax.lines if line.get_markersize() == 8 and len(line.get_xdata()) == 1]
    assert places == pytest.approx([11, 19, 27])


def test_the_comparison_has_three_scores_and_the_table_of_scores_all_twelve(whole: Material) -> None:
    told = whole.comparison[whole.comparison["experiment"] == "r34"]
    assert list(told["metric"]) == ["AP", "AP50", "AP75", "epochs_to_90_percent"]
    table = scores(whole.study, Arms(whole.runs))
    own = table[table["experiment"] == "r34"].set_index(["kind", "name"])
    runs = whole.runs["r34", "corrected"]
    assert list(own.loc["detection"].index) == [*COCO_METRICS, "last_AP"]
    for name in ("AP", "AR100"):
        values = [run.metrics[name] for run in runs]
        assert own.loc[("detection", name), "mean"] == pytest.approx(np.mean(values))
    assert list(own.loc["AP by class"].index) == detection.CLASSES
    missed = [run.detail()["errors"]["counts"]["missed"] for run in runs]
    assert own.loc[("errors", "missed"), "mean"] == pytest.approx(np.mean(missed))
    low, high = stats.t.interval(0.95, 2, np.mean(missed), stats.sem(missed))
    assert own.loc[("errors", "missed"), "ci_high"] == pytest.approx(high) and low < high


def test_scores_are_read_back_as_tables_for_people(whole: Material, tmp_path: Path) -> None:
    write_csv(scores(whole.study, Arms(whole.runs)), tmp_path / "scores.csv")
    tables = [table for _, table in readable_scores(whole.study, read_csv(tmp_path / "scores.csv"))]
    (detectors, _), (last, _), (by_class, _), (errors, rows) = tables
    assert detectors == ("Arm", *COCO_METRICS, "AP, last epoch", "Seeds")
    assert last == ("Arm", *COCO_METRICS, "Seeds")
    assert by_class == ("Arm", *detection.CLASSES, "Seeds")
    assert rows[0][0] == "ResNet-18" and rows[0][-1] == "3"
    assert len({len(row) for row in rows} | {len(errors)}) == 1


def test_only_what_was_published_stands_beside_it(whole: Material) -> None:
    labels = [text.get_text() for text in drawn(whole, "published").axes[0].get_yticklabels()]
    assert len(labels) == len(whole.study.entries) and not any("AP50" in label for label in labels)


def test_a_run_that_never_found_anything_has_no_speed(whole: Material) -> None:
    run = whole.runs["r18", "corrected"][0]
    nothing = replace(run, history=run.history.assign(val_AP=0.0))
    assert epochs_to_90_percent(run) is not None and epochs_to_90_percent(nothing) is None


def test_a_data_set_tells_its_boxes_and_what_was_wrong_with_them() -> None:
    source = {"title": "Scenes", "citation": "", "terms": "", "homepage": ""}
    page = {"preset": "mini", "title": "", "note": "", "studies": {}, "audits": []}
    read_page = read(Page, json.dumps({**page, "datasets": {"scenes": source}}))
    summary = dict.fromkeys(("n_images", "n_classes", "n_train", "n_val", "n_test"), 12)
    summary |= {"n_boxes": 1635, "n_bad_boxes": 3, "n_cut_boxes": 7}
    summaries = {"scenes": {**summary, "split_origin": "files", "absent_classes": []}}
    header, (row,) = dataset_table(read_page, summaries)
    assert dict(zip(header, row, strict=True))["Boxes"] == "1,635; 3 bad, left out; 7 cut at the border"
