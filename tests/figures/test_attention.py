"""The figures of attention: planned where a study asks for them, drawn from what the first seed's stage left."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from florilegium.explanation.records import AttentionRecord
from florilegium.figures import attention
from florilegium.figures.attention import attended_of, sources
from florilegium.figures.material import Material
from florilegium.figures.registry import planned
from florilegium.report.study import Study, read
from tests.helpers import report

ATTENTION = report.kinds_in(attention)
ASKED = {"blocks": [0, 3, 6, 9], "head": 0, "images": 100, "shown": 4}
NORMS = ("LN", "LN, pretrained", "BN", "GN", "Rescale")


def attended(seed: int, blocks: tuple[int, ...] = (0, 3, 6, 9), grid: int = 14, depth: int = 12) -> AttentionRecord:
    """Random attention of 12 blocks and 3 heads, more diagonal with depth."""
    rng = np.random.default_rng(seed)
    n = grid * grid + 1
    maps = rng.dirichlet(np.full(n, 0.1), (len(blocks), n)) + np.eye(n) * np.array(blocks)[:, None, None] / 10
    block, head = (axis.ravel() for axis in np.indices((depth, 3)))
    return AttentionRecord(
        blocks=np.array(blocks),
        head=np.array(0),
        prefix=np.array(1),
        maps=(maps / maps.sum(-1, keepdims=True)).astype(np.float16),
        rollout=rng.dirichlet(np.ones(grid * grid), 4).reshape(4, grid, grid).astype(np.float16),
        images=rng.integers(0, 255, (4, 224, 224, 3), dtype=np.uint8),
        names=np.array([f"jpg/image_{i:04d}.jpg" for i in range(4)]),
        table=pd.DataFrame(
            {
                "block": block,
                "head": head,
                "entropy": 4.5,
                "entropy_share": 0.9 - 0.05 * block + 0.02 * head,
                "diagonal": 1 / n + 0.01 * block**2 / 12,
                "n_images": 100,
                "entropy_uniform": math.log(n),
                "diagonal_uniform": 1 / n,
            }
        ),
    )


def make(root: Path, entries: list[dict[str, Any]], run: bool = True) -> Material:
    for place, of in enumerate(entries):
        for seed in of["seeds"] if run else ():
            folder = report.write_run(root, of, seed, accuracy=0.5, n_test=34, diverged=of["title"] == "Rescale")
            if of["attention"] and seed == of["seeds"][0]:
                attended(place).save(folder / "attention")
    return report.material_of(root, report.study(entries), {"flowers17": report.CLASSES})


@pytest.fixture(scope="module")
def norms(tmp_path_factory: pytest.TempPathFactory) -> Material:
    names = [(f"vit{i}", title) for i, title in enumerate(NORMS)]
    entries = [report.entry(name, title=title, seeds=[1, 2], attention=ASKED) for name, title in names]
    entries[1]["dataset"] = "flowers102"
    return make(tmp_path_factory.mktemp("norms"), [*entries, report.entry("resnet", seeds=[1], attention=None)])


def test_a_study_without_it_has_no_such_figure():
    study = read(Study, json.dumps(report.study([report.entry("net")])))
    assert not {figure.kind for figure in planned(study)} & set(ATTENTION)


def test_what_is_drawn_is_of_the_first_seed_of_the_arms_that_ask(norms: Material):
    assert list(attended_of(norms)) == [*NORMS[:4], "Rescale (diverged)"]
    assert {path.parent.parent.name for path in sources(norms)} == {"seed1"}
    assert {path.name for path in sources(norms)} == {"maps.npz", "attention.csv"}


@pytest.mark.parametrize("kind", ATTENTION)
def test_figures_are_drawn_and_legible(norms: Material, kind: str, tmp_path: Path):
    path = tmp_path / f"{kind}.png"
    report.saved(norms, kind, path)
    with Image.open(path) as picture:
        assert 1000 < picture.width < 1800 and picture.height > 400
        grey = np.asarray(picture.convert("L"))
    assert min(grey[0].min(), grey[-1].min(), grey[:, 0].min(), grey[:, -1].min()) == 255, "cut at an edge"


def test_each_map_carries_its_numbers(norms: Material):
    titles = [ax.get_title(loc="center") for ax in report.drawn_kind(norms, "attention_maps").axes]
    assert len(titles) == 5 * 4
    assert re.fullmatch(r"block 6 \(max 0\.\d\d\)\nentropy 0\.60  diagonal 0\.035", titles[2])


@pytest.mark.parametrize("kind", ATTENTION)
def test_arms_that_were_not_run_are_drawn_as_nothing(kind: str, tmp_path: Path):
    found = make(tmp_path, [report.entry("vit", attention=ASKED)], run=False)
    assert any(text.get_text() == "no finished run" for text in report.drawn_kind(found, kind).axes[0].texts)


def test_files_are_read_as_they_were_written(tmp_path: Path):
    before = attended(0)
    before.save(tmp_path)
    after = AttentionRecord.load(tmp_path)
    assert np.array_equal(before.maps, after.maps) and np.array_equal(before.names, after.names)
    assert after.numbers(6)["diagonal"] == pytest.approx(1 / 197 + 0.03, rel=1e-5)
