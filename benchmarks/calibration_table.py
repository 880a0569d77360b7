"""The tables of calibration.py for people."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from florilegium.report.tables import markdown_table

Row = dict[str, Any]
LEVELS = ("p<0.05", "p<0.01", "p<0.001")
SHOWN = "p<0.05"


def tables(result: Row) -> str:
    """Markdown of all parts; percentages."""
    return "\n\n".join(
        [
            "# How often the paired test errs, and what it sees",
            f"{result['draws']:,} draws a cell, a fifth of them at 10,000 images, a tenth of studies, a fortieth of "
            f"detectors; {result['hardware']}, {result['seconds']:.0f} s; made by `benchmarks/calibration.py`. "
            "Percentages. *Seeds alone*: Student's paired t test. *One seed*: McNemar's exact test on the first seed.",
            "## Without an effect",
            "The worst of all cells (97 to 10,000 images, seeds that scatter by 0, 2 and 6 points in each arm, easy "
            "and hard images). A test that is calibrated shows p < 0.05 in 5 %, p < 0.01 in 1 %, p < 0.001 in 0.1 %.",
            _null(result["null"]),
            "## With an effect: p < 0.05 is shown in so many",
            "Images of which 45 % are right. *Lending*: in a study of six arms, alike in their scatter.",
            _power(result),
            "## Whole studies without an effect, whose arms lend each other what they know",
            "340 images; the worst over scatters of 0, 2 and 6 points.",
            _studies(result["studies"]),
            "## Detectors without an effect",
            "200 images of one class, average precision by 200 resamples. *Apart*: the standard deviation of AP "
            "between seeds, in points.",
            _precision(result["precision"]),
        ]
    )


def _null(rows: Sequence[Row]) -> str:
    header = ["Seeds", *(f"{level.replace('<', ' < ')}" for level in LEVELS), "95 % interval holds"]
    header += ["seeds alone, p < 0.001", "one seed, p < 0.05"]
    cells = []
    for seeds in _values(rows, "seeds"):
        own = [row for row in rows if row["seeds"] == seeds]
        cells.append(
            [
                str(seeds),
                *(_worst(own, "ours", level) for level in LEVELS),
                _worst(own, "ours", "covered", min),
                _worst(own, "paired_t", "p<0.001"),
                _worst(own, "mcnemar", SHOWN),
            ]
        )
    return markdown_table(header, cells)


def _power(result: Row) -> str:
    header = ["Images", "Scatter (points)", "Effect (points)"]
    seeds = _values(result["power"], "seeds")
    header += [f"{n} seeds" for n in seeds] + [f"lending, {n}" for n in seeds if n < 10]
    header += [f"seeds alone, {n}" for n in seeds] + ["one seed"]
    found = {_place(row): row for row in result["power"]}
    lent = {_place(row): row for row in result["studies"] if row["effect"]}
    cells = []
    for images, scatter, effect in sorted({key[1:] for key in found}):
        here = [found[n, images, scatter, effect] for n in seeds]
        cells.append(
            [
                f"{images:,}",
                f"{100 * scatter:g}",
                f"{100 * effect:g}",
                *(_percent(row["ours"][SHOWN]) for row in here),
                *(_lent(lent.get((n, images, scatter, effect))) for n in seeds if n < 10),
                *(_percent(row["paired_t"][SHOWN]) for row in here),
                _percent(here[0]["mcnemar"][SHOWN]),
            ]
        )
    return markdown_table(header, cells)


def _studies(rows: Sequence[Row]) -> str:
    null = [row for row in rows if not row["effect"]]
    header = ["Seeds", "Arms", "Their scatter", *(level.replace("<", " < ") for level in LEVELS), "holds"]
    cells = []
    for seeds, arms, kind in dict.fromkeys((row["seeds"], row["arms"], row["kind"]) for row in null):
        own = [row for row in null if (row["seeds"], row["arms"], row["kind"]) == (seeds, arms, kind)]
        shares = [*(_worst(own, "ours", level) for level in LEVELS), _worst(own, "ours", "covered", min)]
        cells.append([str(seeds), str(arms), kind, *shares])
    return markdown_table(header, cells)


def _precision(rows: Sequence[Row]) -> str:
    header = ["Seeds", "Apart", *(level.replace("<", " < ") for level in LEVELS), "holds"]
    cells = [
        [
            str(row["seeds"]),
            f"{100 * row['AP_between_seeds']:.1f}",
            *(_percent(row["ours"][level]) for level in LEVELS),
            _percent(row["ours"]["covered"]),
        ]
        for row in rows
    ]
    return markdown_table(header, cells)


def _place(row: Row) -> tuple[Any, ...]:
    return row["seeds"], row["images"], row["scatter"], row["effect"]


def _lent(row: Row | None) -> str:
    return "–" if row is None else _percent(row["ours"][SHOWN])


def _values(rows: Iterable[Row], key: str) -> list[Any]:
    return sorted({row[key] for row in rows})


def _worst(rows: Sequence[Row], test: str, key: str, of: Callable[..., float] = max) -> str:
    return _percent(of(row[test][key] for row in rows))


def _percent(share: float) -> str:
    return f"{100 * share:.2f}" if share < 0.1 else f"{100 * share:.1f}"
