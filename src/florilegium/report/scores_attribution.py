"""How well methods of attribution order the pixels, as means over images with intervals, beside random orders."""

import math

import pandas as pd

from florilegium.report.statistics import student

MEASURES = {"deletion": -1, "insertion": 1}  # the sign of better
RANDOM = ("random_pixels", "random_squares")


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each measure and method of the table of `Attributions`.

    `mean, ci_low, ci_high`: area under the curve, over images; `against`: the random order that is better by
    that measure; `gain, gain_low, gain_high`: how much better than that on the same images, empty for random orders; `n_images`.
    Intervals are Student's, at 95 %, and empty for a single image and where all are alike.
    """
    rows = []
    for measure, sign in MEASURES.items():
        areas = table.pivot(index="image", columns="method", values=measure)  # an image a row
        best = max(RANDOM, key=lambda order: sign * areas[order].mean())
        for method in dict.fromkeys(table["method"]):
            mean, low, high = student(areas[method].to_numpy())
            gains = sign * (areas[method] - areas[best]).to_numpy()
            gain = student(gains) if method not in RANDOM else (math.nan,) * 3
            rows.append((measure, method, mean, low, high, best, *gain, len(areas)))
    columns = ["measure", "method", "mean", "ci_low", "ci_high", "against", "gain", "gain_low", "gain_high"]
    return pd.DataFrame(rows, columns=[*columns, "n_images"])
