"""The tables of one study, computed from its runs: what a live run and committed evidence are both told by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from florilegium.report.arms import Arms
from florilegium.report.comparison import compare
from florilegium.report.costs import costs
from florilegium.report.csv_file import write_csv
from florilegium.report.runs import Run
from florilegium.report.scores import scores
from florilegium.report.study import Key, Study
from florilegium.report.verdicts import Images


@dataclass(frozen=True)
class StudyTables:
    """What `compare`, `costs` and `scores` of the modules of these names find."""

    comparison: pd.DataFrame
    differences: pd.DataFrame
    costs: pd.DataFrame
    scores: pd.DataFrame

    def by_file(self) -> dict[str, pd.DataFrame]:
        """The tables by the name of their file in a study's folder."""
        return {
            "comparison.csv": self.comparison,
            "differences.csv": self.differences,
            "costs.csv": self.costs,
            "scores.csv": self.scores,
        }


def tabulate(study: Study, runs: Mapping[Key, Sequence[Run]], images: Images) -> StudyTables:
    """Compute the tables.

    Args:
        study: the study's description.
        runs: the finished runs of each arm.
        images: `images.json` of the study's data sets, by data set.
    """
    arms = Arms(runs)
    comparison, differences = compare(study, arms, images)
    return StudyTables(comparison, differences, costs(study, runs), scores(study, arms))


def write_tables(tables: Mapping[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Write tables as CSV, by the name of their file; the files."""
    for name, table in tables.items():
        write_csv(table, folder / name)
    return [folder / name for name in tables]
