"""Draw the figures of a study: the functions behind the kinds of `figures.registry`."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from florilegium.figures import (
    arms,
    attention,
    attribution,
    classifier,
    curves,
    detector,
    generation,
    nodes,
    published,
    style,
)
from florilegium.figures.material import Material
from florilegium.figures.registry import KINDS, Plot, planned
from florilegium.figures.style import Drawing

# Modules, not functions: so the code hash of a stage takes each of them whole, and misses none that is looked up by name.
MODULES = {
    "arms": arms,
    "attention": attention,
    "attribution": attribution,
    "classifier": classifier,
    "curves": curves,
    "detector": detector,
    "generation": generation,
    "nodes": nodes,
    "published": published,
}
READ = (attention, attribution, classifier, detector, generation, nodes)
DRAW: dict[str, Callable[[Material, Plot], Drawing]] = {
    kind.name: getattr(MODULES[kind.module], f"draw_{kind.name}") for kind in KINDS.values()
}


def render(material: Material, out: Path) -> Iterator[Path]:
    """Draw the planned figures of a study into `out`; yields each file once it is written."""
    for plot in planned(material.study):
        yield draw(material, plot, out)


def draw(material: Material, plot: Plot, out: Path) -> Path:
    """Draw one figure into `out`; its file."""
    function = partial(DRAW[plot.kind], material, plot)
    return style.write(out / f"{plot.name}.png", material.study, plot.question, function)


def sources(material: Material) -> list[Path]:
    """The files that figures are drawn from beside the numbers of the runs."""
    return [path for module in READ for path in module.sources(material)]
