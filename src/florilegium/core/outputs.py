"""Files that each stage writes into its folder beside a receipt, by name: rules declare them, stages write them."""

RECEIPT = "receipt.json"
ANSWERS: dict[str, tuple[str, ...]] = {
    "classification": ("predictions.csv",),
    "detection": ("predictions.json", "detection.json", "matches.npz"),
    "generation": (),
}
"""The predictions of a run, by its task."""
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
HASHES = ("form.json", "names.bin", "rows.bin", "thumbs.bin", "points.bin")  # of the pictures of a data set
AUDIT = ("summary.json", "contact_sheet.png", "distances.png")  # those that people look at
SAME, CROP, DIFFERENT = "same_picture", "crop", "different"  # verdicts in the tables of an audit; a hash sees the first
AUDIT_TABLES = ("pairs.csv", "dropped.csv")
AUDIT_PAGE = ("audit.html", "dropped.txt")  # the same for one who has nothing but a browser, or a shell
TABLES = ("claims", "comparison", "differences", "costs", "scores")  # CSV files of every study


def attribution_images(count: int) -> list[str]:
    """The pictures of `count` explained images."""
    return [f"image{number}.png" for number in range(1, count + 1)]
