"""Every figure of a study, by kind."""

from collections.abc import Callable, Iterator
from pathlib import Path

from matplotlib.figure import Figure

from florilegium.figures import style
from florilegium.figures.arms import draw_against
from florilegium.figures.classifier import draw_confusion
from florilegium.figures.curves import draw_panels
from florilegium.figures.detector import draw_detections, draw_misses
from florilegium.figures.generation import draw_generated, draw_recognised
from florilegium.figures.material import Material
from florilegium.figures.nodes import draw_attention_change, draw_attention_heads, draw_attention_nodes
from florilegium.figures.published import draw_convergence, draw_leak, draw_rates
from florilegium.figures.registry import Planned, planned
from florilegium.report.figures_attention import (
    draw_attention_depth,
    draw_attention_maps,
    draw_attention_rollout,
)
from florilegium.report.figures_attribution import draw_attribution_maps, draw_attribution_scores
from florilegium.report.figures_bars import draw_bars
from florilegium.report.figures_curves import draw_curves
from florilegium.report.figures_heatmap import draw_heatmap
from florilegium.report.figures_images import draw_samples
from florilegium.report.figures_measured import draw_measured
from florilegium.report.figures_mistakes import draw_errors
from florilegium.report.figures_precision import draw_precision_recall
from florilegium.report.figures_published import draw_published
from florilegium.report.figures_seeds import draw_seeds

DRAW: dict[str, Callable[[Material, Planned], Figure]] = {
    "published": draw_published,
    "leak": draw_leak,
    "convergence": draw_convergence,
    "rates": draw_rates,
    "against": draw_against,
    "measured": draw_measured,
    "heatmap": draw_heatmap,
    "seeds": draw_seeds,
    "bars": draw_bars,
    "panels": draw_panels,
    "curves": draw_curves,
    "generated": draw_generated,
    "recognised": draw_recognised,
    "attention_maps": draw_attention_maps,
    "attention_depth": draw_attention_depth,
    "attention_rollout": draw_attention_rollout,
    "attention_nodes": draw_attention_nodes,
    "attention_heads": draw_attention_heads,
    "attention_change": draw_attention_change,
    "attribution_scores": draw_attribution_scores,
    "attribution_maps": draw_attribution_maps,
    "confusion": draw_confusion,
    "samples": draw_samples,
    "precision_recall": draw_precision_recall,
    "errors": draw_errors,
    "detections": draw_detections,
    "misses": draw_misses,
}


def render(material: Material, out: Path) -> Iterator[Path]:
    """Draw the planned figures of a study into `out`; yields each file once it is written."""
    for plan in planned(material.study):
        yield draw(material, plan, out)


def draw(material: Material, plan: Planned, out: Path) -> Path:
    """Draw one figure into `out`; its file."""
    path = out / f"{plan.name}.png"
    with style.applied():
        style.save(DRAW[plan.kind](material, plan), path)
    return path
