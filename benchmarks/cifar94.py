"""Seconds until ResNet-18 passes 94 % on the test images of CIFAR-10, with the recipe `techniques/resnet18_fast`.

The archive is read, packed, augmented and learned from by the project's own code: the published one, or one
of `{train,test}/<class>/<image>`, JPEG-compressed ones included; the result says which it was. All 50,000
training images are learned from, doubles of test images too, as such times are usually told. The test images
are looked at after every epoch and choose nothing but the epoch that is reported.

Kernels are the fastest ones (`deterministic: false` in config.yaml). Time starts at the first step, after one
epoch of another network has warmed the device up. It is told twice: of training alone, and with what lies
between epochs (tests, states on disk). Epochs are timed by the device's events, on a CPU by its clock.

    python benchmarks/cifar94.py cifar10.tar.xz --out cifar94.json
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from machine import machine
from measure import interval
from torch import nn

from florilegium.config.data import DataUse, Model
from florilegium.config.datasets import Dataset, DatasetOverride, LocalFile
from florilegium.config.recipes import Recipe
from florilegium.core.files import write_json
from florilegium.core.tables import write_table
from florilegium.data.augment import EvalTransform
from florilegium.data.fetch import fetch
from florilegium.data.layouts import index
from florilegium.data.load import Images, Splits, load_splits
from florilegium.data.pack import pack
from florilegium.evaluation.classification import evaluate
from florilegium.models import registry
from florilegium.plan.project import load_plan
from florilegium.training.classification import task_of
from florilegium.training.feed import place
from florilegium.training.loop import fit
from florilegium.training.machine import configure, derive, pick_device, pick_precision
from florilegium.training.state import StateFolder
from florilegium.training.task import Row, Task

PROJECT = Path(__file__).parents[1]
TARGETS = (0.94, 0.93)
RISE = 0.2  # of the epochs, in which the rate rises; in the others it falls to zero
TEST_BATCH = 1000


@dataclass
class Watch:
    """When each epoch started, had learned, and was tested: events of the device, or times of the clock."""

    device: torch.device
    marks: dict[str, list[Any]] = field(default_factory=lambda: {"started": [], "learned": [], "tested": []})
    scores: list[float] = field(default_factory=list)

    def mark(self, what: str) -> None:
        if self.device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self.marks[what].append(event)
        else:
            self.marks[what].append(time.perf_counter())

    def seconds(self, first: tuple[str, int], last: tuple[str, int]) -> float:
        a, b = (self.marks[what][epoch] for what, epoch in (first, last))
        if self.device.type != "cuda":
            return float(b - a)
        b.synchronize()
        return float(a.elapsed_time(b)) / 1000

    def learning(self) -> list[float]:
        """Seconds of each epoch, without its test."""
        return [self.seconds(("started", e), ("learned", e)) for e in range(len(self.scores))]

    def watched(self, task: Task, test: Images, transform: EvalTransform) -> Task:
        """`task`, which marks its epochs and is tested after each of them."""

        def batches(epoch: int) -> Sequence[torch.Tensor]:
            self.mark("started")
            return task.batches(epoch)

        def validate(network: nn.Module) -> Row:
            self.mark("learned")
            found = evaluate(network, test, transform, batch_size=TEST_BATCH, device=self.device)
            self.mark("tested")
            self.scores.append(found.top1)
            return {"val_loss": found.loss, "val_top1": found.top1}

        return replace(task, batches=batches, validate=validate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kept", type=Path, help="folder of the packed images, for the next time")
    parser.add_argument("--epochs", type=int, help="in place of the recipe's; its rates are stretched")
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--widths", type=int, nargs=4, help="of the stages, to try the benchmark out")
    parser.add_argument("--images", type=int, help="first images of each split, likewise")
    parser.add_argument("--workers", type=int, default=2, help="processes that decode")
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    device = pick_device(a.device)
    plan = load_plan(PROJECT, {"preset": "paper"})
    e = plan.find("techniques", "resnet18_fast", "corrected")
    assert isinstance(e.recipe, Recipe)
    recipe = stretched(e.recipe, a.epochs or e.recipe.epochs)
    recipe = recipe.model_copy(update={"precision": pick_precision(recipe.precision, device)})
    configure(device, recipe.threads, deterministic=False)
    model = Model(name=e.model.name, arguments={"widths": a.widths} if a.widths else {})
    with tempfile.TemporaryDirectory() as folder:
        packed = a.kept or Path(folder)
        splits = resident(read(plan.datasets["cifar10"], e.data, a.archive, packed, a.workers), a.images, device)
        states = Path(folder) / "states"
        train(model, stretched(recipe, 1), splits, -1, device, states)
        rows = [train(model, recipe, splits, seed, device, states) for seed in range(a.runs)]
    report(a.out, rows, recipe, splits, str(device))


def stretched(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe over so many epochs, the rate rising in the first fifth of them."""
    rise = round(RISE * epochs, 1)
    return recipe.model_copy(update={"epochs": epochs, "warmup_epochs": rise, "tail_epochs": epochs - rise})


