"""The README's block of results: rows that a data file names, with the numbers of committed references."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from florilegium.core.errors import UserError, unknown
from florilegium.core.metrics import WORDS
from florilegium.core.strict import Name, Strict
from florilegium.core.validate import parse, read_yaml
from florilegium.report.comparison import differences_of
from florilegium.report.evidence import Evidence
from florilegium.report.provenance import provenance
from florilegium.report.study import Entry
from florilegium.report.study_tables import StudyTables
from florilegium.report.tables import markdown_table, number, readable_differences

OPENING = "<!-- results: `python -m florilegium recompute` writes what follows -->"
CLOSING = "<!-- end of results -->"
VERSIONS = ("commit", "python", "torch")  # of all that a reference's document lists


class Row(Strict):
    """One comparison: an arm and the baseline that its study tests it against, each `experiment/arm`."""

    study: Name
    arm: str
    baseline: str
    words: str


class Block(Strict):
    """A table of comparisons from one reference."""

    reference: Name
    heading: str
    rows: list[Row]


class Blocks(Strict):
    blocks: list[Block]


References = Mapping[str, tuple[Evidence, Mapping[str, StudyTables]]]
"""The references by the name of their folder, with their tables."""


def read_blocks(path: Path) -> list[Block]:
    """The data file; raises `UserError` for what is missing or misspelt in it."""
    return parse(Blocks, read_yaml(path), str(path)).blocks


def block(blocks: Sequence[Block], references: References) -> str:
    """The README's text between its two comments.

    Raises:
        UserError: a block names a reference, study, arm or baseline that there is not.
    """
    parts = [part for found in blocks for part in _block(found, references)]
    return "\n\n".join(parts)


def replaced(readme: str, text: str) -> str:
    """The README with `text` between its two comments; raises `UserError` when it has not both, once each."""
    before, opening, rest = readme.partition(OPENING)
    _, closing, after = rest.partition(CLOSING)
    if not (opening and closing) or OPENING in rest or CLOSING in after:
        raise UserError(f"README.md: must hold one line '{OPENING}' and after it one '{CLOSING}'")
    return f"{before}{OPENING}\n\n{text}\n\n{CLOSING}{after}"


def _block(found: Block, references: References) -> Iterator[str]:
    if found.reference not in references:
        raise unknown("reference", found.reference, references, "the README's rows")
    evidence, tables = references[found.reference]
    facts = dict(provenance(run for _, run in evidence.every_run()))
    versions = ", ".join(f"{name} {facts[name]}" for name in VERSIONS if name in facts)
    yield (
        f"**{found.heading}** Measured on {evidence.date} on {evidence.hardware}, {versions}; from "
        f"[results/reference/{found.reference}](results/reference/{found.reference})."
    )
    header: tuple[str, ...] = ()
    rows = []
    for row in found.rows:
        header, cells = _row(row, evidence, tables)
        rows.append(cells)
    yield markdown_table(header, rows)


def _row(
    row: Row, evidence: Evidence, tables: Mapping[str, StudyTables]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Header and cells: all that the table of differences tells."""
    if row.study not in tables:
        raise unknown("study", row.study, tables, "the README's rows")
    study = evidence.page.studies[row.study]
    entries = {"/".join(entry.key): entry for entry in study.entries}
    arm, baseline = (_entry(name, entries) for name in (row.arm, row.baseline))
    every = tables[row.study].differences
    difference = differences_of(every, arm, baseline.key)
    if difference is None:
        raise UserError(
            f"the README's rows: {row.study}/{row.arm} has no paired test against {row.baseline}; name its own baseline"
        )
    heads, cells = readable_differences(every.loc[[difference.Index]])
    with_, without = (number(arm.scoring.main, m) for m in (difference.mean, difference.baseline_mean))
    header = ("Compared", "Metric (%)", "With", "Without", *heads[2:])
    return header, (row.words, WORDS[arm.scoring.main], with_, without, *cells[0][2:])


def _entry(name: str, entries: Mapping[str, Entry]) -> Entry:
    if name not in entries:
        raise unknown("arm", name, entries, "the README's rows")
    return entries[name]
