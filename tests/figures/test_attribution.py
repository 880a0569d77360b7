"""The figures of attribution: planned where a study asks for them, drawn from what the first seed's stage left."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from florilegium.explanation.records import AttributionRecord
from florilegium.figures import attribution
from florilegium.figures.attribution import READ, draw, sources, tinted
from florilegium.figures.material import Material
from florilegium.figures.registry import planned, plots_of
from florilegium.report.scores import RANDOM, summarise
from florilegium.report.study import Study, read
from tests.helpers import report

ATTRIBUTION = report.kinds_in(attribution)
CNN = ("saliency", "integrated_gradients", "deeplift", "occlusion", "grad_cam")
VIT = ("saliency", "integrated_gradients", "attention_rollout")
ASKED = {"images": 6, "shown": 3, "sampled": "right_and_wrong", "names": [], "methods": ["saliency"], "steps": 50}


def attributions(seed: int, methods: tuple[str, ...] = CNN, shown: int = 3, images: int = 6) -> AttributionRecord:
    """Random maps and curves that fall and rise."""
    rng = np.random.default_rng(seed)
    orders = (*methods, *RANDOM)
    steepness = rng.uniform(1, 9, (images, len(orders), 1)) * np.linspace(0, 1, 33)
    table = pd.DataFrame(
        [
            {
                "image": f"jpg/image_{i:04d}.jpg",
                "target": "lily_of_the_valley",
                "prediction": "daisy" if i % 2 else "lily_of_the_valley",
                "probability": 0.8,
                "method": order,
                "deletion": rng.uniform(0.1, 0.5),
                "insertion": rng.uniform(0.4, 0.9),
                "completeness_gap": 0.01 if order == "integrated_gradients" else np.nan,
                "difference": 4.0 if order == "integrated_gradients" else np.nan,
            }
            for i in range(images)
            for order in orders
        ]
    )
    return AttributionRecord(
        methods=np.array(methods),
        maps=rng.uniform(-1, 1, (shown, len(methods), 32, 32)).astype(np.float16),
        images=rng.integers(0, 255, (shown, 32, 32, 3), dtype=np.uint8),
        orders=np.array(orders),
        curves=np.stack([0.9 * np.exp(-steepness), 1 - 0.9 * np.exp(-steepness)], 2).astype(np.float16),
        unfit=np.array(["attention_rollout"]),
        reasons=np.array(["its blocks do not attend"]),
        table=table,
    )


def make(root: Path, run: bool = True) -> Material:
    entries = [
        report.entry("net", title="ResNet-18", seeds=[1, 2], attribution=ASKED),
        report.entry("vit", title="ViT-B/16", seeds=[1, 2], attribution=ASKED),
        report.entry("other", seeds=[1], attribution=None),
    ]
    for of in entries:
        for seed in of["seeds"] if run else ():
            folder = report.write_run(root, of, seed, accuracy=0.5, n_test=34)
            if of["attribution"] and seed == 1:
                found = attributions(seed, VIT if of["experiment"] == "vit" else CNN)
                found.save(folder / "attribution")
                summarise(found.table).to_csv(folder / "attribution" / READ[-1], index=False)
    return report.material_of(root, report.study(entries), {"flowers17": report.CLASSES})


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make(tmp_path_factory.mktemp("attribution"))


def legible(path: Path) -> bool:
    """True if a picture is of a sensible size, and nothing is cut at an edge."""
    with Image.open(path) as picture:
        grey = np.asarray(picture.convert("L"))
        sensible = 1000 < picture.width < 1800 and picture.height > 400
    return sensible and min(grey[0].min(), grey[-1].min(), grey[:, 0].min(), grey[:, -1].min()) == 255


def test_what_is_drawn_is_of_the_first_seed_of_the_arms_that_ask(material: Material):
    assert {path.parent.parent.name for path in sources(material)} == {"seed1"}
    assert {path.name for path in sources(material)} == {"maps.npz", "attribution.csv", "scores.csv"}
    plain = read(Study, json.dumps(report.study([report.entry("net")])))
    assert not {figure.kind for figure in planned(plain)} & set(ATTRIBUTION)


@pytest.mark.parametrize("kind", ATTRIBUTION)
def test_figures_of_a_study_are_drawn_and_legible(material: Material, kind: str, tmp_path: Path):
    report.saved(material, kind, tmp_path / f"{kind}.png")
    assert legible(tmp_path / f"{kind}.png")


def test_a_method_that_does_not_fit_one_network_is_said_to(material: Material):
    texts = [text.get_text() for ax in report.drawn_kind(material, "attribution_maps").axes for text in ax.texts]
    assert texts.count("not available\nfor this network") == 2 * (1 + 3)  # two images of either network


def test_a_run_has_a_figure_an_image_and_one_of_scores(tmp_path: Path):
    found = attributions(0)
    paths = list(draw(found, summarise(found.table), tmp_path, False, "flowers/net/corrected/seed0"))
    assert [path.name for path in paths] == ["image1.png", "image2.png", "image3.png", "scores.png"]
    assert all(legible(path) for path in paths)


@pytest.mark.parametrize("kind", ATTRIBUTION)
def test_arms_that_were_not_run_are_drawn_as_nothing(kind: str, tmp_path: Path):
    assert any(
        text.get_text() == "no finished run"
        for text in report.drawn_kind(make(tmp_path, run=False), kind).axes[0].texts
    )


def test_pictures_of_data_sets_and_what_no_reference_holds_stay_out_of_the_document(material: Material):
    kinds = {figure.kind for figure in plots_of(material.study)}
    assert "published" in kinds and not kinds & set(ATTRIBUTION)


def test_the_sign_of_a_map_is_its_colour():
    colours = tinted(np.array([[1.0, -1.0], [0.0, 0.5]]))
    assert colours[0, 0, 0] > colours[0, 0, 2] and colours[0, 1, 2] > colours[0, 1, 0]
    assert colours[1, 0, 3] == 0 and 0.4 < colours[1, 1, 3] < 0.6


def test_files_are_read_as_they_were_written(tmp_path: Path):
    before = attributions(0)
    before.save(tmp_path)
    after = AttributionRecord.load(tmp_path)
    assert np.array_equal(before.maps, after.maps) and list(after.unfit) == ["attention_rollout"]
    assert after.of(1).loc["deeplift", "image"] == "jpg/image_0001.jpg"


@pytest.mark.parametrize("name", ["1", "01", "NA", "None", "nan", "true", "-", "=1", "$a$", os.fsdecode(b"caf\xe9")])
def test_classes_and_images_of_any_name_are_read_and_drawn(tmp_path: Path, name: str):
    before = attributions(0, ("saliency", "integrated_gradients"), shown=1, images=1)
    before.table[["image", "target"]] = name
    before.save(tmp_path)
    after = AttributionRecord.load(tmp_path)
    row = after.of(0).loc["saliency"]
    assert (row["image"], row["target"], row["prediction"]) == (name, name, "lily_of_the_valley")
    assert np.isnan(row["completeness_gap"]) and after.of(0).loc["integrated_gradients", "difference"] == 4
    assert legible(next(draw(after, summarise(after.table), tmp_path, True, "here")))
