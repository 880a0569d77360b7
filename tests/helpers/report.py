"""A study with made-up runs on disk, for the tests of the report."""

import json
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from florilegium.figures import style
from florilegium.figures.draw import DRAW
from florilegium.figures.material import Material
from florilegium.figures.registry import Plot, planned
from florilegium.report.comparison import tabulate
from florilegium.report.runs import read_study
from florilegium.report.study import Study, read

CLASSES = [
    "bluebell",
    "buttercup",
    "colts_foot",
    "cowslip",
    "crocus",
    "daffodil",
    "daisy",
    "dandelion",
    "fritillary",
    "iris",
    "lily_of_the_valley",
    "pansy",
    "snowdrop",
    "sunflower",
    "tigerlily",
    "tulip",
    "windflower",
]


def class_names(n: int) -> list[str]:
    """Names of `n` classes, in label order."""
    return [*CLASSES, *(f"class_{i}" for i in range(len(CLASSES), n))][:n]


def entry(experiment: str, arm: str = "corrected", *, role: str = "scratch", **changes: Any) -> dict[str, Any]:
    return {
        "experiment": experiment,
        "arm": arm,
        "title": changes.pop("title", experiment.replace("_", " ")),
        "note": "",
        "seeds": [0, 1, 2],
        "dataset": "flowers17",
        "source": "flowers17",
        "storage_size": 24,
        "published": [],
        "baseline": None,
        "role": role,
        "lr": 0.01,
        "lr_factor": 1.0,
        **changes,
    }


