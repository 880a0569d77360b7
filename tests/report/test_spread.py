import math

import numpy as np
import pytest
from scipy.special import polygamma

from florilegium.report.spread import MOST_DF, Scatter, Spread, pooled_scatter
from florilegium.report.statistics import arm_interval, own_variance, share_interval, wilson


def test_moderation_is_the_posterior_mean_of_smyth() -> None:
    """Equation 7 of section 4: a weighted mean of prior and own variance, with their degrees of freedom together."""
    variance, df = Scatter(0.04, 3.0, 6).moderate(0.01, 2.0)
    assert variance == pytest.approx((3 * 0.04 + 2 * 0.01) / 5) and df == 5


def test_arms_that_are_alike_lend_all_that_is_allowed() -> None:
    random = np.random.default_rng(0)
    found = pooled_scatter([(float(v), 5) for v in 0.02**2 * random.chisquare(4, 12) / 4])
    assert found is not None and found.df == MOST_DF and found.n_arms == 12
    assert 0.01**2 < found.variance < 0.03**2


def test_arms_that_are_unlike_lend_less() -> None:
    found = pooled_scatter([(10.0**-k, 9) for k in range(2, 12)])
    assert found is not None and found.df < 1


def test_no_arm_counts_for_more_than_the_others_know() -> None:
    found = pooled_scatter([(1e-4, 2), (1.1e-4, 2), (0.9e-4, 2)])
    assert found is not None and found.df == 1  # half of what the two others have, a degree each
    assert found.variance == pytest.approx(1e-4)


def test_few_arms_or_lone_seeds_lend_nothing() -> None:
    assert pooled_scatter([(1e-4, 3), (1e-4, 3)]) is None
    assert pooled_scatter([(1e-4, 3), (1e-4, 3), (0.0, 1)]) is None


def test_an_arm_of_one_seed_has_wilsons_interval() -> None:
    hits = np.random.default_rng(0).random((1, 340)) < 0.9
    assert arm_interval(hits)[1:] == pytest.approx(wilson(int(hits.sum()), 340))


def test_an_arm_is_never_told_more_sharply_than_its_images_allow() -> None:
    """Seeds that agree in their accuracy say nothing of other images."""
    random = np.random.default_rng(0)
    same_images = np.tile(random.random(530) < 0.4, (3, 1))
    mean, low, high = arm_interval(same_images)
    assert (low, high) == pytest.approx(wilson(int(same_images[0].sum()), 530), abs=1e-4)
    assert mean == same_images[0].mean()


def test_the_interval_of_an_arm_holds_its_accuracy_over_all_seeds_and_images() -> None:
    random = np.random.default_rng(0)
    held = dict.fromkeys((2, 3, 5), 0)
    for n_seeds in held:
        for _ in range(400):
            easiness = random.beta(3, 2, 200) * 0.9
            hits = random.random((n_seeds, 200)) < easiness + random.normal(0, 0.03, (n_seeds, 1))
            _, low, high = arm_interval(hits)
            held[n_seeds] += low <= 0.54 <= high
    assert all(count >= 0.93 * 400 for count in held.values()), held


def test_all_right_and_all_wrong_keep_a_width_inside_the_bounds() -> None:
    ones = np.ones((3, 50), dtype=bool)
    assert arm_interval(ones)[1:] == pytest.approx((wilson(50, 50)[0], 1.0))
    assert arm_interval(~ones)[1:] == pytest.approx((0.0, wilson(0, 50)[1]))
    assert arm_interval(ones[:, :1])[1] < 1


def test_a_share_of_unknown_images_is_told_as_if_all_seeds_had_the_same_ones() -> None:
    mean, low, high = share_interval(np.array([0.9, 0.9, 0.9]), 340)
    assert (low, high) == pytest.approx(wilson(0.9 * 340, 340)) and mean == pytest.approx(0.9)


def test_the_least_variance_between_seeds_is_that_of_their_own_images() -> None:
    """With independent images nothing is shared, and it is the binomial variance."""
    hits = np.random.default_rng(0).random((6, 20_000)) < 0.3
    assert own_variance(hits) == pytest.approx(0.3 * 0.7 / 20_000, rel=0.02)
    assert own_variance(np.ones((3, 8), dtype=bool)) == 1 / 100


def test_the_prior_degrees_of_freedom_solve_smyths_equation() -> None:
    """Section 6.2: trigamma(d0 / 2) is what scatter of log variances is left beside that of the seeds."""
    variances = np.array([1e-4, 4e-4, 3e-5, 2e-3, 9e-5, 6e-4])
    found = pooled_scatter([(float(v), 21) for v in variances])
    assert found is not None and found.df < MOST_DF
    left = np.var(np.log(variances), ddof=1) - polygamma(1, 10)
    assert polygamma(1, found.df / 2) == pytest.approx(left)


@pytest.mark.parametrize("effect", [0.2, 0.04, 0.021])
def test_the_seeds_that_a_difference_needs_are_the_fewest_that_show_it(effect: float) -> None:
    of_three = Spread(4e-4, 2.0, 5e-5, 339.0)  # its images alone would show two points

    def of(n_seeds: int) -> float:
        return Spread(4e-4 * 3 / n_seeds, n_seeds - 1.0, 5e-5, 339.0).detectable()

    needed = int(of_three.seeds_needed(-effect, 3))
    assert of(needed) <= effect and (needed == 2 or of(needed - 1) > effect)


def test_no_number_of_seeds_shows_what_the_images_hide_and_one_seed_says_nothing_of_others() -> None:
    assert Spread(4e-4, 2.0, 5e-5, 339.0).seeds_needed(0.015, 3) == math.inf
    assert math.isnan(Spread(0.0, 1.0, 5e-5, math.inf).seeds_needed(0.5, 1))
