"""The page of a preset as HTML, and the document of a reference as Markdown: two templates, one context.

The page reads the tables that stages wrote and holds its pictures; the document computes its tables and links to plots.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from florilegium.core.names import unturned
from florilegium.report import claim_texts, generated, pictures, scores, tables
from florilegium.report.claim_texts import Plot
from florilegium.report.comparison import StudyTables
from florilegium.report.evidence import Evidence, provenance
from florilegium.report.findings import findings, most_important
from florilegium.report.study import Page, Study

PAGE, DOCUMENT = "page.html", "document.md.j2"
SCRIPT = Path(__file__).with_name("page.js")
TEMPLATES = [SCRIPT.with_name(name) for name in (PAGE, "page.css", SCRIPT.name, "claims.html", "claims.css")]
READING = {
    "claims": claim_texts.READING,
    "comparison": tables.READING,
    "scores": scores.READING,
    "costs": scores.COST_READING,
    "generated": generated.READING,
}


Plots = Mapping[str, Sequence[Plot]]
"""The plots of each study, by its name; those that lack something are listed with the reason."""


def render_page(evidence: Evidence, plots: Plots) -> str:
    """The page as HTML, from the tables and plots below the folder of a live run."""
    root = evidence.root
    files = {name: StudyTables.read(root / name, study) for name, study in evidence.page.in_order()}
    titles = {name: study.title for name, study in evidence.page.in_order()}
    audits = []
    for (a, b), summary in zip(evidence.page.audits, evidence.audits, strict=True):
        title = _title_of_audit(evidence.page, a, b)
        folder, found = root / "audit" / f"{a}__{b}", f"{summary['n_same_picture']:,} pairs show the same picture"
        sheet = pictures.sheet(folder / "contact_sheet.png", f"{title}: the pairs side by side. {found}.")
        limits = "hash radius {radius}, pixel threshold {pixel_threshold}".format(**summary)
        said = f"{title}: histograms of the distances of all pairs, and where the thresholds cut ({limits}). {found}."
        histograms = pictures.figure(folder / "distances.png", said)
        audits.append({**summary, "title": title, "sheet": sheet, "histograms": histograms})
    used = [*sorted(evidence.page.datasets.items()), *sorted(evidence.page.weights.items())]
    more = {
        "audits": audits,
        "heads": [title.partition(":")[0] for title in titles.values()],
        "sources": {source.title: source for _, source in used}.values(),
        "overview": most_important({name: of.claims for name, of in files.items()}, titles),
        "script": SCRIPT.read_text(encoding="utf-8"),
    }
    page = _rendered(PAGE, evidence, files, plots, lambda path: pictures.figure(root / path), **more)
    return unturned(page)


def document(evidence: Evidence, plots: Plots, folder: str) -> str:
    """The document as Markdown, from tables that are computed; `folder` holds its plots, as links name it."""
    facts = {"hardware": evidence.hardware, "date": evidence.date}
    text = _rendered(DOCUMENT, evidence, evidence.tables, plots, lambda path: f"{folder}/{path}", **facts)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _rendered(
    template: str,
    evidence: Evidence,
    of_studies: Mapping[str, StudyTables],
    plots: Plots,
    shown: Callable[[str], Any],
    **more: Any,
) -> str:
    """A template with the context that page and document share; `shown` is what it shows of a plot, by its path."""
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
        "inline": tables.inline,
        "picture": tables.picture,
    }
    environment.tests["web_address"] = is_web_address
    sections = []
    for name, study in evidence.page.in_order():
        section = _section(study, of_studies[name], evidence)
        drawn = [(shown(f"{name}/figures/{p.name}.png"), p) for p in plots[name] if not p.lacks]
        claims = claim_texts.shown(study, of_studies[name].claims, plots[name])
        left_out = [p for p in plots[name] if p.lacks]
        sections.append({**section, "claims": claims, "plots": drawn, "left_out": left_out})
    return environment.get_template(template).render(
        page=evidence.page,
        reading=READING,
        studies=sections,
        audit_table=audit_table(evidence.page, evidence.audits),
        dataset_table=dataset_table(evidence.page, evidence.summaries),
        provenance=provenance(run for _, run in evidence.every_run()),
        **more,
    )


def _section(study: Study, own: StudyTables, evidence: Evidence) -> dict[str, Any]:
    """The texts and tables of one study."""
    titles = {name: of.title for name, of in evidence.page.datasets.items()}
    comparison, notes = tables.readable(study, own.comparison)
    return {
        "study": study,
        "findings": list(findings(study, own.claims, own.comparison, evidence.audits, titles)),
        "claim_table": claim_texts.readable(own.claims),
        "not_run": claim_texts.not_run(own.claims),
        "comparison": comparison,
        "notes": notes,
        "differences": tables.readable_differences(study, own.differences),
        "scores": scores.readable_scores(study, own.scores),
        "costs": scores.readable_costs(study, own.costs),
        "generated": None if own.generated is None else generated.readable_generated(study, own.generated),
    }


def audit_table(page: Page, audits: Sequence[Mapping[str, Any]]) -> tables.Table:
    """A row for each audit, from its summary."""
    header = (
        "Searched", "for pictures of", "Images", "of", "Near in hash", "Same picture",
        "Exposed: train", "validation", "test", "Dropped",
    )  # fmt: skip
    rows = []
    for of in audits:
        counts = [f"{of[key]:,}" for key in ("n_a", "n_b", "n_candidates", "n_same_picture")]
        exposed = [str(of["n_exposed"].get(split, 0)) for split in ("train", "val", "test")]
        rows.append((_title(page, of["a"]), _title(page, of["b"]), *counts, *exposed, f"{of['n_dropped']:,}"))
    return header, rows


def _title(page: Page, name: str) -> str:
    """The title of a data set."""
    return page.datasets[name].title if name in page.datasets else name


def _title_of_audit(page: Page, a: str, b: str) -> str:
    return f"Doubles inside “{_title(page, a)}”" if a == b else f"“{_title(page, b)}” repeated in “{_title(page, a)}”"


def dataset_table(page: Page, summaries: Mapping[str, Mapping[str, Any]]) -> tables.Table:
    """A row for each data set, from its summary."""
    header = (
        "Data set", "Name", "Images", "Classes", "Train", "Validation", "Test", "Splits", "Absent classes", "Boxes",
    )  # fmt: skip
    rows = []
    for name, of in summaries.items():
        counts = [f"{of[key]:,}" for key in ("n_images", "n_classes", "n_train", "n_val", "n_test")]
        absent, boxes = ", ".join(of["absent_classes"]) or tables.EMPTY, tables.EMPTY
        if "n_boxes" in of:
            boxes = "{n_boxes:,}; {n_bad_boxes:,} bad, left out; {n_cut_boxes:,} cut at the border".format(**of)
        rows.append((page.datasets[name].title, name, *counts, of["split_origin"], absent, boxes))
    return header, rows


def is_web_address(text: str) -> bool:
    """True for a whole address of http or https, which alone becomes a link; anything else is shown as text."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and all(map(_stands_in_address, text))
    except ValueError:
        return False


def _stands_in_address(character: str) -> bool:
    return character.isprintable() and not character.isspace() and character not in "\\\"'<>`"
