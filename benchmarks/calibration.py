"""Error rates of the paired test where there is no effect, and its power where there is one.

    python benchmarks/calibration.py --out calibration.json            the whole grid, on two cores some minutes
    python benchmarks/calibration.py --out calibration.json --draws 500

Four parts. `null`: two arms of one accuracy, over seeds, images, the scatter of seeds and how hard images are;
beside the test stand Student's paired t over seeds and McNemar on one seed. `power`: the same with effects.
`studies`: a baseline and other arms that lend each other what they know of their seeds (`report.spread.Scatter`), alike
and unlike. `precision`: detectors, compared by average precision on resampled images.
"""

import argparse
import itertools
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from calibration_table import tables
from machine import machine
from numpy.typing import NDArray
from scipy.special import stdtr
from simulated_runs import ACCURACY, arm_of, draw, draw_detectors

from florilegium.core.files import write_json, write_text
from florilegium.report.average_precision import coco_scores, error_covariance, resampled
from florilegium.report.spread import paired_spread, pooled_scatter, seed_variance
from florilegium.report.statistics import mcnemar, own_variance, resampled_difference

SEEDS, IMAGES, SCATTER = (2, 3, 5, 10), (97, 340, 680, 10_000), (0.0, 0.02, 0.06)
EFFECTS = (0.01, 0.02, 0.05, 0.10)
PARTS = ("null", "power", "studies", "precision")
WEIGHTS = {"precision": 100}  # of what a cell takes to compute, beside its hits
LEVELS = (0.05, 0.01, 0.001)
LIMITS = {0.05: 0.06, 0.01: 0.015, 0.001: 0.003}
COVERED = 0.94
ELEMENTS = 4_000_000  # hits drawn at a time
TASTE = 0.5  # arms that are not one differ in which images they find hard
MOST_SCATTER = 0.25
RESAMPLES = 200
UNLIKE = {
    "all alike": lambda random, n: np.ones(n),
    "unlike by half": lambda random, n: np.exp(0.5 * random.standard_normal(n)),
    "unlike by a factor": lambda random, n: np.exp(random.standard_normal(n)),
    "half without scatter": lambda random, n: (random.random(n) < 0.5).astype(float),
    "one alone scatters": lambda random, n: np.eye(n)[1],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=20_000, help="a cell; a fifth at 10,000 images")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument(
        "--out", type=Path, required=True, help="JSON file for the result; its tables are put beside it"
    )
    arguments = parser.parse_args()
    here, started = machine(), time.perf_counter()
    jobs = [*null_cells(), *power_cells(), *study_cells(), *precision_cells()]
    with ProcessPoolExecutor(arguments.workers) as pool:
        # The longest first, so that no core waits for the last one.
        jobs.sort(key=lambda job: -job["seeds"] * job["images"] * job.get("arms", 2) * WEIGHTS.get(job["part"], 1))
        rows = list(pool.map(run, jobs, itertools.repeat(arguments.draws), range(len(jobs))))
    parts = {part: [row for row in rows if row["part"] == part] for part in PARTS}
    result = {
        **here,
        "draws": arguments.draws,
        "seconds": round(time.perf_counter() - started, 1),
        "limits": {str(level): limit for level, limit in LIMITS.items()},
        "worst": worst([*parts["null"], *parts["studies"], *parts["precision"]]),
        **{part: sorted(rows, key=order) for part, rows in parts.items()},
    }
    write_json(arguments.out, result)
    write_text(arguments.out.with_suffix(".md"), tables(result) + "\n")
    print(f"{len(rows)} cells in {result['seconds']:.0f} s; the worst of them:")
    for name, row in result["worst"].items():
        print(f"  {name}: {row}")


def order(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[key] for key in ("seeds", "images", "scatter", "difficulty", "effect"))


def null_cells() -> Iterator[dict[str, Any]]:
    for seeds, images, scatter, difficulty in itertools.product(SEEDS, IMAGES, SCATTER, ACCURACY):
        yield cell("null", seeds, images, scatter, difficulty)


