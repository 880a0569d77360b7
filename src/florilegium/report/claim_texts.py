"""A study's claims as people read them: words, tables and the small drawing of each interval."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from florilegium.config.figures import PlotChoice
from florilegium.config.metrics import FRACTIONS, WORDS
from florilegium.core.errors import counted, some
from florilegium.core.files import write_text
from florilegium.report.claims import COLUMNS as CLAIM_COLUMNS
from florilegium.report.claims import ORDER
from florilegium.report.study import Key, Study, labels
from florilegium.report.tables import (
    DEMO,
    EMPTY,
    NOTE_SEPARATOR,
    Table,
    count,
    equals,
    inline,
    markdown_table,
    measured,
    number,
    p_value,
    points,
    published,
    tested,
    text,
    write_csv,
)
from florilegium.report.verdicts import SEPARATOR

VERDICTS = (*ORDER[::-1], "not run")
FEW = 4  # departures that a note names
NOUNS = {"n_seeds": "seed", "n_test": "image"}
NEUTRAL = {"difference": 0.0, "ratio": 1.0}  # where both arms are equal
READING = (
    "Testable sentences of the study, in our words, each with the arms and the metric that test it. Supported and "
    "refuted: a paired test over the same seeds and test images, at 5\u00a0% after adjustment for all tests of the "
    "study (Holm); for a claim on one arm, its 95\u00a0% interval. Undecided: neither; then Detectable is the smallest "
    "difference that as many seeds and images would have shown in four of five repetitions, and Seeds needed how many "
    "would show one of the size that was found. Of several comparisons all have to hold; the row shows the one that "
    "decides. A verdict with the preset's name in brackets was found on other data, networks or schedules than the "
    "study's, or on some of the comparisons alone. Times, memory, sizes and epochs are compared as ratios of the first "
    "arm to the second."
)
COLUMNS = (
    "Claim", "Metric", "Published", "Ours", "Verdict", "Comparisons",
    "p adjusted", "Detectable", "Seeds", "Seeds needed", "Images", "Notes",
)  # fmt: skip


def verdict_of(row: Any) -> str:
    """The verdict without the preset."""
    return str(row.verdict).partition(" (")[0]


def tally(claims: pd.DataFrame) -> dict[str, int]:
    """The number of claims by verdict."""
    verdicts = [verdict_of(row) for row in claims.itertuples()]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS}


def is_run(claims: pd.DataFrame) -> Any:
    """A mask of the claims that have a verdict."""
    return ~claims["verdict"].str.startswith("not run")


def is_decided(claims: pd.DataFrame) -> Any:
    """A mask of the claims that are supported or refuted."""
    return claims["verdict"].str.startswith(("supported", "refuted"))


# Words


def claimed(row: Any) -> str:
    """What the study says, and in brackets the difference or ratio of the values that it printed."""
    printed = _range(row, row.published_low, row.published_high)
    low, high = row.at_least, row.at_most
    if not row.measure or (math.isnan(low) and math.isnan(high)):
        return printed
    neutral = NEUTRAL.get(row.measure)
    if math.isnan(high):
        words = "higher" if low == neutral else f"at least {_one(row, low)}"
    elif math.isnan(low):
        words = "lower" if high == neutral else f"at most {_one(row, high)}"
    else:
        words = _range(row, low, high)
    return f"{words} (printed: {printed})" if printed != EMPTY else words


def ours(row: Any) -> str:
    """What was measured, with its interval."""
    if row.measure == "value" or math.isnan(row.mean):
        return _in_per_cent(row.metric, measured(row.metric, row.mean, row.ci_low, row.ci_high))
    if math.isnan(row.ci_low) or row.ci_low == row.ci_high:
        return _one(row, row.mean)
    unit = "points" if row.measure == "difference" else "times"
    mean, low, high = (_bare(row, bound) for bound in (row.mean, row.ci_low, row.ci_high))
    return f"{mean} [{low}, {high}] {unit}"


def _bare(row: Any, bound: float) -> str:
    if row.measure == "difference":
        return points(bound)
    return f"{bound:.2f}" if bound < 10 else f"{bound:,.0f}"


def _one(row: Any, bound: float) -> str:
    if row.measure == "value":
        return _in_per_cent(row.metric, number(row.metric, bound))
    return f"{_bare(row, bound)} {'points' if row.measure == 'difference' else 'times'}"


def _range(row: Any, low: float, high: float) -> str:
    if math.isnan(low):
        return EMPTY
    if row.measure == "value":
        return _in_per_cent(row.metric, published(row.metric, low, high))
    ends = dict.fromkeys((_bare(row, low), _bare(row, high)))
    return f"{' to '.join(ends)} {'points' if row.measure == 'difference' else 'times'}"


def _in_per_cent(metric: str, words: str) -> str:
    return f"{words}\u00a0%" if metric in FRACTIONS and words != EMPTY else words


def detectable(row: Any) -> str:
    """The smallest difference that would have been seen; of a ratio as a part of one."""
    if not math.isfinite(row.detectable):
        return EMPTY
    return _one(row, row.detectable).removeprefix("+")


def needed(row: Any) -> str:
    """How many seeds would decide it."""
    return tested("n_seeds_needed", row.n_seeds_needed)


def compared(row: Any, names: Mapping[str, str]) -> str:
    """The metric and the arms, by their names for people."""
    if not row.arm:
        return ""
    arms = [names.get(name, name) for name in (row.arm, text(row.baseline)) if name]
    return f"{WORDS.get(row.metric, row.metric)}: {' against '.join(arms)}"


def notes(row: Any) -> str:
    """The notes of a claim, as one text."""
    return "; ".join(part for part in text(row.note).split(NOTE_SEPARATOR) if part)


def reasons(row: Any) -> str:
    """The same, with what departs from the study."""
    departures = some(text(row.differs).split(SEPARATOR), most=FEW, separator=SEPARATOR)
    differs = [f"not as published: {departures}"] if departures else []
    return "; ".join(filter(None, [notes(row), *differs]))


# Tables


def readable(claims: pd.DataFrame) -> Table:
    """The claims that have a verdict, for people."""
    rows: list[tuple[str, ...]] = []
    for row in claims[is_run(claims)].itertuples():
        tests = (p_value(row.p_adjusted), detectable(row), count(row.n_seeds), needed(row), count(row.n_test))
        n_run = f"{row.n_run} of {row.n_comparisons}" if row.n_run < row.n_comparisons else count(row.n_run)
        found = (claimed(row), ours(row), row.verdict, n_run)
        rows.append((row.says, WORDS[row.metric], *found, *tests, notes(row) or EMPTY))
    return COLUMNS, rows


def not_run(claims: pd.DataFrame) -> Table:
    """The others, each with the reason."""
    rest = claims[~is_run(claims)].itertuples()
    rows: list[tuple[str, ...]] = [(row.says, row.verdict, reasons(row) or EMPTY) for row in rest]
    return ("Claim", "Verdict", "Why"), rows


Studies = Sequence[tuple[Study, pd.DataFrame]]
"""Studies of one preset, each with its claims."""


def write_claims(studies: Studies, folder: Path) -> list[Path]:
    """Write the claims of all studies of a preset as `claims.csv` and `claims.md`; returns the files."""
    table = pd.concat([claims for _, claims in studies]) if studies else pd.DataFrame(columns=CLAIM_COLUMNS)
    files = [folder / "claims.csv", folder / "claims.md"]
    write_csv(table, files[0])
    write_text(files[1], claims_markdown(studies))
    return files


def claims_markdown(studies: Studies) -> str:
    """`claims.md`: the claims of each study."""
    is_demo = any(study.rendered for study, _ in studies)
    presets = ", ".join(sorted({study.preset for study, _ in studies}))
    parts = [f"# Claims ({presets})", f"**DEMO**: {DEMO}" if is_demo else "", READING]
    for study, claims in studies:
        if len(claims):
            parts += [f"## {inline(study.title)}", said(claims), *tables_of(claims)]
    return "\n\n".join(filter(None, parts)) + "\n"


def tables_of(claims: pd.DataFrame) -> Iterable[str]:
    """The Markdown tables of a study's claims: with a verdict, then without."""
    return [markdown_table(*table) for table in (readable(claims), not_run(claims)) if table[1]]


