"""The results of a preset as a Markdown document to commit: numbers and plots, no picture of a data set."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from florilegium.core.files import read_json
from florilegium.report.catalogue import left_out, planned
from florilegium.report.comparison import read_tables
from florilegium.report.costs import READING as COST_READING
from florilegium.report.costs import read_costs, readable_costs
from florilegium.report.findings import findings
from florilegium.report.generated import READING as GENERATED_READING
from florilegium.report.generated import read_generated
from florilegium.report.page import AUDIT_HEADER, DATASET_HEADER, audit_row, dataset_row
from florilegium.report.provenance import provenance
from florilegium.report.runs import Run, read_study
from florilegium.report.scores import READING as SCORE_READING
from florilegium.report.scores import read_scores, readable_scores
from florilegium.report.study import Page, Study
from florilegium.report.tables import READING, markdown_table, numbered, p_value, points, readable

# Figures that show images of the data sets, whose terms may forbid it.
WITH_PICTURES = (
    *("samples", "generated", "detections", "misses"),
    *("attention_rollout", "attention_nodes", "attribution_maps"),
)


def document(
    page: Page, results: Path, images: Mapping[str, Path], *, plots: str, hardware: str, date: str
) -> str:
    """The document as Markdown.

    Args:
        page: what the preset's report shows.
        results: the preset's folder, `results/<preset>`.
        images: `images.json` of each data set in use, by data set.
        plots: the folder of what `figures` names, as the document says it.
        hardware: what the runs were made on, in words.
        date: of the runs, ISO 8601.
    """
    summaries = [read_json(results / "audit" / f"{a}__{b}" / "summary.json") for a, b in page.audits]
    runs = {name: read_study(results / name, study) for name, study in page.in_order()}
    parts = [
        f"# Results: {page.preset}, {hardware}",
        f"Measured on {date}. {page.note[:1].upper()}{page.note[1:]}.",
        *(
            part
            for name, study in page.in_order()
            for part in _study(study, results / name, summaries, plots)
        ),
        "## Leak audit",
        markdown_table(AUDIT_HEADER, [audit_row(summary) for summary in summaries]),
        "## Data sets",
        markdown_table(
            DATASET_HEADER,
            [dataset_row(page, name, read_json(path)) for name, path in sorted(images.items())],
        ),
        "## Made by",
        markdown_table(("what", "which"), provenance(_all(runs.values()))),
    ]
    return "\n\n".join(parts) + "\n"


def figures(page: Page, results: Path) -> dict[str, Path]:
    """The plots of the document: its names for them, and where they are."""
    return {
        f"{name}-{figure.name}.png": results / name / "figures" / f"{figure.name}.png"
        for name, study in page.in_order()
        for figure in planned(study)
        if figure.kind not in WITH_PICTURES
    }


def _study(study: Study, folder: Path, summaries: Sequence[dict[str, object]], plots: str) -> list[str]:
    comparison, differences = read_tables(folder)
    shown = readable(comparison)
    headlines = [
        f"- **{found.figure}** {found.subject}. {found.sentence}"
        for found in findings(study, comparison, differences, summaries)
    ]
    drawn = [
        f"![{figure.question}]({plots}/{study.study}-{figure.name}.png)"
        for figure in planned(study)
        if figure.kind not in WITH_PICTURES
    ]
    return [
        f"## {study.title}",
        "\n".join(headlines),
        READING,
        markdown_table(shown.header, shown.rows),
        numbered(shown.notes),
        "### Arms against their baselines, paired",
        markdown_table(*_differences(differences)),
        *_generated(study, folder),
        *_scores(study, folder),
        "### Cost",
        COST_READING,
        markdown_table(*readable_costs(study, read_costs(folder))),
        "### Figures",
        *drawn,
        *_left_out(study),
    ]


def _left_out(study: Study) -> list[str]:
    found = [f"- {figure.question}: {figure.lacks}" for figure in left_out(study)]
    return ["Not drawn, since there is nothing to compare in this preset:", "\n".join(found)] if found else []


def _generated(study: Study, folder: Path) -> list[str]:
    found = read_generated(study, folder)
    return ["### Generated images", GENERATED_READING, markdown_table(*found)] if found else []


def _scores(study: Study, folder: Path) -> list[str]:
    found = readable_scores(study, read_scores(folder))
    parts = [
        part
        for table in found
        for part in (f"**{table['title']}**", markdown_table(table["header"], table["rows"]))
    ]
    return ["### Every score", SCORE_READING, *parts] if found else []


def _differences(table: pd.DataFrame) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    header = ("Arm", "Against", "Difference in points", "95 % interval", "p", "Seeds", "Images")
    rows: list[tuple[str, ...]] = [
        (
            f"{row.experiment}/{row.arm}",
            row.baseline,
            points(row.difference),
            f"{points(row.ci_low)} to {points(row.ci_high)}",
            p_value(row.p_value),
            str(row.n_seeds),
            f"{row.n_test:,}",
        )
        for row in table.itertuples()
    ]
    return header, rows


def _all(studies: Iterable[Mapping[tuple[str, str], list[Run]]]) -> list[Run]:
    return [run for study in studies for of_arm in study.values() for run in of_arm]