def power_cells() -> Iterator[dict[str, Any]]:
    for seeds, images, scatter in itertools.product(SEEDS, (340, 10_000), SCATTER):
        for effect in EFFECTS:
            yield cell("power", seeds, images, scatter, "hard", effect)


def study_cells() -> Iterator[dict[str, Any]]:
    for seeds, arms, scatter, kind in itertools.product((2, 3, 5), (4, 12), SCATTER, UNLIKE):
        if scatter or kind == "all alike":
            yield cell("studies", seeds, 340, scatter, "hard") | {"arms": arms, "kind": kind}
    for seeds, scatter, effect in itertools.product((2, 3, 5), SCATTER, EFFECTS):
        yield cell("studies", seeds, 340, scatter, "hard", effect) | {"arms": 6, "kind": "all alike"}


def precision_cells() -> Iterator[dict[str, Any]]:
    """Their scatter is that of a run's latent skill: 0.2 of it is about two points of average precision."""
    for seeds, scatter in itertools.product((2, 3, 5), (0.0, 0.2, 0.6)):
        yield cell("precision", seeds, 200, scatter, "hard")


def cell(part: str, seeds: int, images: int, scatter: float, difficulty: str, effect: float = 0.0) -> dict[str, Any]:
    values = {"seeds": seeds, "images": images, "scatter": scatter, "difficulty": difficulty}
    return {"part": part, **values, "effect": effect}


