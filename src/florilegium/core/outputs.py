"""The files that each stage leaves in its folder, by name, each beside a receipt.

The rules declare them and the stages write them, so they stand here once. Nothing heavy is imported: the Snakefile
reads this.
"""

from florilegium.core.metrics import SCORING
from florilegium.core.tasks import TaskName

RECEIPT = "receipt.json"
RUN: dict[TaskName, tuple[str, ...]] = {
    task: ("metrics.json", "history.csv", *SCORING[task].answers, "cost.json", "checkpoint.safetensors")
    for task in ("classification", "detection", "generation")
}
FEATURES = ("features.npy", "features.csv", "features.json")
FINDER = ("finder.csv", "finder.json")
SAMPLES = ("samples.npy", "samples.csv", "grid.png", "noise.png", "animation.gif", "cost.json")
JUDGEMENT = ("judge.json", "neighbours.csv", "neighbours.png")
ATTENTION = ("maps.npz", "attention.csv")
ATTENTION_PICTURES = {"tokens": ("maps.png", "rollout.png"), "nodes": ("nodes.png",)}
ATTRIBUTION = ("maps.npz", "attribution.csv", "scores.csv", "cost.json", "scores.png")
AUDIT = ("summary.json", "contact_sheet.png", "distances.png")  # those that a person looks at
TABLES = ("comparison", "differences", "costs", "scores")  # of every study, as CSV


def attribution_images(count: int) -> list[str]:
    """The pictures of `count` explained images, one each."""
    return [f"image{number}.png" for number in range(1, count + 1)]
