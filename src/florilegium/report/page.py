"""The page and the document of a preset, from one context: `page.html` for a browser, `document.md.j2` for git.

The page is one file without scripts or network, with every picture inside. The document has numbers and plots and no
picture of a data set: it needs no more than a reference holds, so that a live run and its reference give the same text.
"""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from PIL import Image

from florilegium.figures.registry import KINDS, Plot, left_out, planned
from florilegium.report import generated, scores, tables
from florilegium.report.comparison import StudyTables
from florilegium.report.evidence import Evidence, provenance
from florilegium.report.findings import findings
from florilegium.report.study import Page, Study

PAGE, DOCUMENT = "page.html", "document.md.j2"
TEMPLATES = [Path(__file__).with_name(name) for name in (PAGE, "page.css")]
DATASET_HEADER = (
    *("Data set", "Title", "Images", "Classes", "Train", "Validation", "Test", "Splits"),
    *("Absent classes", "Boxes"),
)
AUDIT_HEADER = (
    *("Searched", "for pictures of", "Images", "of", "Near in hash", "Same picture"),
    *("Exposed: train", "validation", "test", "Dropped"),
)
READING = {
    "comparison": tables.READING,
    "scores": scores.READING,
    "costs": scores.COST_READING,
    "generated": generated.READING,
}


def render_page(evidence: Evidence) -> str:
    """The page as HTML, from the tables and figures below the folder of a live run."""
    root, studies = evidence.root, evidence.page.in_order()
    figures = {
        name: [(embedded(root / name / "figures" / f"{f.name}.png"), f.question) for f in planned(study)]
        for name, study in studies
    }
    files = {name: StudyTables.read(root / name, study) for name, study in studies}
    folders = [root / "audit" / f"{a}__{b}" for a, b in evidence.page.audits]
    audits = [
        {
            **summary,
            "sheet": embedded_photographs(folder / "contact_sheet.png"),
            "histograms": embedded(folder / "distances.png"),
        }
        for folder, summary in zip(folders, evidence.audits, strict=True)
    ]
    return _rendered(PAGE, evidence, files, figures, audits=audits, sources=_sources(evidence.page))


def document(evidence: Evidence, plots: str) -> str:
    """The document as Markdown, from tables that are computed; `plots` is the folder of its plots, as links name it."""
    figures = {
        name: [(f"{plots}/{name}/figures/{figure.name}.png", figure.question) for figure in plots_of(study)]
        for name, study in evidence.page.in_order()
    }
    facts = {"hardware": evidence.hardware, "date": evidence.date}
    text = _rendered(DOCUMENT, evidence, evidence.tables, figures, **facts)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def plots_of(study: Study) -> list[Plot]:
    """The figures of a study that can be drawn from a reference and committed."""
    return [plot for plot in planned(study) if not KINDS[plot.kind].reads]


def _rendered(
    template: str,
    evidence: Evidence,
    of_studies: Mapping[str, StudyTables],
    figures: Mapping[str, Sequence[tuple[str, str]]],
    **more: Any,
) -> str:
    """A template with the context that page and document share; `figures`: by study, (address, text) of each."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "markdown": lambda table: tables.markdown_table(*table),
        "numbered": tables.numbered,
    }
    page, summaries = evidence.page, evidence.summaries
    return environment.get_template(template).render(
        page=page,
        reading=READING,
        studies=[
            _study(study, of_studies[name], evidence.audits, figures[name]) for name, study in page.in_order()
        ],
        audit_table=(AUDIT_HEADER, [audit_row(summary) for summary in evidence.audits]),
        dataset_table=(DATASET_HEADER, [dataset_row(page, name, of) for name, of in summaries.items()]),
        provenance=provenance(run for _, run in evidence.every_run()),
        **more,
    )


def _study(
    study: Study,
    own: StudyTables,
    audits: Sequence[Mapping[str, Any]],
    figures: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    """The context of one study; tables are pairs of a header and rows."""
    comparison = tables.readable(own.comparison)
    return {
        "study": study,
        "findings": findings(study, own.comparison, own.differences, audits),
        "comparison": (comparison.header, comparison.rows),
        "notes": comparison.notes,
        "differences": tables.readable_differences(own.differences),
        "scores": scores.readable_scores(study, own.scores),
        "costs": scores.readable_costs(study, own.costs),
        "generated": None if own.generated is None else generated.readable_generated(study, own.generated),
        "figures": figures,
        "left_out": left_out(study),
    }


def audit_row(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """A row under `AUDIT_HEADER` from an audit's summary."""
    exposed = [str(summary["n_exposed"].get(split, 0)) for split in ("train", "val", "test")]
    counts = [f"{summary[key]:,}" for key in ("n_a", "n_b", "n_candidates", "n_same_picture")]
    return (summary["a"], summary["b"], *counts, *exposed, f"{summary['n_dropped']:,}")


def dataset_row(page: Page, name: str, summary: Mapping[str, Any]) -> tuple[str, ...]:
    """A row under `DATASET_HEADER` from a data set's summary."""
    counts = (f"{summary[key]:,}" for key in ("n_images", "n_classes", "n_train", "n_val", "n_test"))
    absent = ", ".join(summary["absent_classes"]) or tables.EMPTY
    return (name, page.datasets[name].title, *counts, summary["split_origin"], absent, _boxes(summary))


def _boxes(summary: Mapping[str, Any]) -> str:
    """Counts of the boxes: all, bad ones that were left out, and those that reached beyond their image."""
    if "n_boxes" not in summary:
        return tables.EMPTY
    return "{n_boxes:,}; {n_bad_boxes:,} bad, left out; {n_cut_boxes:,} cut at the border".format(**summary)


def _sources(page: Page) -> list[dict[str, str]]:
    """Each title once, with its citation and terms of use."""
    by_title = {source.title: source for _, source in sorted(page.datasets.items())}
    return [source.model_dump() for source in by_title.values()]


def embedded(path: Path) -> str:
    """A PNG as a `data:` address."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def embedded_photographs(path: Path) -> str:
    """A PNG full of photographs as a `data:` address of a JPEG, a tenth of its size."""
    encoded = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(encoded, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")
