"""The material of a study's figures: its runs and tables, with the sums and words that captions share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from florilegium.figures.style import INTERVAL, class_name, title
from florilegium.report.runs import NOWHERE, Run, finite, over_seeds
from florilegium.report.statistics import Interval
from florilegium.report.study import Entry, Key, Study, labels


@dataclass(frozen=True)
class Material:
    """A study with its runs and tables.

    Attributes:
        classes: class names in label order, by data set.
        pixels: packed images (`pixels<size>.npy`, its `.csv` beside it), by data set.
        words: names in words of classes whose name is a code, by data set and class.
        scenes: packed pictures of the arm whose detections are shown (`scenes<packing>.npy`, its `.csv` and
            `annotations.json` beside it).
    """

    study: Study
    runs: Mapping[Key, Sequence[Run]]
    comparison: pd.DataFrame
    differences: pd.DataFrame
    scores: pd.DataFrame
    classes: Mapping[str, Sequence[str]]
    pixels: Mapping[str, Path]
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    scenes: Path | None = None

    def called(self, dataset: str) -> list[str]:
        """Names for people of the classes of a data set, in label order: the first of several words."""
        words = {name: several.split(",")[0] for name, several in self.words.get(dataset, {}).items()}
        return [class_name(words.get(name, name)).replace("_", " ") for name in self.classes.get(dataset, ())]

    def label(self, entry: Entry) -> str:
        return title(labels(self.study)[entry.key])

    def finished(self, entry: Entry) -> list[Run]:
        """The arm's runs that did not diverge."""
        return finite(self.runs[entry.key])

    def first_seeds(self, entries: Sequence[Entry], stage: str, file: str) -> dict[str, tuple[Entry, Path]]:
        """The folder where `stage` left its `file` of each arm's first seed, by the arm's name for people."""
        return {
            self.label(entry) + (" (diverged)" if run.diverged else ""): (entry, run.folder / stage)
            for entry in entries
            for run in self.runs[entry.key]
            if run.seed == entry.seeds[0] and (run.folder / stage / file).is_file()
        }

    def summary(self, metric: str, entry: Entry) -> Interval:
        """Mean and interval of a metric of an arm; of its scores those of the table."""
        if metric not in entry.scoring.scores:
            return over_seeds(metric, self.runs[entry.key])
        table = self.scores
        of_arm = (table["experiment"] == entry.experiment) & (table["arm"] == entry.arm)
        rows = table[of_arm & (table["kind"] == entry.task) & (table["name"] == metric)]
        return next(rows[["mean", "ci_low", "ci_high"]].itertuples(index=False, name=None), NOWHERE)

    def not_alike(self, entries: Sequence[Entry]) -> str:
        """A warning for captions where published numbers stand beside arms that are not what was published."""
        warning = "Published numbers are of something else than was run here: the table says what differs. "
        return warning if any(entry.departures for entry in entries) else ""

    def n_tests(self, entries: Sequence[Entry]) -> str:
        """`340 test images`, or a range where the arms differ."""
        return _range({run.metrics["n_test"] for entry in entries for run in self.finished(entry)}, "test image")

    def n_seeds(self, entries: Sequence[Entry]) -> str:
        """`3 seeds`, or a range where the arms differ."""
        return _range({len(self.finished(entry)) for entry in entries} - {0}, "seed")

    def n_runs(self, entries: Sequence[Entry]) -> str:
        """`3 seeds, 340 test images`."""
        return f"{self.n_seeds(entries)}, {self.n_tests(entries)}"

    def reading(self, entries: Sequence[Entry]) -> str:
        """The explanation of dots and bars, for captions; without a full stop."""
        return f"Small dots: single runs ({self.n_runs(entries)}); large: mean; bars: {INTERVAL}"


def _range(counts: set[int], unit: str) -> str:
    """`no seeds`, `1 seed`, `3 seeds` or `2 to 3 seeds`."""
    ends = " to ".join(f"{count:,}" for count in sorted({min(counts), max(counts)})) if counts else "no"
    return f"{ends} {unit}{'' if counts == {1} else 's'}"