def said(claims: pd.DataFrame) -> str:
    """The number of claims of each verdict, in words."""
    return f"{', '.join(f'{n} {verdict}' for verdict, n in tally(claims).items() if n)}."


# The drawing of an interval


@dataclass(frozen=True)
class Mark:
    """The drawing of one interval, in units of its width: the claimed range, the printed value, ours, and the place
    where both arms are equal. `said` is its text for those who cannot see it."""

    band: tuple[float, float]
    interval: tuple[float, float]
    mean: float
    printed: tuple[float, float] | None
    neutral: float | None
    said: str


def mark(row: Any) -> Mark | None:
    """The drawing of a claim's interval; None where nothing was measured."""
    if math.isnan(row.mean):
        return None
    neutral = NEUTRAL.get(row.measure)
    is_reached = math.isnan(row.at_least) and math.isnan(row.at_most)
    bounds = (row.published_low, row.published_high) if is_reached else (row.at_least, row.at_most)
    interval = (row.mean, row.mean) if math.isnan(row.ci_low) else (row.ci_low, row.ci_high)
    printed = None if math.isnan(row.published_low) else (row.published_low, row.published_high)
    seen = [*interval, *bounds, *(printed or ()), *([] if neutral is None else [neutral])]
    known = [value for value in seen if math.isfinite(value)]
    low, high = min(known), max(known)
    pad = 0.08 * (high - low) or 0.1 * abs(high) or 1.0

    def at(value: float) -> float:
        return float((value - low + pad) / (high - low + 2 * pad))

    band = (0.0 if math.isnan(bounds[0]) else at(bounds[0]), 1.0 if math.isnan(bounds[1]) else at(bounds[1]))
    return Mark(
        band=band,
        interval=(at(interval[0]), at(interval[1])),
        mean=at(row.mean),
        printed=None if printed is None else (at(printed[0]), at(printed[1])),
        neutral=None if neutral is None else at(neutral),
        said=f"claimed: {claimed(row)}; ours: {ours(row)}",
    )