def run(job: dict[str, Any], draws: int, seed: int) -> dict[str, Any]:
    """A cell with what was found in it: the shares of draws with p below each level, and of intervals that held."""
    random = np.random.Generator(np.random.SFC64(seed))
    if job["part"] == "studies":
        return {**job, **studies(random, job, max(draws // 10, 1))}
    if job["part"] == "precision":
        return {**job, **precision(random, job, max(draws // 40, 1))}
    return {**job, **pairs(random, job, draws if job["images"] < 10_000 else max(draws // 5, 1))}


def pairs(random: np.random.Generator, job: dict[str, Any], draws: int) -> dict[str, Any]:
    """Two arms, many times. Without an effect they are the same network's, so that images are all they share."""
    accuracy, effect = ACCURACY[job["difficulty"]], job["effect"]
    taste = TASTE if effect else 0.0
    arms = [arm_of(accuracy + effect, job["scatter"], taste), arm_of(accuracy, job["scatter"], taste)]
    tests = {"ours": Tally(), "paired_t": Tally(), "mcnemar": Tally()}
    for count in batches(draws, 2 * job["seeds"] * job["images"]):
        a, b = draw(random, arms, job["seeds"], job["images"], count)
        centre, spread = paired_spread(a.view(np.int8) - b.view(np.int8))
        tests["ours"].add(np.abs(centre)[None] > np.stack([spread.half_width(1 - p) for p in LEVELS]))
        tests["ours"].cover(np.abs(centre - effect) <= spread.half_width(0.95))
        tests["paired_t"].add(below(student(a.mean(axis=2) - b.mean(axis=2))))
        tests["mcnemar"].add(below(mcnemar(a[:, 0], b[:, 0])))
    return {"draws": draws} | {name: tally.shares() for name, tally in tests.items()}


def studies(random: np.random.Generator, job: dict[str, Any], draws: int) -> dict[str, Any]:
    """A baseline and the other arms of a study against it, `draws` studies; only the first of them has the effect."""
    tally, n_arms = Tally(), job["arms"]
    accuracy, effect, n_images = ACCURACY[job["difficulty"]], job["effect"], job["images"]
    for _ in range(draws):
        scatters = np.minimum(job["scatter"] * UNLIKE[job["kind"]](random, n_arms), MOST_SCATTER)
        accuracies = [accuracy + effect * (n == 1) for n in range(n_arms)]
        arms = [arm_of(a, round(s, 3)) for a, s in zip(accuracies, scatters, strict=True)]
        hits = [of[0] for of in draw(random, arms, job["seeds"], n_images, 1)]
        lent = pooled_scatter([seed_variance(of.mean(axis=1), own_variance(of)) for of in hits])
        for arm in hits[1:2] if effect else hits[1:]:
            centre, spread = paired_spread(arm.view(np.int8) - hits[0].view(np.int8), lent)
            tally.add(np.array([[abs(centre) > spread.half_width(1 - p)] for p in LEVELS]))
            tally.cover(np.array([abs(centre - effect) <= spread.half_width(0.95)]))
    return {"draws": draws, "ours": tally.shares()}


def precision(random: np.random.Generator, job: dict[str, Any], draws: int) -> dict[str, Any]:
    """Two arms of one kind of detector, many times, and how far the seeds of an arm lie apart in average precision."""
    tally, n_seeds, apart = Tally(), job["seeds"], []
    for _ in range(draws):
        runs = draw_detectors(random, job["scatter"] * random.standard_normal(2 * n_seeds), job["images"])
        drawn = resampled(runs, ["AP"], draws=RESAMPLES)[:, :, 0]
        scores = np.array([coco_scores(run)["AP"] for run in runs])
        differences, errors = scores[:n_seeds] - scores[n_seeds:], drawn[:, :n_seeds] - drawn[:, n_seeds:]
        found = resampled_difference(differences, *error_covariance(errors), job["images"])
        tally.add(np.array([[found.p_value < p] for p in LEVELS]))
        tally.cover(np.array([found.low <= 0 <= found.high]))
        apart.append(np.var(scores[:n_seeds], ddof=1))
    return {"draws": draws, "ours": tally.shares(), "AP_between_seeds": round(float(np.sqrt(np.mean(apart))), 4)}


class Tally:
    """Counts of what was shown at each level, and of intervals that held the truth."""

    def __init__(self) -> None:
        self.shown, self.n, self.covered, self.n_covered = np.zeros(len(LEVELS)), 0, 0, 0

    def add(self, shown: NDArray[np.bool_]) -> None:
        """Shape (levels, draws)."""
        self.shown += shown.sum(axis=1)
        self.n += shown.shape[1]

    def cover(self, held: NDArray[np.bool_]) -> None:
        self.covered += int(held.sum())
        self.n_covered += held.size

    def shares(self) -> dict[str, Any]:
        found = {f"p<{level}": round(float(k) / self.n, 5) for level, k in zip(LEVELS, self.shown, strict=True)}
        return found | ({"covered": round(self.covered / self.n_covered, 5)} if self.n_covered else {})


def below(p: NDArray[np.float64]) -> NDArray[np.bool_]:
    return p[None] < np.array(LEVELS)[:, None]


def student(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """p of the paired t test of each row, shape (draws, seeds); 1 where seeds agree in no difference at all."""
    n = differences.shape[1]
    mean, error = differences.mean(axis=1), differences.std(axis=1, ddof=1) / np.sqrt(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(2 * stdtr(n - 1, -np.abs(mean) / error), nan=1.0)


def batches(draws: int, size: int) -> Iterable[int]:
    step = max(1, ELEMENTS // size)
    return (min(step, draws - done) for done in range(0, draws, step))


def worst(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The cell without an effect that errs most at each level, and the one whose intervals hold least."""
    null = [row for row in rows if not row["effect"]]
    described = ("part", "seeds", "images", "scatter", "difficulty", "arms", "kind")

    def told(row: dict[str, Any], key: str) -> dict[str, Any]:
        return {key: row["ours"][key]} | {name: row[name] for name in described if name in row}

    found = {}
    for level in LEVELS:
        key = f"p<{level}"
        found[key] = told(max(null, key=lambda row: row["ours"][key]), key)
    found["covered"] = told(min(rows, key=lambda row: row["ours"]["covered"]), "covered")
    return found


if __name__ == "__main__":
    main()
