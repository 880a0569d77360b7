"""The results of a preset as a Markdown document to commit: numbers and plots, no picture of a data set.

It needs no more than a reference holds, and says of a live run what it will say of its reference.
"""

from collections.abc import Mapping
from pathlib import Path

from florilegium.figures.draw import draw
from florilegium.figures.material import Material
from florilegium.figures.plots import Plot
from florilegium.figures.registry import KINDS, left_out, planned
from florilegium.report.costs import READING as COST_READING
from florilegium.report.costs import readable_costs
from florilegium.report.evidence import Evidence
from florilegium.report.findings import findings
from florilegium.report.generated import READING as GENERATED_READING
from florilegium.report.generated import generated, readable_generated
from florilegium.report.page import AUDIT_HEADER, DATASET_HEADER, audit_row, dataset_row
from florilegium.report.provenance import provenance
from florilegium.report.scores import READING as SCORE_READING
from florilegium.report.scores import readable_scores
from florilegium.report.study import Study
from florilegium.report.study_tables import StudyTables, tabulate
from florilegium.report.tables import READING, markdown_table, numbered, readable, readable_differences


def tables_of(evidence: Evidence) -> dict[str, StudyTables]:
    """The tables of each study, computed from its runs."""
    return {
        name: tabulate(study, evidence.runs[name], evidence.summaries)
        for name, study in evidence.page.in_order()
    }


def document(evidence: Evidence, tables: Mapping[str, StudyTables], plots: str) -> str:
    """The document as Markdown.

    Args:
        evidence: what was run.
        tables: of each study, see `tables_of`.
        plots: the folder that `draw_plots` draws into, as the document says it.
    """
    page = evidence.page
    parts = [
        f"# Results: {page.preset}, {evidence.hardware}",
        f"Measured on {evidence.date}. {page.note[:1].upper()}{page.note[1:]}.",
        *(
            part
            for name, study in page.in_order()
            for part in _study(study, evidence, tables[name], f"{plots}/{name}/figures")
        ),
        "## Leak audit",
        markdown_table(AUDIT_HEADER, [audit_row(summary) for summary in evidence.audits]),
        "## Data sets",
        markdown_table(
            DATASET_HEADER,
            [dataset_row(page, name, summary) for name, summary in evidence.summaries.items()],
        ),
        "## Made by",
        markdown_table(("what", "which"), provenance(run for _, run in evidence.every_run())),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def plots_of(study: Study) -> list[Plot]:
    """The figures of a study that its numbers alone suffice for."""
    return [plot for plot in planned(study) if not KINDS[plot.kind].reads]


def draw_plots(evidence: Evidence, tables: Mapping[str, StudyTables], out: Path) -> list[Path]:
    """Draw the document's plots to `<out>/<study>/figures`; the files."""
    return [
        draw(material, figure, out / name / "figures")
        for name, study in evidence.page.in_order()
        for material in [_material(evidence, name, tables[name])]
        for figure in plots_of(study)
    ]


def _material(evidence: Evidence, name: str, tables: StudyTables) -> Material:
    return Material(
        study=evidence.page.studies[name],
        runs=evidence.runs[name],
        comparison=tables.comparison,
        differences=tables.differences,
        scores=tables.scores,
        classes={dataset: of["classes"] for dataset, of in evidence.summaries.items()},
        words={dataset: of.get("words") or {} for dataset, of in evidence.summaries.items()},
        pixels={},
    )


def _study(study: Study, evidence: Evidence, tables: StudyTables, plots: str) -> list[str]:
    shown = readable(tables.comparison)
    headlines = [
        f"- **{found.headline}** {found.subject}. {found.sentence}"
        for found in findings(study, tables.comparison, tables.differences, evidence.audits)
    ]
    drawn = [f"![{figure.question}]({plots}/{figure.name}.png)" for figure in plots_of(study)]
    return [
        f"## {study.title}",
        "\n".join(headlines),
        READING,
        markdown_table(shown.header, shown.rows),
        numbered(shown.notes),
        "### Arms against their baselines, paired",
        markdown_table(*readable_differences(tables.differences)),
        *_generated(study, evidence),
        *_scores(study, tables),
        "### Cost",
        COST_READING,
        markdown_table(*readable_costs(study, tables.costs)),
        *(["### Figures", *drawn] if drawn else []),
        *_left_out(study),
    ]


def _left_out(study: Study) -> list[str]:
    found = [f"- {figure.question}: {figure.lacks}" for figure in left_out(study)]
    return ["Not drawn, since there is nothing to compare in this preset:", "\n".join(found)] if found else []


def _generated(study: Study, evidence: Evidence) -> list[str]:
    if not study.makes_images():
        return []
    found = readable_generated(study, generated(study, evidence.runs[study.study]))
    return ["### Generated images", GENERATED_READING, markdown_table(*found)]


def _scores(study: Study, tables: StudyTables) -> list[str]:
    found = readable_scores(study, tables.scores)
    parts = [
        part
        for table in found
        for part in (f"**{table['title']}**", markdown_table(table["header"], table["rows"]))
    ]
    return ["### Every score", SCORE_READING, *parts] if found else []
