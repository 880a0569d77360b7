"""Page."""

import base64
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from PIL import Image

from florilegium.config.metrics import EPOCHS
from florilegium.figures.registry import KINDS, Plot, left_out, planned
from florilegium.report import generated, scores, tables
from florilegium.report.comparison import StudyTables, arm_rows, differences_of, shown
from florilegium.report.evidence import Evidence, provenance
from florilegium.report.study import SHARE, Entry, Page, Study, labels
from florilegium.report.tables import equals, number, p_value, points

FEW = 3  # gains that have a headline each
JUDGED = ("reproduced", "higher", "lower", "inconclusive")


@dataclass(frozen=True)
class Finding:
    """A number, its subject, and the sentence that qualifies it."""

    headline: str
    subject: str
    sentence: str


def findings(
    study: Study, comparison: pd.DataFrame, differences: pd.DataFrame, audits: Sequence[Mapping[str, Any]]
) -> list[Finding]:
    """The headlines of a study, the leak first."""
    names = labels(study)
    found: list[Finding] = []
    for leaky, clean in study.leaks():
        found += _effect(f"flattery by a leak ({leaky.dataset})", leaky, clean, differences, names)
    gains = study.gains()
    for transfer, scratch in gains if len(gains) <= FEW else ():
        subject = f"gain by transfer ({transfer.dataset})"
        found += _effect(subject, transfer, scratch, differences, names)
        found += _convergence(transfer, scratch, comparison)
    if len(gains) > FEW:
        found += _gains([transfer for transfer, _ in gains], differences)
    for added, real in study.additions():
        subject = f"by {100 * added.values[SHARE]:.0f} % generated images beside the real ones ({added.dataset})"
        found += _effect(subject, added, real, differences, names)
    used = {entry.dataset for entry in study.entries}
    own = [audit for audit in audits if {audit["a"], audit["b"]} <= used]
    return [*found, *_repeated(own), *_published(comparison)]


def _effect(
    subject: str, arm: Entry, baseline: Entry, differences: pd.DataFrame, names: Mapping[tuple[str, str], str]
) -> Iterator[Finding]:
    row = differences_of(differences, arm)
    if row is None:
        return
    metric = arm.scoring.main
    sentence = (
        f"{names[arm.key]}: {number(metric, row.mean)}\u00a0%, against {number(metric, row.baseline_mean)}\u00a0% for "
        f"{names[baseline.key]}. 95\u00a0% interval of the difference {points(row.ci_low)} to {points(row.ci_high)} points, "
        f"p\u00a0{equals(p_value(row.p_value))}, adjusted for {len(differences)} tests p\u00a0{equals(p_value(row.p_adjusted))}; "
        f"{_seeds(row.n_seeds)}, {row.n_test:,} test images."
    )
    if row.n_seeds == 1:
        sentence += " With one seed, this holds for these two networks alone."
    if not shown(row):
        sentence += f" The difference is not significant: {_power(row.detectable)}."
    yield Finding(f"{points(row.difference)} points", subject, sentence)


def _power(detectable: float) -> str:
    """The power of a test in words: the difference that is significant in four of five repetitions."""
    if not detectable < 1:
        return "so few runs cannot show any"
    return f"one of {points(detectable).removeprefix('+')} points would be, in four of five repetitions"


def _gains(arms: Sequence[Entry], differences: pd.DataFrame) -> Iterator[Finding]:
    """Many gains in one headline."""
    rows = [row for arm in arms if (row := differences_of(differences, arm)) is not None]
    if rows:
        low, high = min(row.difference for row in rows), max(row.difference for row in rows)
        above = sum(shown(row) and row.difference > 0 for row in rows)
        below = sum(shown(row) and row.difference < 0 for row in rows)
        largest = max(row.detectable for row in rows)
        rest = f"; of the other differences, {_power(largest)}" if above + below < len(rows) else ""
        yield Finding(
            f"{points(low)} to {points(high)} points",
            f"gain by transfer ({len(rows)} pairs)",
            f"Adjusted for the study's {len(differences)} tests, {above} gains and {below} losses are significant{rest}. The "
            "table of differences has each.",
        )


def _convergence(arm: Entry, baseline: Entry, comparison: pd.DataFrame) -> Iterator[Finding]:
    ours, theirs = _mean(comparison, arm, EPOCHS), _mean(comparison, baseline, EPOCHS)
    if ours is not None and theirs is not None:
        yield Finding(
            f"{number(EPOCHS, theirs)} → {number(EPOCHS, ours)} epochs",
            f"to 90 % of the final accuracy ({arm.dataset})",
            "From scratch, then transferred; each relative to its own final validation accuracy, means over seeds.",
        )


def _repeated(audits: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    for audit in audits:
        inside = audit["a"] == audit["b"]
        n = audit["across_splits"]["train/test"]["images"] if inside else audit["n_exposed"].get("test", 0)
        if n:
            yield Finding(
                f"{n:,} test {'picture' if n == 1 else 'pictures'}",
                f"of {audit['b']} repeated in {'its own training split' if inside else audit['a']}",
                f"Found by perceptual hash, confirmed on pixels. The clean split of {audit['a']} drops "
                f"{audit['n_dropped']:,} of its {audit['n_a']:,} images.",
            )


def _published(comparison: pd.DataFrame) -> Iterator[Finding]:
    judged = comparison[comparison["verdict"].isin(JUDGED)]
    if len(judged):
        counts = judged["verdict"].value_counts()
        parts = [f"{counts[word]} {word}" for word in JUDGED if word in counts]
        yield Finding(
            f"{counts.get('reproduced', 0)} of {len(judged)}",
            "published values reproduced",
            f"By our 95\u00a0% intervals: {', '.join(parts)}.",
        )


def _mean(comparison: pd.DataFrame, entry: Entry, metric: str) -> float | None:
    rows = arm_rows(comparison, entry.key)
    means = rows[rows["metric"] == metric]["mean"].dropna()
    return float(means.iloc[0]) if len(means) else None


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"


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
    environment.filters |= {"markdown": lambda table: tables.markdown_table(*table), "numbered": tables.numbered}
    page, summaries = evidence.page, evidence.summaries
    return environment.get_template(template).render(
        page=page,
        reading=READING,
        studies=[_study(study, of_studies[name], evidence.audits, figures[name]) for name, study in page.in_order()],
        audit_table=(AUDIT_HEADER, [audit_row(summary) for summary in evidence.audits]),
        dataset_table=(DATASET_HEADER, [dataset_row(page, name, of) for name, of in summaries.items()]),
        provenance=provenance(run for _, run in evidence.every_run()),
        **more,
    )


def _study(
    study: Study, own: StudyTables, audits: Sequence[Mapping[str, Any]], figures: Sequence[tuple[str, str]]
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
