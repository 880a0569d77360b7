"""Tables as CSV and Markdown, and values as people read them: percentages, units, intervals, p-values and footnotes."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from florilegium.config.metrics import EPOCHS, FRACTIONS, WORDS
from florilegium.core.names import unturned
from florilegium.core.tables import COUNT, read_table, write_frame
from florilegium.report.study import Key, Study, labels

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]
"""A header and rows of texts, for people."""
EMPTY, MINUS = "–", "−"
SPEED = "Epochs to 90\u00a0%"
NOTE_SEPARATOR = " | "  # between the parts of a note in `comparison.csv`
# What Markdown would take for markup: an underscore inside a word, a "<" before a number and brackets of intervals it
# would not. A bracket before a parenthesis makes a link.
MARKS = re.compile(r"[\\`*\r]|<(?=[A-Za-z/!?])|(?<=\])[(\[]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|~(?=~)|&(?=#?\w+;)")
IN_BRACKETS = re.compile(rf"{MARKS.pattern}|[\[\]]")  # and where brackets stand around the text
BLOCK, MARKED = re.compile(r"^(?=[#>+\-\[])"), r"\\"  # what begins a heading, a quote, a list or an address
ENTITIES = {"<": "&lt;", "&": "&amp;", "\r": " "}
COUNTS = (("G", 1e9), ("M", 1e6), ("k", 1e3))
BYTES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
UNITS = {
    **dict.fromkeys(("params", "params_trainable", "macs"), COUNTS),
    **dict.fromkeys(("checkpoint_bytes", "peak_memory_bytes"), BYTES),
}  # units to choose from by size; a metric without an entry is a plain number or a fraction
NAMES = (
    *("experiment", "arm", "metric", "published_source", "baseline", "verdict", "differs", "note", "method"),
    *("kind", "name", "precision", "device", "threads", "samples", "sampler", "measure", "against"),
    *("claim", "study", "says", "source", "preset"),
)
COUNTED = ("n_seeds", "n_test", "n_comparisons", "n_run", "n_images", "steps", "copies")
TYPES = dict.fromkeys(NAMES, str) | dict.fromkeys(COUNTED, COUNT)
"""Of the columns of any table of a study that are no fractions."""
TESTED = {
    "p_value": "p",
    "p_adjusted": "p adjusted",
    "detectable": "Detectable",
    "n_seeds": "Seeds",
    "n_seeds_needed": "Seeds needed",
    "n_test": "Images",
}  # columns of a paired difference with their heads, in reading order; a table may lack some of them
DEMO = "all pictures are drawn by this project, so nothing here speaks for or against the study."
READING = (
    "Accuracies are percentages of the test images, or of the training images where the metric says so; average "
    "precision is in per cent, too. Intervals are at 95\u00a0%, over seeds and test images; of a single run they are "
    "over the test images alone (Wilson), and of a metric that is no test score over the seeds alone (Student's t). "
    "The variance between seeds is estimated with the help of all arms that were tested on the same images. p is "
    "two-sided, of a paired test on the same test images against the arm that is named; p adjusted allows for all "
    "tests of the study (Holm). Detectable is the smallest difference, in points, that as many seeds and images would "
    "have shown in four of five repetitions. Epochs to 90\u00a0%: the first epoch whose validation accuracy, or AP, "
    "reaches 90\u00a0% of the same run's last. First epoch at 99\u00a0%: the first whose validation accuracy reaches "
    "99\u00a0%. Training less test: accuracy on the training images minus that on the test images."
)


def write_csv(table: pd.DataFrame, path: Path, *, digits: int = 10) -> None:
    """Write `table`, fractions with so many significant digits, with the same line ends on every system."""
    write_frame(path, table, float_format=f"%.{digits}g")


def read_csv(path: Path) -> pd.DataFrame:
    """A study's table as `write_csv` wrote it."""
    return read_table(path, TYPES, others=float)


# Whole tables


