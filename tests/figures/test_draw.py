"""Every planned figure is drawn, whatever the runs came to, and is equal to the byte when drawn again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from florilegium.figures import draw, marks, style
from florilegium.figures.curves import mean_curve
from florilegium.figures.draw import render
from florilegium.figures.lines import lines_of, start_of
from florilegium.figures.material import Material
from florilegium.figures.registry import planned
from florilegium.report.study import Study, read
from tests.helpers import report
from tests.helpers.figures import margin, material


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Material:
    root = tmp_path_factory.mktemp("flowers")
    description = report.study(report.flowers())
    report.write_study(root, description)
    return material(root, description, report.write_pixels(root))


def drawn(found: Material, out: Path) -> dict[str, Path]:
    return {path.name: path for path in render(found, out)}


def test_all_planned_figures_are_drawn_and_legible(flowers: Material, tmp_path: Path) -> None:
    files = drawn(flowers, tmp_path)
    assert list(files) == [f"{figure.name}.png" for figure in planned(flowers.study)]
    for path in files.values():
        with Image.open(path) as picture:
            assert 1000 < picture.width < 1800 and picture.height > 400
            assert picture.info.keys() <= {"dpi", "Description"}
        assert margin(path) == 255, f"{path.name} is cut at an edge"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """A single arm."""
    root = tmp_path_factory.mktemp("alone")
    description = report.study([report.entry("scratch", published=[report.figure("top1", 0.6, 0.7)])])
    report.write_study(root, description)
    return material(root, description, report.write_pixels(root))


@pytest.mark.parametrize("kind", ["published", "curves"])
def test_the_same_runs_give_the_same_bytes(kind: str, alone: Material, tmp_path: Path) -> None:
    once, again = (report.saved(alone, kind, tmp_path / name).read_bytes() for name in ("once.png", "again.png"))
    assert once == again


@pytest.mark.parametrize("width", [4.0, 7.5, 9.0])
def test_no_title_runs_under_the_badge(width: float) -> None:
    question = "Which classes are mistaken for which? ResNet, widths 16-32-64-192 (for ResNet-18) from clean Oxford 102"
    for label in ("", "a name that moves the axes to the right"):
        with style.applied():
            fig = style.figure(3.0, width)
            fig.subplots().set_yticks([0, 1], [label, label])
            style.frame(fig, question, "A caption.", is_demo=True)
            by_text = {text.get_text().replace("\n", " "): text.get_window_extent() for text in fig.texts}
        title, badge, caption = by_text[question], by_text["DEMO"], by_text["A caption."]
        assert title.x1 < badge.x0 and title.y0 > caption.y1 and title.x0 == caption.x0


def test_a_demo_wears_a_badge(alone: Material, tmp_path: Path) -> None:
    demo = alone.study.model_copy(update={"rendered": True, "preset": "demo"})
    for study, has_badge in ((alone.study, False), (demo, True)):
        path = report.saved(replace(alone, study=study), "curves", tmp_path / f"{study.preset}.png")
        with Image.open(path) as picture:
            colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
        assert (colours == (0xB4, 0x53, 0x09)).all(axis=1).any() == has_badge


@pytest.mark.parametrize("case", ["one seed", "diverged", "not run", "no validation"])
def test_unlucky_runs_are_drawn_too(case: str, tmp_path: Path) -> None:
    scratch = report.entry("scratch", seeds=[0])
    clean = report.entry("from102_clean", role="transfer", seeds=[0], baseline=report.against("scratch"))
    beside = {"seeds": [0], "baseline": report.against("from102_clean")}
    leaky = report.entry("from102_leaky", "leaky", role="transfer", **beside)
    rate = report.entry("from102_clean", "lr3x", role="rate", lr=0.03, lr_factor=3.0, **beside)
    entries = [scratch, clean, leaky, rate]
    if case != "not run":
        for of in entries:
            report.write_run(
                tmp_path / "runs", of, 0, accuracy=0.7, n_test=40, diverged=case == "diverged",
                validated=case != "no validation",
            )  # fmt: skip
    found = material(tmp_path / "runs", report.study(entries), report.write_pixels(tmp_path, n=40))
    for figure in planned(found.study):
        title = report.drawn(found, figure).texts[0].get_text()
        assert title.replace("\n", " ") == figure.question


def test_a_figure_of_one_arm_names_it(flowers: Material) -> None:
    (samples,) = [figure for figure in planned(flowers.study) if figure.kind == "samples"]
    assert samples.question == "What does it see? ResNet-18 from clean Oxford 102"
    assert samples.arms == (("from102_clean", "corrected"),)


def test_a_band_of_a_single_number_can_be_seen_and_an_interval_without_ends_is_not_drawn(tmp_path: Path) -> None:
    for upright in (False, True):
        ax = Figure().subplots()
        marks.band(ax, 70.0, 70.0, 0.0, 0.3, upright=upright)
        (line,) = ax.lines
        along, across = line.get_data()[::-1] if upright else line.get_data()
        assert list(along) == [70.0, 70.0] and list(across) == [-0.3, 0.3] and line.get_linewidth() == 3
        ax = Figure().subplots()
        marks.estimate(ax, (50.0, np.nan, np.nan), 2.0, "black", upright=upright)
        bar, dot = ax.lines
        assert not np.isfinite(bar.get_data()[upright]).any()
        assert (dot.get_xdata()[0], dot.get_ydata()[0]) == ((2.0, 50.0) if upright else (50.0, 2.0))


def test_metrics_that_no_run_has_say_so_in_their_panel(tmp_path: Path) -> None:
    arms = [report.entry(f"vit_{blocks}", values={"recipe.freeze_blocks": blocks}) for blocks in (0, 6)]
    asked = report.chosen("frozen", "against", arms, x="recipe.freeze_blocks", metrics=["top1"])
    found = material(tmp_path, report.study(arms, figures=[asked]))
    ax = report.drawn_kind(found, "against").axes[0]
    assert [text.get_text() for text in ax.texts] == ["test top-1: no finished run"]


FROZEN = [
    report.entry(
        f"vit_{blocks}",
        arm,
        seeds=[0, 1],
        values={"recipe.freeze_blocks": blocks},
        published=[report.figure("top1", 0.985, 0.995)] if blocks == 6 else [],
    )
    for blocks in (0, 6, 12)
    for arm in ("as_published", "corrected")
]
ASKED = [
    report.chosen("frozen", "against", FROZEN, x="recipe.freeze_blocks", by="arm"),
    report.chosen("arms", "against", FROZEN, x="arm", metrics=["top1", "divergence_rate", "seconds_per_epoch"]),
    report.chosen("cost", "bars", FROZEN, metrics=["top1", "peak_memory_bytes", "params"]),
    report.chosen("learning", "curves", FROZEN),
]


def test_what_a_study_asks_for_is_drawn_before_anything_is_run(tmp_path: Path) -> None:
    found = material(tmp_path, report.study(FROZEN, figures=ASKED))
    for figure in planned(found.study):
        assert report.drawn(found, figure).texts


def test_what_a_study_asks_for_is_drawn_and_legible(tmp_path: Path) -> None:
    for of in FROZEN:
        for seed in of["seeds"]:
            diverged = (of["experiment"], seed) == ("vit_12", 1)
            report.write_run(tmp_path / "runs", of, seed, accuracy=0.9, n_test=40, diverged=diverged)
    found = material(tmp_path / "runs", report.study(FROZEN, figures=ASKED))
    asked = [figure for figure in planned(found.study) if figure.choice]
    assert [figure.name for figure in asked] == ["frozen", "arms", "cost", "learning"]
    for figure in asked:
        assert margin(draw.draw(found, figure, tmp_path)) == 255, f"{figure.name} is cut at an edge"


def drawn_against(tmp_path: Path, **changes: Any) -> Figure:
    for of in FROZEN:
        for seed, accuracy in zip(of["seeds"], (0.8, 0.9), strict=True):
            report.write_run(tmp_path, of, seed, accuracy=accuracy, n_test=40)
    found = material(tmp_path, report.study(FROZEN, figures=[{**ASKED[0], **changes}]))
    return report.drawn_kind(found, "against")


def test_numbers_stand_to_scale_and_lines_beside_each_other(tmp_path: Path) -> None:
    ax = drawn_against(tmp_path).axes[0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "6", "12"]
    assert list(ax.get_xticks()) == [0, 6, 12]
    labels = {text.get_text() for legend in ax.figure.legends for text in legend.get_texts()}
    assert {"as published", "corrected", "published"} <= labels
    means = [line.get_ydata()[0] for line in ax.lines if line.get_markersize() == 8 and len(line.get_xdata()) == 1]
    assert means == pytest.approx([85.0] * 6)


def test_lines_set_out_from_the_one_baseline_of_their_arms() -> None:
    share = "data.generated.share"
    real = report.entry("real", values={share: 0.0})
    added = [
        report.entry(name, f"added{at}", values={share: at / 100}, baseline=report.against("real"))
        for name in ("acgan", "diffusion")
        for at in (25, 100)
    ]
    entries = read(Study, json.dumps(report.study([real, *added]))).entries
    lines = list(lines_of(entries, "experiment").values())
    places = {entry.key: entry.values[share] for entry in entries}
    starts = [start_of(line, lines, places) for line in lines]
    assert starts == [None, entries[0], entries[0]]
    assert start_of(lines[1], lines, {**places, entries[0].key: 0.5}) is None


def test_names_stand_in_the_order_of_the_study(tmp_path: Path) -> None:
    ax = drawn_against(tmp_path, x="arm", by=None).axes[0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["as published", "corrected"]


def test_mean_curve_is_over_the_runs_that_got_so_far() -> None:
    assert mean_curve([np.array([1.0, 3.0]), np.array([3.0])]).tolist() == [2.0, 3.0]


def test_bands_that_are_no_target_are_called_so(tmp_path: Path) -> None:
    of = report.entry("net", published=[report.figure("top1", 0.6, 0.7)])
    arms = [of, report.entry("other", published=[report.figure("top1", 0.6, 0.7)])]
    for arm in arms:
        report.write_run(tmp_path, arm, 0, accuracy=0.65)
    smaller = [{"kind": "network", "words": "network: a small one for ResNet-18"}]
    for changed, said in ((0, ""), (1, "Some bands"), (2, "All bands")):
        entries = [{**arm, "departures": smaller if i < changed else []} for i, arm in enumerate(arms)]
        found = material(tmp_path, report.study(entries))
        caption = report.drawn_kind(found, "published").texts[-1].get_text()
        assert caption.startswith(said) and ("no target" in caption.replace("\n", " ")) == bool(said)


@pytest.mark.parametrize(("metric", "says"), [("top1", False), ("seconds_per_epoch", True)])
def test_a_caption_explains_what_is_drawn_and_no_more(tmp_path: Path, metric: str, says: bool) -> None:
    arms = [report.entry("a"), report.entry("b")]
    for arm in arms:
        report.write_run(tmp_path, arm, 0, accuracy=0.65)
    found = material(tmp_path, report.study(arms, figures=[report.chosen("bars", "bars", arms, metrics=[metric])]))
    caption = report.drawn_kind(found, "bars").texts[-1].get_text()
    assert ("×" in caption) == ("hardware" in caption) == says
