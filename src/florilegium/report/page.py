"""One self-contained page of a preset's results: no script, no network, every picture inside."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from florilegium.core.files import read_json
from florilegium.figures.registry import left_out, planned
from florilegium.report.comparison import read_tables
from florilegium.report.costs import READING as COST_READING
from florilegium.report.costs import read_costs, readable_costs
from florilegium.report.findings import findings
from florilegium.report.generated import READING as GENERATED_READING
from florilegium.report.generated import read_generated
from florilegium.report.provenance import provenance
from florilegium.report.runs import Run, read_study
from florilegium.report.scores import READING as SCORE_READING
from florilegium.report.scores import read_scores, readable_scores
from florilegium.report.study import Page, Study
from florilegium.report.tables import EMPTY, READING, readable

TEMPLATE = "page.html"
TEMPLATES = [Path(__file__).with_name(name) for name in (TEMPLATE, "page.css")]
DATASET_HEADER = (
    "Data set",
    "Title",
    "Images",
    "Classes",
    "Train",
    "Validation",
    "Test",
    "Splits",
    "Absent classes",
    "Boxes",
)
AUDIT_HEADER = (
    "Searched", "for pictures of", "Images", "of", "Near in hash", "Same picture",
    "Exposed: train", "validation", "test", "Dropped",
)  # fmt: skip


def render_page(page: Page, results: Path, images: Mapping[str, Path]) -> str:
    """The page as HTML.

    Args:
        page: what it shows.
        results: the preset's folder, `results/<preset>`.
        images: `images.json` of each data set that a study uses, by data set.
    """
    audits = [_audit(results / "audit" / f"{a}__{b}") for a, b in page.audits]
    sections = [_study(study, results / name, audits) for name, study in page.in_order()]
    runs = [run for section in sections for run in section["runs"]]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        page=page,
        reading=READING,
        studies=sections,
        audits=audits,
        audit_header=AUDIT_HEADER,
        dataset_header=DATASET_HEADER,
        datasets=[dataset_row(page, name, read_json(path)) for name, path in sorted(images.items())],
        sources=_sources(page),
        cost_reading=COST_READING,
        score_reading=SCORE_READING,
        generated_reading=GENERATED_READING,
        provenance=provenance(runs),
    )


def _study(study: Study, folder: Path, audits: list[dict[str, Any]]) -> dict[str, Any]:
    comparison, differences = read_tables(folder)
    runs = read_study(folder, study)
    summaries = [audit["summary"] for audit in audits]
    return {
        "study": study,
        "findings": findings(study, comparison, differences, summaries),
        "table": readable(comparison),
        "figures": [
            {"source": embedded(folder / "figures" / f"{figure.name}.png"), "alt": figure.question}
            for figure in planned(study)
        ],
        "left_out": left_out(study),
        "generated": read_generated(study, folder),
        "scores": readable_scores(study, read_scores(folder)),
        "costs": readable_costs(study, read_costs(folder)),
        "runs": _all(runs),
    }


def _all(runs: Mapping[tuple[str, str], list[Run]]) -> list[Run]:
    return [run for of_arm in runs.values() for run in of_arm]


def _audit(folder: Path) -> dict[str, Any]:
    summary = read_json(folder / "summary.json")
    return {
        "summary": summary,
        "inside": summary["a"] == summary["b"],
        "row": audit_row(summary),
        "sheet": embedded_photographs(folder / "contact_sheet.png"),
        "distances": embedded(folder / "distances.png"),
    }


def audit_row(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """A row under `AUDIT_HEADER` from an audit's summary."""
    exposed = [str(summary["n_exposed"].get(split, 0)) for split in ("train", "val", "test")]
    counts = [f"{summary[key]:,}" for key in ("n_a", "n_b", "n_candidates", "n_same_picture")]
    return (summary["a"], summary["b"], *counts, *exposed, f"{summary['n_dropped']:,}")


def dataset_row(page: Page, name: str, summary: Mapping[str, Any]) -> tuple[str, ...]:
    """A row under `DATASET_HEADER` from a data set's summary."""
    counts = (f"{summary[key]:,}" for key in ("n_images", "n_classes", "n_train", "n_val", "n_test"))
    absent = ", ".join(summary["absent_classes"]) or EMPTY
    return (name, page.datasets[name].title, *counts, summary["split_origin"], absent, _boxes(summary))


def _boxes(summary: Mapping[str, Any]) -> str:
    """How many there are, how many were left out as bad, and how many ended outside their image."""
    if "n_boxes" not in summary:
        return EMPTY
    return "{n_boxes:,}; {n_bad_boxes:,} bad, left out; {n_cut_boxes:,} cut at the border".format(**summary)


def _sources(page: Page) -> list[dict[str, str]]:
    """Each title once, with what to cite and on what terms it may be used."""
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
