"""What the arms of a study know together of how much seeds scatter.

Two seeds say next to nothing of their own scatter, and the arms of a study are much alike. So each arm's
variance between seeds is drawn towards that of all arms, as Smyth (2004, "Linear models and empirical Bayes
methods for assessing differential expression", SAGMB 3:3, sections 4 and 6.2) does it for genes: a prior
variance with degrees of freedom d0, which are few where arms differ much.

Unlike his, the prior variance is the mean of all arms', not their geometric mean, and d0 is never taken above
`MOST`, nor above half the degrees of freedom that the other arms have: a study has a dozen arms, not thousands
of genes, and cannot tell whether one of them is unlike the others. `benchmarks/calibration.py` simulates whole studies, with arms that are alike and with arms that are not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import digamma, polygamma

MOST = 3.0
SHARE = 0.5
FEWEST_ARMS = 3


@dataclass(frozen=True)
class Scatter:
    """A prior for the variance of one arm's score between seeds.

    Attributes:
        variance: of one seed's score.
        df: as many degrees of freedom as the prior counts for.
        n_arms: how many arms it is made of.
    """

    variance: float
    df: float
    n_arms: int

    def moderate(self, variance: Any, df: float) -> tuple[Any, float]:
        """A variance estimated with `df` degrees of freedom, drawn towards this one: (variance, df)."""
        return (self.df * self.variance + df * variance) / (self.df + df), self.df + df

    def of_differences(self) -> "Scatter":
        """The same of differences of two arms. Arms that share what a seed decides differ less, which is left out."""
        return Scatter(2 * self.variance, self.df, self.n_arms)


def scatter_of(arms: Sequence[tuple[float, int]]) -> Scatter | None:
    """The prior from (variance between seeds, seeds) of each arm with two seeds or more; None from too few arms.

    Variances are above zero: no less than what images alone make the score of one seed vary by.
    """
    arms = [(variance, n_seeds) for variance, n_seeds in arms if n_seeds > 1]
    if len(arms) < FEWEST_ARMS:
        return None
    variances = np.array([variance for variance, _ in arms])
    df = np.array([n_seeds - 1.0 for _, n_seeds in arms])
    others = float(df.sum() - df.max())
    return Scatter(
        float(np.average(variances, weights=df)),
        min(_prior_df(variances, df), SHARE * others, MOST),
        len(arms),
    )


def _prior_df(variances: Any, df: Any) -> float:
    """Smyth's d0: what scatter of log variances is left beside that of the few seeds; infinite where none is."""
    logs = np.log(variances) - digamma(df / 2) + np.log(df / 2)
    left = float(np.var(logs, ddof=1) - np.mean(polygamma(1, df / 2)))
    if left <= float(polygamma(1, MOST / 2)):
        return math.inf  # above MOST, and so all the same
    low, high = 0.0, MOST / 2  # of d0 / 2: the trigamma function falls
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if polygamma(1, middle) > left else (low, middle)
    return 2 * high