def chosen(name: str, kind: str, arms: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """A figure that the study file asks for."""
    return {
        "name": name,
        "kind": kind,
        "title": changes.pop("title", f"What does {name} say?"),
        "metrics": [],
        "x": None,
        "by": None,
        "arms": [[of["experiment"], of["arm"]] for of in arms],
        **changes,
    }


def against(experiment: str, arm: str = "corrected") -> dict[str, str]:
    return {"experiment": experiment, "arm": arm}


def figure(metric: str, low: float, high: float) -> dict[str, Any]:
    return {"metric": metric, "low": low, "high": high, "source": "section 3", "note": ""}


def claim(name: str, *arms: str, **changes: Any) -> dict[str, Any]:
    """A claim on one arm, or on each arm over the next, as `experiment/arm`."""
    keys = [arm.split("/") for arm in arms]
    steps = [[one, other] for one, other in pairwise(keys)] or [[key, None] for key in keys]
    return {
        "name": name,
        "says": changes.pop("says", f"{name.capitalize().replace('_', ' ')}."),
        "source": "section 4",
        "metric": "top1",
        "steps": steps,
        "n_steps": len(steps),
        **changes,
    }


def study(entries: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    return {
        "study": "flowers",
        "title": "Study 1: flowers",
        "preset": "mini",
        "rendered": False,
        "preset_note": "64-pixel images",
        "entries": entries,
        **changes,
    }


def flowers() -> list[dict[str, Any]]:
    """The arms of study 1, small."""
    transfer = {"role": "transfer", "baseline": against("scratch")}
    rate = {"role": "rate", "baseline": against("from102_clean")}
    pretrain = {"role": "pretrain", "dataset": "flowers102"}
    clean, top1 = "ResNet-18 from clean Oxford 102", figure("top1", 0.90, 0.915)
    return [
        entry("scratch", title="ResNet-18 from scratch"),
        entry("scratch50", title="ResNet-50 from scratch", baseline=against("scratch")),
        entry("on102_leaky", "leaky", **pretrain, title="ResNet-18 on Oxford 102, leaks kept"),
        entry("on102_clean", **pretrain, title="ResNet-18 on Oxford 102, leaks dropped"),
        entry("from102_clean", **transfer, title=clean, published=[top1]),
        entry(
            "from102_clean", "as_published", role="transfer", title=clean, note="no validation split",
            baseline=against("from102_clean"), published=[top1, figure("train_top1", 0.91, 0.92)],
        ),
        *(entry("from102_clean", f"lr{f}x", **rate, title=clean, lr=0.01 * f, lr_factor=f) for f in (0.1, 0.3, 3.0)),
        entry(
            "from102_leaky", "leaky", role="transfer", title="ResNet-18 from leaky Oxford 102",
            baseline=against("from102_clean"), cleaned={"flowers102": "nothing"},
        ),
    ]  # fmt: skip


def write_run(
    root: Path,
    of: dict[str, Any],
    seed: int,
    *,
    accuracy: float,
    n_test: int = 340,
    n_classes: int = 17,
    epochs: int = 12,
    speed: float = 4.0,
    validated: bool = True,
    diverged: bool = False,
    warnings: tuple[str, ...] = (),
    sizes: dict[str, Any] | None = None,
    cost: dict[str, Any] | None = None,
) -> Path:
    """One run's folder; which images are hard is the same for every arm and seed."""
    folder = root / of["experiment"] / of["arm"] / f"seed{seed}"
    folder.mkdir(parents=True)
    own = np.random.default_rng([seed, *of["experiment"].encode(), *of["arm"].encode()])
    hard = np.random.default_rng(1).random(n_test) + own.normal(0, 0.03, n_test)
    targets = np.arange(n_test) % n_classes
    right = np.argsort(np.argsort(hard)) < round(accuracy * n_test)
    names = np.array(class_names(n_classes))
    wrong = (targets + own.integers(1, min(4, n_classes), n_test)) % n_classes
    predictions = pd.DataFrame(
        {
            "image": [f"jpg/image_{i:04d}.jpg" for i in range(n_test)],
            "target": names[targets],
            "prediction": names[np.where(right, targets, wrong)],
            "probability": np.where(right, 1 - 0.4 * own.random(n_test), 0.3 + 0.5 * own.random(n_test)),
        }
    )
    predictions.to_csv(folder / "predictions.csv", index=False)
    epoch = np.arange(1, epochs + 1)
    noise = own.normal(0, 0.012, epochs)
    val = np.clip(accuracy * (1 - np.exp(-epoch / speed)) + noise, 0, 1)
    loss = 2.8 * np.exp(-epoch / (speed * 1.4)) + 0.3 + np.abs(noise)
    if diverged:
        loss[-1] = np.inf
    history = pd.DataFrame(
        {
            "epoch": epoch,
            "lr": of["lr"],
            "train_loss": loss,
            "train_top1": np.clip(val + 0.05, 0, 1),
            "val_loss": loss + 0.2 if validated else np.nan,
            "val_top1": val if validated else np.nan,
        }
    )
    history.to_csv(folder / "history.csv", index=False)
    top1 = float(right.mean())
    metrics = {
        "loss": 0.5, "epochs": epochs, "best_epoch": epochs, "diverged": diverged, "top1": top1, "top5": 1.0,
        "last_top1": top1, "train_top1": min(1.0, top1 + 0.02), "n_test": n_test, "params": 11_185_233,
        "params_trainable": 11_185_233, "macs": 148_000_000, "checkpoint_bytes": 44_800_000, **(sizes or {}),
    }  # fmt: skip
    costs = {
        "device": "cpu", "precision": "bf16", "threads": 2, "seconds_total": 130.2, "seconds_per_epoch": 10.1,
        "seconds_evaluation": 1.5, "train_images_per_second": 212.0, "peak_memory_bytes": 912_000_000,
        **(cost or {}),
    }  # fmt: skip
    receipt = {
        "stage": "train",
        "versions": {"python": "3.11.9", "torch": "2.15.0", "numpy": "2.4.0"},
        "device": "cpu",
        "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
        "warnings": list(warnings),
    }
    for name, value in (("metrics", metrics), ("cost", costs), ("receipt", receipt)):
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


ACCURACY = {
    "scratch": 0.60,
    "scratch50": 0.55,
    "on102_leaky": 0.70,
    "on102_clean": 0.68,
    "from102_clean": 0.86,
    "from102_leaky": 0.93,
}


def write_study(root: Path, description: dict[str, Any]) -> Path:
    """Runs of every arm, with realistic spread over seeds."""
    for of in description["entries"]:
        for seed in of["seeds"]:
            factor = of["lr_factor"]
            n_classes = 102 if of["dataset"] == "flowers102" else 17
            write_run(
                root,
                of,
                seed,
                accuracy=ACCURACY[of["experiment"]] - 0.04 * abs(np.log10(factor)) + 0.008 * (seed - 1),
                n_test=306 if n_classes == 102 else 340,
                n_classes=n_classes,
                speed=4.0 if of["role"] == "scratch" else 1.6,
                validated=of["arm"] != "as_published",
            )
    return root


def norms() -> dict[str, Any]:
    """A study of 40 arms on two data sets, one of 200 classes: what a figure must not be drowned by."""
    entries = [
        entry(
            f"{model}_{norm}_{dataset}",
            arm,
            title=f"{model.replace('_', '/')} with {norm} on {dataset}",
            seeds=[0, 1, 2],
            dataset=dataset,
            published=[figure("top1", 0.65, 0.69), figure("top5", 0.9, 0.92)],
        )
        for dataset in ("flowers17", "words200")
        for model in ("ViT-B_32", "ViT-L_32")
        for norm in ("LN", "LN pretrained", "BN", "GN", "Rescale")
        for arm in ("corrected", "as_published")
    ]
    for of in entries:
        of["experiment"] = of["experiment"].replace(" ", "_")
        if "pretrained" in of["experiment"]:
            of |= {"role": "transfer", "baseline": against(of["experiment"].replace("_pretrained", ""), of["arm"])}
    few = [of for of in entries if of["dataset"] == "flowers17" and "B_32" in of["experiment"]]
    few = [of for of in few if of["arm"] == "corrected"]
    return study(entries, study="norms", title="Study 3: norms", figures=[chosen("curves_of_norms", "curves", few)])


def write_norms(root: Path, description: dict[str, Any]) -> Path:
    for index, of in enumerate(description["entries"]):
        for seed in of["seeds"]:
            accuracy = (0.95 if of["role"] == "transfer" else 0.66 - 0.01 * (index % 10)) + 0.006 * (seed - 1)
            n_classes = 200 if of["dataset"] == "words200" else 17
            write_run(
                root, of, seed, accuracy=accuracy, n_test=340, n_classes=n_classes, speed=1.6 + index % 5,
                diverged=(index, seed) == (8, 2),
            )  # fmt: skip
    return root


def write_images(folder: Path, dataset: str, classes: list[str], origin: str = "official split 1") -> Path:
    summary = {
        "n_images": 1360, "n_classes": len(classes), "classes": classes, "absent_classes": [], "split_origin": origin,
        "n_train": 680, "n_val": 340, "n_test": 340,
    }  # fmt: skip
    path = folder / dataset / "images.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(summary))
    return path


def write_pixels(folder: Path, n: int = 340, size: int = 24) -> Path:
    """Coloured discs, one hue a class."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    disc = ((x**2 + y**2) < 0.6)[..., None]
    hues = np.random.default_rng(0).integers(60, 255, (17, 3))
    pixels = np.stack([np.where(disc, hues[i % 17], (40, 90, 40)) for i in range(n)]).astype(np.uint8)
    path = folder / f"pixels{size}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, pixels)
    names = pd.DataFrame({"image": [f"jpg/image_{i:04d}.jpg" for i in range(n)]})
    names.to_csv(path.with_suffix(".csv"), index=False)
    return path


def material_of(
    root: Path,
    description: dict[str, Any],
    classes: dict[str, list[str]],
    pixels: dict[str, Path] | None = None,
    **more: Any,
) -> Material:
    """The material of figures: the runs below `root`, and their tables."""
    study = read(Study, json.dumps(description))
    runs = read_study(root, study)
    tables = tabulate(study, runs, {})
    return Material(study, runs, tables.comparison, tables.differences, tables.scores, classes, pixels or {}, **more)


def drawn(found: Material, plot: Plot) -> Figure:
    """A figure as it is saved: with its question above and its caption below."""
    with style.applied():
        fig, caption = DRAW[plot.kind](found, plot)
        style.frame(fig, plot.question, caption, is_demo=found.study.rendered)
    return fig


def kinds_in(module: ModuleType) -> list[str]:
    """The kinds of figures that a module draws."""
    return [kind for kind, function in DRAW.items() if function.__module__ == module.__name__]


def drawn_kind(found: Material, kind: str) -> Figure:
    """The only figure of its kind in a study."""
    (plot,) = [plot for plot in planned(found.study) if plot.kind == kind]
    return drawn(found, plot)


def saved(found: Material, kind: str, path: Path) -> Path:
    """The same as a file."""
    with style.applied():
        style.save(drawn_kind(found, kind), path)
    return path