# What the page shows of each


class Plot(Protocol):
    """A plot of a study: its file `<name>.png`, the question that it answers, its arms if it does not show the whole
    study, its entry in the study file, and what it lacks to compare anything. One that lacks something is not drawn.
    """

    @property
    def name(self) -> str: ...
    @property
    def question(self) -> str: ...
    @property
    def arms(self) -> tuple[Key, ...]: ...
    @property
    def choice(self) -> PlotChoice | None: ...
    @property
    def lacks(self) -> str: ...


def figure_of(row: Any, plots: Sequence[Plot]) -> Plot | None:
    """The first plot that shows the arms of a claim, best one of its metric; None if none is drawn."""
    keys = {tuple(name.split("/")) for name in (row.arm, text(row.baseline)) if name}
    showing = [plot for plot in plots if not plot.lacks and keys and keys <= set(plot.arms)]
    return min(showing, key=lambda plot: not (plot.choice and row.metric in plot.choice.metrics), default=None)


def shown(study: Study, claims: pd.DataFrame, plots: Sequence[Plot]) -> list[dict[str, Any]]:
    """The claims that have a verdict, as the page's template takes them."""
    names = {"/".join(key): name for key, name in labels(study).items()}
    return [_shown(row, names, plots) for row in claims[is_run(claims)].itertuples()]


def _shown(row: Any, names: Mapping[str, str], plots: Sequence[Plot]) -> dict[str, Any]:
    figure = figure_of(row, plots)
    p, would, seeds = p_value(row.p_adjusted), detectable(row), needed(row)
    n = [counted(int(getattr(row, key)), noun) for key, noun in NOUNS.items() if not pd.isna(getattr(row, key))]
    tests = [
        f"p adjusted {equals(p)}" if p != EMPTY else "",
        ", ".join(n),
        f"{would} would be seen" if would != EMPTY else "",
        f"seeds needed: {seeds}" if seeds != EMPTY and verdict_of(row) == "undecided" else "",
    ]
    return {
        "says": row.says,
        "source": row.source,
        "compared": compared(row, names),
        "claimed": claimed(row),
        "ours": ours(row),
        "verdict": row.verdict,
        "kind": verdict_of(row),
        "tests": "; ".join(filter(None, tests)),
        "reasons": reasons(row),
        "mark": mark(row),
        "figure": None if figure is None else (figure.name, figure.question),
    }
