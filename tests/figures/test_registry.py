"""Every planned figure is drawn, whatever the runs came to, and is equal to the byte when drawn again."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from florilegium.core.errors import UserError
from florilegium.figures import draw, marks, registry, style
from florilegium.figures.arms import lines_of, start_of
from florilegium.figures.classifier import choose, coded, confusion, most_confused
from florilegium.figures.curves import mean_curve
from florilegium.figures.draw import DRAW, render
from florilegium.figures.material import Material
from florilegium.figures.registry import KINDS, LINES, check_names, left_out, members, planned
from florilegium.report.study import Study, read
from tests.helpers import report


def material(root: Path, description: dict[str, Any], pixels: Path | None = None, n_classes: int = 17) -> Material:
    classes = report.class_names(n_classes)
    packed = {"flowers17": pixels} if pixels else {}
    return report.material_of(root, description, {"flowers17": classes, "flowers102": classes}, packed)


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Material:
    root = tmp_path_factory.mktemp("flowers")
    description = report.study(report.flowers())
    report.write_study(root, description)
    return material(root, description, report.write_pixels(root))


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


@pytest.fixture(scope="module")
def norms() -> Study:
    """40 arms on two data sets."""
    return read(Study, json.dumps(report.norms()))


def test_forty_arms_are_spread_over_figures_that_can_be_read(norms: Study) -> None:
    figures = planned(norms)
    assert len({figure.name for figure in figures}) == len(figures) < 20
    for kind in ("published", "curves"):
        pages = [figure for figure in figures if figure.kind == kind]
        shown = [arm for figure in pages for arm in figure.arms]
        assert sorted(shown) == sorted(entry.key for entry in norms.entries)
        assert max(len(page.arms) for page in pages) <= 12
    assert all(len(figure.arms) <= LINES for figure in figures if figure.kind == "curves")
    assert "(flowers17, 1 of 3)" in next(f.question for f in figures if f.kind == "curves")


def test_automatic_figures_do_not_write_over_those_that_a_study_asks_for(norms: Study, flowers: Material) -> None:
    for study in (norms, flowers.study):
        own = [figure for figure in planned(study) if not figure.choice]
        assert all(KINDS[figure.kind].takes(figure.name) for figure in own)


@pytest.mark.parametrize("name", ["misses", "leak", "Leak", "published_2", "curves_rates_flowers17"])
def test_a_study_may_not_give_a_figure_the_name_of_an_automatic_one(name: str) -> None:
    arms = [report.entry("a"), report.entry("b")]
    study = read(Study, json.dumps(report.study(arms, figures=[report.chosen(name, "bars", arms)])))
    with pytest.raises(UserError, match=f"mine.yaml: figures.{name}: is the name of a figure that the report draws"):
        check_names({"mine": study.figures}, {"mine": "mine.yaml"})


def test_names_that_no_automatic_figure_has_are_free() -> None:
    arms = [report.entry("a"), report.entry("b")]
    asked = [report.chosen(name, "bars", arms) for name in ("bars", "curves", "published_too")]
    study = read(Study, json.dumps(report.study(arms, figures=asked)))
    check_names({"mine": study.figures}, {"mine": "mine.yaml"})
    assert {"bars", "curves", "published_too"} <= {figure.name for figure in planned(study)}


def test_every_kind_is_drawn_by_a_function_of_its_name() -> None:
    assert KINDS.keys() == DRAW.keys()
    assert all(function.__name__ == f"draw_{kind}" for kind, function in DRAW.items())
    modules = {sys.modules[function.__module__] for function in DRAW.values()}
    assert {f"draw_{kind}" for kind in KINDS} == {name for m in modules for name in vars(m) if name.startswith("draw_")}


def test_the_registry_is_read_without_torch_pandas_or_matplotlib() -> None:
    heavy = "{'torch', 'pandas', 'matplotlib', 'numpy'}"
    code = f"import sys, {registry.__name__}; sys.exit(', '.join({heavy} & set(sys.modules)) or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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


def test_of_200_classes_the_pairs_confused_most_are_named_in_words(tmp_path: Path) -> None:
    codes = report.class_names(200)
    of = report.entry("net", seeds=[0], dataset="words200")
    report.write_run(tmp_path / "runs", of, 0, accuracy=0.5, n_test=600, n_classes=200)
    found = replace(
        material(tmp_path / "runs", report.study([of])),
        classes={"words200": codes},
        words={"words200": {codes[0]: "goldfish, Carassius auratus", codes[1]: "fire_salamander"}},
    )
    assert found.called("words200")[:3] == ["goldfish", "fire salamander", "colts foot"]
    assert margin(report.saved(found, "confusion", tmp_path / "pairs.png")) == 255
    with Image.open(tmp_path / "pairs.png") as picture:
        assert picture.height < 1400


@pytest.mark.parametrize(
    "names",
    [
        ["1", "10", "102", "2"],
        ["01", "1", "1.0", "1e0"],
        ["NA", "None", "nan", "null"],
        ["True", "false", "inf", "-"],
        ["$\\foo$", "$a$", "a,b", "{x}"],
    ],
)
def test_classes_called_like_numbers_or_like_nothing_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    monkeypatch.setattr(report, "CLASSES", names)
    of = report.entry("net", seeds=[0], dataset="odd")
    report.write_run(tmp_path / "runs", of, 0, accuracy=0.75, n_test=40, n_classes=4)
    found = replace(material(tmp_path / "runs", report.study([of])), classes={"odd": names}, words={})
    (run,) = found.finished(found.study.entries[0])
    counts = confusion([coded(run.predictions(), names)], 4)
    assert (counts.sum(), counts.trace()) == (40, 30)
    assert run.answers.right.sum() == 30 and run.answers.by_class.keys() == set(names)
    report.saved(found, "confusion", tmp_path / "matrix.png")


def test_most_confused_is_by_share_of_the_true_class() -> None:
    counts = np.array([[90, 10, 0], [4, 6, 0], [0, 0, 5]])
    assert most_confused(counts, 5) == [(1, 0), (0, 1)]


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


def test_figures_follow_from_the_description() -> None:
    study = read(Study, json.dumps(report.study([report.entry("net"), report.entry("other")])))
    assert [figure.name for figure in planned(study)] == [
        "published",
        "curves_target_flowers17",
        "calibration",
        "by_class",
        "confusion",
        "samples",
    ]
    assert left_out(study) == []


def test_curves_of_rates_show_the_baselines_own() -> None:
    study = read(Study, json.dumps(report.study(report.flowers())))
    (figure,) = [figure for figure in planned(study) if figure.name.startswith("curves_rates")]
    assert [entry.lr_factor for entry in members(study, figure)] == [0.1, 0.3, 1.0, 3.0]


def test_mean_curve_is_over_the_runs_that_got_so_far() -> None:
    assert mean_curve([np.array([1.0, 3.0]), np.array([3.0])]).tolist() == [2.0, 3.0]


def test_confusion_counts_targets_by_row() -> None:
    table = pd.DataFrame({"target": [0, 0, 1], "prediction": [0, 1, 1]})
    assert confusion([table, table], 2).tolist() == [[2, 2], [0, 2]]


def test_predictions_may_name_their_classes() -> None:
    table = pd.DataFrame({"target": ["tulip"], "prediction": ["daisy"]})
    assert coded(table, ["daisy", "tulip"]).to_numpy().tolist() == [[1, 0]]


def test_samples_are_spread_over_right_ones_the_least_sure_and_the_surest_errors() -> None:
    predictions = pd.DataFrame(
        {
            "image": list("abcdef"),
            "target": [0, 1, 2, 3, 0, 1],
            "prediction": [0, 1, 2, 3, 1, 0],
            "probability": [0.9, 0.8, 0.7, 0.6, 0.5, 0.95],
        }
    )
    right, unsure, wrong = choose(predictions, 2)
    assert list(right["image"]) == ["a", "d"] and list(unsure["image"]) == ["e", "d"]
    assert list(wrong["image"]) == ["f", "e"]


def seeded(name: str, *seeds: int) -> dict[str, Any]:
    return report.entry(name, seeds=list(seeds))


def valued(name: str, **values: Any) -> dict[str, Any]:
    return report.entry(name, values={f"recipe.{key}": value for key, value in values.items()})


LACKS = {
    "bars of one arm": ("one arm", "bars", [report.entry("a")], {}),
    "bars of one arm on three splits": ("one arm", "bars", [report.entry(f"a_split{k}") for k in (1, 2, 3)], {}),
    "bars of none": ("none of its arms is in this preset", "bars", [], {}),
    "bars of two": ("", "bars", [report.entry("a"), report.entry("b")], {}),
    "two arms of an experiment": ("", "bars", [report.entry("a"), report.entry("a", "fast")], {}),
    "curves of one arm": ("one arm", "curves", [report.entry("a")], {}),
    "curves of one arm beside published ones": (
        "", "curves", [report.entry("a")],
        {"published": [{"experiment": "a/corrected", "source": "log", "losses": [1.5, 1.2]}]},
    ),
    "one batch size": (
        "one value of recipe.batch_size", "against", [valued("a", batch_size=32), valued("b", batch_size=32)],
        {"x": "recipe.batch_size"},
    ),
    "two batch sizes": (
        "", "against", [valued("a", batch_size=32), valued("b", batch_size=64)], {"x": "recipe.batch_size"},
    ),
    "one depth on three splits": (
        "one arm", "against", [report.entry(f"r18_split{k}") for k in (1, 2, 3)], {"x": "experiment"},
    ),
    "two arms against what is measured": (
        "", "against", [report.entry("a"), report.entry("b")], {"x": "seconds_per_epoch"},
    ),
    "a map of one cell": (
        "one value of recipe.lr and of recipe.ema", "heatmap", [valued("a", lr=1, ema=0), valued("b", lr=1, ema=0)],
        {"x": "recipe.lr", "by": "recipe.ema"},
    ),
    "a map of one row": (
        "", "heatmap", [valued("a", lr=1, ema=0), valued("b", lr=2, ema=0)], {"x": "recipe.lr", "by": "recipe.ema"},
    ),
    "no marked seed": ("no run of seed 3407", "seeds", [seeded("a", 0, 1)], {"marked": [3407]}),
    "no other seed": ("no other seed", "seeds", [seeded("a", 3407)], {"marked": [3407]}),
    "a marked seed and others": ("", "seeds", [seeded("a", 0, 1), seeded("b", 3407)], {"marked": [3407]}),
}  # fmt: skip


@pytest.mark.parametrize("case", LACKS)
def test_a_figure_that_compares_nothing_is_left_out_and_told(case: str) -> None:
    lacks, kind, arms, changes = LACKS[case]
    asked = report.chosen("asked", kind, arms, title="Which?", **changes)
    entries = [*arms, report.entry("another"), report.entry("one_more")]
    study = read(Study, json.dumps(report.study(entries, figures=[asked])))
    told = [figure.lacks for figure in left_out(study) if figure.question == "Which?"]
    assert told == [lacks] * bool(lacks)
    assert ("asked" in {figure.name for figure in planned(study)}) == (not lacks)


def test_a_lone_arm_beside_others_has_no_curve_and_a_lone_arm_of_a_study_has_one() -> None:
    lone = report.entry("lone", dataset="flowers102")
    alone, beside = (
        read(Study, json.dumps(report.study([lone, *more]))) for more in ([], [report.entry("a"), report.entry("b")])
    )
    assert "curves_target_flowers102" in {figure.name for figure in planned(alone)}
    assert {figure.name for figure in planned(beside) if figure.kind == "curves"} == {"curves_target_flowers17"}
    assert [figure.lacks for figure in left_out(beside)] == ["one arm"]


def test_methods_blocks_and_sets_are_compared_where_there_are_two(tmp_path: Path) -> None:
    def names(**changes: Any) -> set[str]:
        study = read(Study, json.dumps(report.study([report.entry("a", **changes), report.entry("b")])))
        return {figure.name for figure in planned(study)}

    one, two = {"methods": ["saliency"]}, {"methods": ["saliency", "deeplift"]}
    assert "attribution_scores" not in names(attribution=one) and "attribution_maps" in names(attribution=one)
    assert "attribution_scores" in names(attribution=two)
    assert "attention_depth" not in names(attention={"blocks": [3]})
    assert {"attention_depth", "attention_maps"} <= names(attention={"blocks": [0, 3]})
    drawn = {"sampler": "direct", "per_class": 4}
    assert "recognised" not in names(samples={"sets": {"a": drawn}})
    assert {"recognised", "generated"} <= names(samples={"sets": {"a": drawn, "b": drawn}})


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