def readable(study: Study, table: pd.DataFrame) -> tuple[Table, list[str]]:
    """A comparison for people, and the footnotes that its last column counts; equal parts of notes are one footnote.

    How soon an arm was good enough is no score beside others: it stands in a column, in the first row of its arm.
    """
    names, notes = labels(study), dict[str, int]()
    rows: list[tuple[str, ...]] = []
    for key, lines in table.groupby(["experiment", "arm"], sort=False):
        of_arm = list(lines.itertuples())
        speeds = [row for row in of_arm if row.metric == EPOCHS]
        for index, row in enumerate([row for row in of_arm if row.metric != EPOCHS] or of_arm):
            own = [] if index else speeds
            numbers = sorted({notes.setdefault(part, len(notes) + 1) for of in (row, *own) for part in _notes(of)})
            rows.append(
                (
                    names[key],
                    WORDS.get(row.metric, row.metric),
                    published(row.metric, row.published_low, row.published_high),
                    measured(row.metric, row.mean, row.ci_low, row.ci_high),
                    judged(row.verdict, row.published_low) or EMPTY,
                    "; ".join(map(_epochs, own)) or EMPTY,
                    *(tested(column, getattr(row, column)) for column in ("p_value", "p_adjusted", "detectable")),
                    named(names, text(row.baseline)) or EMPTY,
                    count(row.n_seeds),
                    count(row.n_test),
                    ", ".join(map(str, numbers)) or EMPTY,
                )
            )
    header = (
        "Arm", "Metric", "Published", "Ours", "Verdict", SPEED,
        "p", "p adjusted", "Detectable", "Against", "Seeds", "Images", "Notes",
    )  # fmt: skip
    return without_empty((header, rows)), list(notes)


def _notes(row: Any) -> list[str]:
    differs = [f"not as published: {row.differs}"] if text(row.differs) else []
    return differs + [part for part in text(row.note).split(NOTE_SEPARATOR) if part]


def _epochs(row: Any) -> str:
    """Epochs with their interval, and in brackets those that were published, with the verdict."""
    ours = measured(row.metric, row.mean, row.ci_low, row.ci_high)
    theirs = published(row.metric, row.published_low, row.published_high)
    return ours if theirs == EMPTY else f"{ours} ({theirs}: {judged(row.verdict, row.published_low)})"


def readable_differences(study: Study, table: pd.DataFrame) -> Table:
    """The table of paired differences for people, in percentage points."""
    names = labels(study)
    columns = [column for column in TESTED if column in table]
    header = ("Arm", "Against", "Difference in points", "95\u00a0% interval", *(TESTED[c] for c in columns))
    rows = []
    for row in table.to_dict("records"):
        arm, interval = f"{row['experiment']}/{row['arm']}", f"{points(row['ci_low'])} to {points(row['ci_high'])}"
        tests = (tested(column, row[column]) for column in columns)
        rows.append((named(names, arm), named(names, row["baseline"]), points(row["difference"]), interval, *tests))
    return header, rows


def named(names: Mapping[Key, str], arm: str) -> str:
    """An arm by its name for people, from `experiment/arm`; as it is where the study does not have it."""
    experiment, _, name = arm.partition("/")
    return names.get((experiment, name), arm)


def without_empty(table: Table) -> Table:
    """A table without the columns in which no row says anything."""
    header, rows = table
    kept = [i for i in range(len(header)) if not rows or any(row[i] not in ("", EMPTY) for row in rows)]
    return tuple(header[i] for i in kept), [tuple(row[i] for i in kept) for row in rows]


