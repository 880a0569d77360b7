"""Titles and classes as people write them: every figure is drawn, and shows the text as it is."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from florilegium.figures import style
from florilegium.figures.draw import draw
from florilegium.figures.material import Material
from florilegium.figures.registry import planned
from tests.helpers import report

NAMES = (
    "$\\foo$ ${x}$ 100 % of a_b^c & <script>alert(1)</script> \\n ローズ وردة 🌹\nsecond\tline",
    "one dollar: 5$ or less",
    "x" * 300,
    " ",
)


def study(name: str) -> dict[str, Any]:
    """A study whose titles, notes, sources and questions hold `name`."""
    arms = report.flowers()[:6]
    for arm in arms:
        arm["title"], arm["note"] = f"{arm['title']} {name}", name
    asked = [
        report.chosen("few", "curves", arms[:3], title=name),
        report.chosen("cost", "bars", arms[:3], metrics=["top1", "params"], title=name),
        report.chosen("speed", "against", arms[2:4], x="recipe.optimizer.lr", by="arm", metrics=["top1"], title=name),
    ]
    return report.study(arms, title=name, figures=asked)


@pytest.fixture(scope="module", params=NAMES, ids=("all", "dollar", "long", "space"))
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Material]:
    root = tmp_path_factory.mktemp("study")
    description = study(request.param)
    classes = [f"{number} {request.param}" for number in range(17)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "CLASSES", classes)
        report.write_study(root, description)
    pixels = {"flowers17": report.write_pixels(root)}
    yield report.material_of(root, description, {"flowers17": classes, "flowers102": classes}, pixels)


def test_names_of_rows_do_not_lie_over_each_other(tmp_path: Path) -> None:
    arms = report.flowers()[:6]
    for arm in arms:
        arm["title"] = "a title of many words that goes on and on " * 3
    description = report.study(arms)
    report.write_study(tmp_path, description)
    fig = report.drawn_kind(report.material_of(tmp_path, description, {}), "published")
    boxes = [label.get_window_extent() for label in fig.axes[0].get_yticklabels()]
    assert len(boxes) > 5 and all(upper.y0 > lower.y1 for upper, lower in pairwise(boxes))


def test_every_figure_is_drawn(found: Material, tmp_path: Path, monkeypatch, recwarn) -> None:
    """One figure of each kind; with the worst of the titles all kinds, with the others those that hold most names."""
    monkeypatch.setattr(style, "DPI", 40)
    kinds = {plot.kind: plot for plot in planned(found.study)}
    chosen = kinds if found.study.title == NAMES[0] else ("published", "confusion", "bars")
    for kind in chosen:
        with Image.open(draw(found, kinds[kind], tmp_path)) as picture:
            assert 290 <= picture.width < 500 and picture.height < 1500
    assert all("layout" in str(warning.message) for warning in recwarn)