def read(dataset: Dataset, use: DataUse, archive: Path, folder: Path, workers: int) -> Splits:
    """The images of the archive, packed in `folder` unless they are there."""
    pixels, table = folder / f"pixels{use.storage_size}.npy", folder / "images.csv"
    if not (pixels.is_file() and table.is_file()):
        own = DatasetOverride(files={file.file: LocalFile(path=str(archive)) for file in dataset.files})
        listing = fetch("cifar10", dataset, own, root=folder / "files", downloads=folder / "downloads")
        root, paths = Path(listing["root"]), [file["path"] for file in listing["files"]]
        found = index(dataset, root, paths)
        pack(root, [row[0] for row in found.rows], use.storage_size, pixels, workers=workers)
        write_json(table.with_suffix(".json"), found.summary())
        write_table(table, ("image", "class", "split"), found.rows)
    return load_splits(use, pixels=pixels, images=table)


def resident(splits: Splits, count: int | None, device: torch.device) -> Splits:
    """The splits on the device; of each the images at `count` even places, where it is given."""

    def some(images: Images) -> Images:
        chosen = torch.arange(0, len(images), max(1, len(images) // (count or len(images))))
        taken = Images(images.pixels[chosen], images.labels[chosen], tuple(images.names[i] for i in chosen.tolist()))
        return place(taken, device)

    return replace(splits, train=some(splits.train), test=some(splits.test))


def train(
    model: Model, recipe: Recipe, splits: Splits, seed: int, device: torch.device, states: Path
) -> dict[str, Any]:
    """One run, and when it passed each target."""
    torch.manual_seed(derive(seed, "weights"))
    network = registry.build(model, len(splits.classes))
    config = registry.input_config(model, recipe)
    watch = Watch(device)
    task = watch.watched(task_of(splits, recipe, config, seed, device), splits.test, EvalTransform(config))
    with StateFolder(states / str(seed), "cifar94") as state:
        fit(network, task, recipe, seed=seed, device=device, state=state)
        state.clear()
    learning = watch.learning()
    row: dict[str, Any] = {"seed": seed, "top1": watch.scores, "seconds_of_epochs": learning}
    row |= {"best_top1": max(watch.scores), "last_top1": watch.scores[-1], "seconds": sum(learning)}
    row["images_per_second"] = len(splits.train) * len(learning) / sum(learning)
    for target in TARGETS:
        epoch = next((number for number, top1 in enumerate(watch.scores) if top1 >= target), None)
        row[f"passes_{target:.2f}"] = (
            None
            if epoch is None
            else {
                "epoch": epoch + 1,
                "seconds": sum(learning[: epoch + 1]),
                "seconds_with_tests": watch.seconds(("started", 0), ("tested", epoch)),
            }
        )
    return row


def report(out: Path, rows: list[dict[str, Any]], recipe: Recipe, splits: Splits, device: str) -> None:
    compressed = all(name.endswith((".jpg", ".jpeg")) for name in splits.test.names)
    images = "its JPEG-compressed copy" if compressed else "its published pixels"
    title = (
        f"ResNet-18 on CIFAR-10 ({images}: {len(splits.train)} to learn from, {len(splits.test)} to test on), "
        f"{recipe.epochs} epochs of {recipe.batch_size} images a step, {recipe.precision}, {device}"
    )
    summary: dict[str, Any] = {}
    for key in ("best_top1", "last_top1", "seconds", "images_per_second"):
        summary[key] = interval([row[key] for row in rows])
    for target in TARGETS:
        passed = [row[f"passes_{target:.2f}"] for row in rows if row[f"passes_{target:.2f}"]]
        told = {key: interval([p[key] for p in passed]) for key in passed[0]} if passed else {}
        summary[f"passes_{target:.2f}"] = {"runs": len(passed), **told}
    facts = {"title": title, "summary": summary, "runs": rows, "recipe": recipe.used(), "machine": machine()}
    write_json(out, facts)
    print(f"{title}; {len(rows)} runs: median [interval]")
    for key, found in summary.items():
        if "median" in found:
            print(f"  {key:24} {found['median']:10.4g}   [{found['low']:.4g}, {found['high']:.4g}]")
            continue
        print(f"  {key:24} {found['runs']} of {len(rows)} runs")
        for name, value in list(found.items())[1:]:
            print(f"    {name:22} {value['median']:10.4g}   [{value['low']:.4g}, {value['high']:.4g}]")


if __name__ == "__main__":
    main()