def markdown(study: Study, table: pd.DataFrame) -> str:
    """The Markdown twin of a comparison."""
    cells, notes = readable(study, table)
    parts = [
        f"# {inline(study.title)}: comparison ({study.preset})",
        f"**DEMO**: {DEMO}" if study.rendered else "",
        READING,
        markdown_table(*cells),
        f"Notes\n\n{numbered(notes)}" if notes else "",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of texts."""
    return "\n".join([_line(header), _line(["---"] * len(header)), *(_line(row) for row in rows)])


def numbered(notes: Sequence[str]) -> str:
    """A Markdown list that footnotes count."""
    return "\n".join(f"{i}. {BLOCK.sub(MARKED, inline(note))}" for i, note in enumerate(notes, 1))


def inline(text: str, marks: re.Pattern[str] = MARKS) -> str:
    """A text as one line of Markdown that shows it as it is: no markup, link or line begins in it."""
    return marks.sub(lambda mark: ENTITIES.get(mark[0], f"\\{mark[0]}"), " ".join(unturned(text).split("\n")))


def picture(question: str, address: str) -> str:
    """A picture in Markdown, by a relative address whose name may hold anything."""
    return f"![{inline(question, IN_BRACKETS)}]({quote(address)})"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(inline(cell).replace("|", "\\|") for cell in cells) + " |"


# Cells


def number(metric: str, value: float) -> str:
    """A value in the unit that people read: per cent for fractions, grouped digits for counts, GiB for bytes."""
    if math.isnan(value):
        return EMPTY
    if metric in FRACTIONS:
        return f"{100 * value:.1f}".replace("-", MINUS)
    name, size = unit(metric, value)
    if name:
        return f"{value / size:.3g}\u00a0{name}" if value / size < 1000 else f"{value / size:,.0f}\u00a0{name}"
    if 0 < abs(value) < 1:
        return f"{value:.2g}"  # a demo's minutes
    return f"{value:.1f}" if abs(value) < 1000 else f"{value:,.0f}"


def unit(metric: str, value: float) -> tuple[str, float]:
    """The largest unit of a metric that `value` reaches, with its size; `("", 1.0)` for a plain number."""
    return next((unit for unit in UNITS.get(metric, ()) if value >= unit[1]), ("", 1.0))


def axis(metric: str, largest: float) -> tuple[str, float]:
    """The label of an axis that reaches `largest`, and the factor by which values are drawn on it."""
    if metric in FRACTIONS:
        return f"{WORDS[metric]} (%)", 100.0
    name, size = unit(metric, largest)
    return f"{WORDS[metric]} ({name})" if name else WORDS[metric], 1 / size


def published(metric: str, low: float, high: float) -> str:
    if math.isnan(low):
        return EMPTY
    return number(metric, low) if low == high else f"{number(metric, low)} to {number(metric, high)}"


def measured(metric: str, mean: float, low: float, high: float) -> str:
    if math.isnan(mean) or math.isnan(low):
        return number(metric, mean)
    return f"{number(metric, mean)} [{number(metric, low)}, {number(metric, high)}]"


def judged(verdict: str, published_low: float) -> str:
    """The verdict for people; empty where nothing was published to compare with."""
    unpublished = verdict == "not_comparable" and math.isnan(published_low)
    return "" if unpublished else verdict.replace("_", " ")


def tested(column: str, value: float) -> str:
    """A cell of a column in `TESTED`."""
    if column == "n_seeds_needed" and not math.isnan(value):
        return "more images" if math.isinf(value) else count(int(value))
    if column.startswith("n_"):
        return count(value)
    if column == "detectable":
        return EMPTY if pd.isna(value) else points(value).removeprefix("+")
    return p_value(value)


def p_value(value: float) -> str:
    """Three digits after the point, and `< 0.001` below that."""
    if math.isnan(value):
        return EMPTY
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def equals(p: str) -> str:
    """A formatted p-value as it follows the letter p: `= 0.012` or `< 0.001`."""
    return p if p.startswith("<") else f"= {p}"


def points(value: float) -> str:
    """A signed difference of fractions in percentage points, with a true minus sign."""
    return f"{100 * value:+.1f}".replace("-", MINUS)


def count(value: object) -> str:
    return EMPTY if pd.isna(value) else f"{value:,}"


def text(value: object) -> str:
    """An empty text for the cell that pandas reads as missing."""
    return "" if pd.isna(value) else str(value)
