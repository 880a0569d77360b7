"""Drawing of a study's figures: the function behind each kind of `figures.registry`."""

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
    lines,
    nodes,
    published,
    reliability,
)
from florilegium.figures.material import Material
from florilegium.figures.registry import Plot, planned
from florilegium.figures.style import Drawing, write

DRAW: dict[str, Callable[[Material, Plot], Drawing]] = {
    "published": published.draw_published,
    "leak": published.draw_leak,
    "convergence": published.draw_convergence,
    "rates": published.draw_rates,
    "against": lines.draw_against,
    "measured": lines.draw_measured,
    "heatmap": arms.draw_heatmap,
    "seeds": arms.draw_seeds,
    "bars": arms.draw_bars,
    "panels": curves.draw_panels,
    "curves": curves.draw_curves,
    "attention_maps": attention.draw_attention_maps,
    "attention_depth": attention.draw_attention_depth,
    "attention_rollout": attention.draw_attention_rollout,
    "attention_nodes": nodes.draw_attention_nodes,
    "attention_heads": nodes.draw_attention_heads,
    "attention_change": nodes.draw_attention_change,
    "attribution_scores": attribution.draw_attribution_scores,
    "attribution_maps": attribution.draw_attribution_maps,
    "generated": generation.draw_generated,
    "recognised": generation.draw_recognised,
    "calibration": reliability.draw_calibration,
    "by_class": reliability.draw_by_class,
    "confusion": classifier.draw_confusion,
    "samples": classifier.draw_samples,
    "precision_recall": detector.draw_precision_recall,
    "errors": detector.draw_errors,
    "detections": detector.draw_detections,
    "misses": detector.draw_misses,
}
READ = (attention.sources, attribution.sources, classifier.sources, detector.sources, generation.sources, nodes.sources)


def render(material: Material, out: Path) -> Iterator[Path]:
    """Draw the planned figures of a study into `out`; yields each file once it is written."""
    for plot in planned(material.study):
        yield draw(material, plot, out)


def draw(material: Material, plot: Plot, out: Path) -> Path:
    """Draw one figure into `out`; returns its file."""
    drawing = partial(DRAW[plot.kind], material, plot)
    return write(out / f"{plot.name}.png", plot.question, drawing, is_demo=material.study.rendered)


def sources(material: Material) -> list[Path]:
    """The files that figures are drawn from beside the numbers of the runs."""
    return [path for files_of in READ for path in files_of(material)]
