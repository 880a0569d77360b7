"""The figures of attention over nodes: planned where an arm has a head of attention, drawn from its first seed."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from florilegium.explanation.records import NodeRecord
from florilegium.figures import attention, nodes, style
from florilegium.figures.material import Material
from florilegium.figures.nodes import add_map, attended_of, draw, sources
from florilegium.figures.registry import planned
from tests.helpers import report

ATTENTION = report.kinds_in(attention)
NODES = report.kinds_in(nodes)
ASKED = {"of": "nodes", "images": 100, "shown": 4}
ARMS = ("GAT", "GATv2")


def attended(seed: int, heads: int = 8) -> NodeRecord:
    rng = np.random.default_rng(seed)
    maps = rng.dirichlet(np.ones(4), (4, heads, 4)).astype(np.float16)
    return NodeRecord(
        maps=maps,
        mean=maps.mean(0),
        images=rng.integers(0, 255, (4, 32, 32, 3), dtype=np.uint8),
        names=np.array([f"test/cat/{i:04d}.png" for i in range(4)]),
        table=pd.DataFrame(
            {
                "head": range(heads),
                "entropy": 1.2,
                "entropy_share": 0.87,
                "diagonal": 0.25,
                "between_queries": 0.02,
                "between_images": 0.1,
                "same_first": 1.0,
                "n_images": 100,
                "entropy_uniform": math.log(4),
                "diagonal_uniform": 0.25,
            }
        ),
    )


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make(tmp_path_factory.mktemp("heads"))


def make(root: Path, run: bool = True) -> Material:
    entries = [report.entry(name.lower(), title=name, seeds=[1, 2], attention=ASKED) for name in ARMS]
    for place, of in enumerate(entries):
        for seed in of["seeds"] if run else ():
            folder = report.write_run(root, of, seed, accuracy=0.5, n_test=34)
            if seed == 1:
                attended(place).save(folder / "attention")
    return report.material_of(root, report.study(entries), {"flowers17": report.CLASSES})


def test_heads_have_figures_of_their_own(heads: Material):
    kinds = {figure.kind for figure in planned(heads.study)}
    assert set(NODES) <= kinds and not kinds & set(ATTENTION)
    assert list(attended_of(heads)) == list(ARMS)
    assert {path.parent.parent.name for path in sources(heads)} == {"seed1"}


@pytest.mark.parametrize("kind", NODES)
def test_figures_are_drawn_and_legible(heads: Material, kind: str, tmp_path: Path):
    legible(report.saved(heads, kind, tmp_path / f"{kind}.png"))


@pytest.mark.parametrize("kind", NODES)
def test_arms_that_were_not_run_are_drawn_as_nothing(kind: str, tmp_path: Path):
    fig = report.drawn_kind(make(tmp_path, run=False), kind)
    assert any(text.get_text() == "no finished run" for text in fig.axes[0].texts)


def test_a_run_s_own_picture_shows_every_head(heads: Material, tmp_path: Path):
    (path,) = draw(attended(0), tmp_path, False, "study/gat/corrected/seed1")
    assert path == tmp_path / "nodes.png"
    legible(path)


def test_a_node_s_row_is_a_small_map_at_the_node_s_place():
    """Node 1, top right, looks at node 2, bottom left: its square is row 1, column 2 of the picture."""
    with style.applied():
        ax = style.figure(2).subplots()
        add_map(ax, np.eye(4)[[0, 2, 1, 3]], 1.0)
    (picture,) = ax.images
    seen = {tuple(map(int, place)) for place in np.argwhere(np.asarray(picture.get_array()) == 1)}
    assert seen == {(0, 0), (1, 2), (2, 1), (3, 3)}


def legible(path: Path) -> None:
    with Image.open(path) as picture:
        assert 1000 < picture.width < 1800 and picture.height > 250
        grey = np.asarray(picture.convert("L"))
    assert min(grey[0].min(), grey[-1].min(), grey[:, 0].min(), grey[:, -1].min()) == 255, "cut at an edge"
