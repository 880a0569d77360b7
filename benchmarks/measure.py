"""Shared by the benchmarks of rates: interleaved blocks, and the interval of a median."""

import statistics
from collections.abc import Callable, Mapping
from math import comb
from pathlib import Path
from typing import Any

from machine import machine

from florilegium.core.files import write_json


def interleave(sides: Mapping[str, Callable[[], float]], blocks: int) -> dict[str, list[float]]:
    """Run each side once to warm up, then all of them in turn, `blocks` times, the order reversed each time.

    So that whatever else the machine does meanwhile falls on all sides alike.
    """
    for side in sides.values():
        side()
    found: dict[str, list[float]] = {name: [] for name in sides}
    for block in range(blocks):
        for name in list(sides)[:: -1 if block % 2 else 1]:
            found[name].append(sides[name]())
    return found


def median_interval(values: list[float]) -> tuple[float, float, float]:
    """Median with an interval of at least 95 % from order statistics (no distribution is assumed)."""
    ordered, count = sorted(values), len(values)
    tail, rank = 0.0, 0
    while rank < count // 2 and (tail := tail + comb(count, rank) / 2**count) <= 0.025:
        rank += 1
    rank = max(rank - 1, 0)
    return statistics.median(ordered), ordered[rank], ordered[count - 1 - rank]


def interval(values: list[float]) -> dict[str, float]:
    """`median_interval` by name: median, low and high."""
    return dict(zip(("median", "low", "high"), median_interval(values), strict=True))


def summarise(blocks: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    """The interval of each row's blocks."""
    return {name: interval(values) for name, values in blocks.items()}


def report(
    out: Path, title: str, rates: dict[str, list[float]], ours: str, other: str, target: float, **facts: Any
) -> None:
    """Write every block's rate to `out` and print the medians and the ratio of `ours` to `other`."""
    ratios = [a / b for a, b in zip(rates[ours], rates[other], strict=True)]
    rows = {**rates, f"{ours} / {other}": ratios}
    summary = summarise(rows)
    write_json(
        out, {"title": title, "target": target, "summary": summary, "blocks": rates, "machine": machine(), **facts}
    )
    print(f"{title} ({len(ratios)} blocks, images per second)")
    for name, row in summary.items():
        print(f"  {name:32} {row['median']:10.2f}   [{row['low']:.2f}, {row['high']:.2f}]")
    print(f"  target of the ratio: {target}")
