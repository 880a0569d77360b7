"""Which figures a study has: known from its description, before anything is measured.

Snakemake declares them from here, so nothing heavy is imported.
"""

from dataclasses import dataclass
from typing import Any

from florilegium.report.study import Entry, Study

GROUPS = {
    "target": ("scratch", "transfer"),
    "pretraining": ("pretrain",),
    "rates": ("rate",),
}
CONVERGENCE_ROLES = ("scratch", "transfer")


@dataclass(frozen=True)
class Planned:
    """A figure that is to be drawn: its file is `<name>.png`; `dataset` narrows curves to one target."""

    name: str
    kind: str
    group: str = ""
    dataset: str = ""


def planned(study: Study) -> list[Planned]:
    """The figures of a study, in reading order."""
    found = [Planned("published", "published")]
    if study.leaks():
        found.append(Planned("leak", "leak"))
    if study.gains():
        found.append(Planned("convergence", "convergence"))
    if study.rates():
        found.append(Planned("rates", "rates"))
    for group in GROUPS:
        for dataset in dict.fromkeys(entry.dataset for entry in study.entries if entry.role in GROUPS[group]):
            found.append(Planned(f"curves_{group}_{dataset}", "curves", group, dataset))
    return [*found, Planned("confusion", "confusion"), Planned("samples", "samples")]


def members(study: Study, figure: Planned) -> list[Entry]:
    """The arms that a figure of curves shows."""
    return [e for e in study.entries if e.role in GROUPS[figure.group] and e.dataset == figure.dataset]


def figure_names(description: dict[str, Any]) -> tuple[str, ...]:
    """File names of a study's figures, for the workflow to declare.

    Args:
        description: the study as `core.plan.Plan.description` gives it.
    """
    study = Study.model_validate(description, strict=False)
    return tuple(f"{figure.name}.png" for figure in planned(study))
