"""The quality and cost of generated images: `generated.csv`, a row for each set of images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from florilegium.core.files import read_json
from florilegium.report.runs import Run
from florilegium.report.statistics import Interval, share_interval
from florilegium.report.study import Entry, Key, Study, labels
from florilegium.report.tables import Table, inline, markdown_table

COLUMNS = [
    "experiment", "arm", "samples", "sampler", "steps", "guidance", "accuracy", "ci_low", "ci_high", "copies",
    "median_distance", "median_distance_of_test_images", "images_per_second", "n_images", "n_seeds",
]  # fmt: skip
HEADER = (
    "Generator", "Set", "Sampler", "Steps", "Guidance", "Recognised (%)", "Copies",
    "Distance", "of test images", "Images/s", "Images", "Seeds",
)  # fmt: skip
READING = (
    "Recognised: the share of images in which a classifier of real images sees the requested class, with a 95 % "
    "interval over seeds (of a single one Wilson's, over its images). Copies: images that the audit calls the same "
    "picture as one of the generator's training images. Distance: the mean squared difference to the nearest training "
    "image, the median over images; beside it the same of real test images, which no generator has copied."
)


@dataclass(frozen=True)
class Set:
    """The sets of one name that the seeds of a generator made."""

    entry: Entry
    name: str
    folders: tuple[Path, ...]

    @property
    def files(self) -> list[Path]:
        """The files that tables and figures are made from."""
        judged = ("judge.json",) if self.entry.samples and self.entry.samples.judge else ()
        names = ("samples.npy", "samples.csv", "cost.json", *judged)
        return [folder / name for folder in self.folders for name in names]

    def judged(self) -> list[dict[str, Any]]:
        return [read_json(folder / "judge.json") for folder in self.folders]

    def costs(self) -> list[dict[str, Any]]:
        return [read_json(folder / "cost.json") for folder in self.folders]


def sets_of(study: Study, runs: Mapping[Key, Sequence[Run]]) -> Iterator[Set]:
    """The sets of images that exist, in the order of the study."""
    for entry in study.entries:
        for name in entry.sets:
            places = (run.folder / "samples" / name for run in runs[entry.key])
            folders = tuple(place for place in places if (place / "cost.json").is_file())
            if folders:
                yield Set(entry, name, folders)


def generated(study: Study, runs: Mapping[Key, Sequence[Run]]) -> pd.DataFrame:
    """A row for each set of images: `COLUMNS`. Without a judge, the columns that it fills are empty."""
    return pd.DataFrame([_row(images) for images in sets_of(study, runs)], columns=COLUMNS)


def _row(images: Set) -> dict[str, Any]:
    entry, costs = images.entry, images.costs()
    assert entry.samples is not None
    sampling = entry.samples.sets[images.name]
    row: dict[str, Any] = {
        "experiment": entry.experiment,
        "arm": entry.arm,
        "samples": images.name,
        "sampler": sampling.sampler,
        "steps": costs[0]["steps"],
        "guidance": sampling.guidance,
        "images_per_second": float(np.mean([cost["images_per_second"] for cost in costs])),
        "n_seeds": len(costs),
    }
    if entry.samples.judge:
        judged = images.judged()
        row |= zip(("accuracy", "ci_low", "ci_high"), recognised(judged), strict=True)
        row |= {"copies": sum(j["copies"] for j in judged), "n_images": sum(j["n"] for j in judged)}
        distances = ("median_distance", "median_distance_of_test_images")
        row |= {key: float(np.mean([j[key] for j in judged])) for key in distances}
    return row


def recognised(judged: Sequence[Mapping[str, Any]]) -> Interval:
    """Mean accuracy by the judge over seeds, with its 95 % interval."""
    values = [j["accuracy"] for j in judged]
    n = int(judged[0]["n"])
    own = max(value * (1 - value) / n for value in values)  # each seed makes images of its own
    return share_interval(np.array(values), n, own, 0.0)


def readable_generated(study: Study, table: pd.DataFrame) -> Table:
    """The table of generated images for people."""
    names = labels(study)
    rows: list[tuple[str, ...]] = []
    for row in table.to_dict("records"):
        rate = row["images_per_second"]
        sampling = (row["samples"].replace("_", " "), row["sampler"], str(row["steps"]), f"{row['guidance']:g}")
        speed = f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
        n_images = "" if pd.isna(row["n_images"]) else f"{row['n_images']:,.0f}"
        name = names[row["experiment"], row["arm"]]
        rows.append((name, *sampling, *_judgement(row), speed, n_images, str(row["n_seeds"])))
    return HEADER, rows


def _judgement(row: Mapping[Any, Any]) -> tuple[str, str, str, str]:
    if pd.isna(row["accuracy"]):
        return "not judged", "", "", ""
    low, high = 100 * row["ci_low"], 100 * row["ci_high"]
    return (
        f"{100 * row['accuracy']:.1f} [{low:.1f}, {high:.1f}]",
        f"{row['copies']:.0f}",
        f"{row['median_distance']:.4f}",
        f"{row['median_distance_of_test_images']:.4f}",
    )


def generated_markdown(study: Study, table: pd.DataFrame) -> str:
    """The Markdown twin of `generated.csv`."""
    rows = markdown_table(*readable_generated(study, table))
    return f"# {inline(study.title)}: generated images ({study.preset})\n\n{READING}\n\n{rows}\n"
