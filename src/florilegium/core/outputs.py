"""The files that each stage leaves in its folder, by name, each beside a receipt.

The rules declare them and the stages write them, so they stand here once. Nothing is imported: a training depends on
this, and should on nothing else by it.
"""

RECEIPT = "receipt.json"
ANSWERS: dict[str, tuple[str, ...]] = {
    "classification": ("predictions.csv",),
    "detection": ("predictions.json", "detection.json", "matches.npz"),
    "generation": (),
}
"""What a run answered, by its task, its predictions first."""
RUN = {
    task: ("metrics.json", "history.csv", *answers, "cost.json", "checkpoint.safetensors")
    for task, answers in ANSWERS.items()
}
"""The files of a run, by its task."""
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
