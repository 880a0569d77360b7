"""Intervals and tests against values that were computed by other means."""

import numpy as np
import pytest
from scipy import stats

from florilegium.report.statistics import mcnemar, paired_difference, t_interval, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(311, 340, 0.880, 0.940), (337, 340, 0.974, 0.997), (340, 340, 0.989, 1.0), (0, 340, 0.0, 0.011)],
)
def test_wilson_of_oxford_17(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-4)


@pytest.mark.parametrize(("successes", "n", "level"), [(3, 10, 0.95), (50, 85, 0.99), (1, 7, 0.8)])
def test_wilson_is_scipys(successes: int, n: int, level: float) -> None:
    theirs = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    assert wilson(successes, n, level) == pytest.approx((theirs.low, theirs.high))


def test_wilson_refuses_what_is_no_proportion() -> None:
    with pytest.raises(ValueError, match="5 successes of 4"):
        wilson(5, 4)


def test_t_interval_is_scipys() -> None:
    values = [0.912, 0.905, 0.921]
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert t_interval(values) == pytest.approx((np.mean(values), low, high))


def test_t_interval_of_one_value_is_refused() -> None:
    with pytest.raises(ValueError, match="two values"):
        t_interval([0.9])


def test_mcnemar_is_binomial_on_discordant_images() -> None:
    a = np.array([1] * 12 + [0] * 3 + [1] * 50 + [0] * 5, dtype=bool)
    b = np.array([0] * 12 + [1] * 3 + [1] * 50 + [0] * 5, dtype=bool)
    assert mcnemar(a, b) == pytest.approx(stats.binomtest(3, 15).pvalue)
    assert mcnemar(a, a) == 1.0


def test_one_seed_takes_mcnemar_and_an_interval_around_the_difference() -> None:
    a = np.array([[1] * 12 + [0] * 3 + [1] * 50 + [0] * 5], dtype=bool)
    b = np.array([[0] * 12 + [1] * 3 + [1] * 50 + [0] * 5], dtype=bool)
    found = paired_difference(a, b)
    assert found.mean == pytest.approx(9 / 70)
    assert found.p_value == pytest.approx(stats.binomtest(3, 15).pvalue)
    # Agresti and Min by hand: n = 72, discordant 12.5 and 3.5.
    half = 1.959964 * np.sqrt(16 - 81 / 72) / 72
    assert (found.low, found.high) == pytest.approx((0.125 - half, 0.125 + half), abs=1e-6)


def test_without_an_image_effect_the_crossed_test_is_a_t_test_over_seeds() -> None:
    # Each seed of a gains other images than the other seeds do, so images carry no shared effect.
    b = np.zeros((3, 60), dtype=bool)
    a = b.copy()
    a[0, :6], a[1, 20:30], a[2, 40:54] = True, True, True
    found = paired_difference(a, b)
    over_seeds = stats.ttest_1samp([6 / 60, 10 / 60, 14 / 60], 0)
    assert found.p_value == pytest.approx(over_seeds.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(over_seeds.confidence_interval()))


def test_with_equal_seeds_the_crossed_test_is_a_t_test_over_images() -> None:
    a = np.tile(np.array([1] * 20 + [0] * 40, dtype=bool), (4, 1))
    b = np.tile(np.array([0] * 14 + [1] * 10 + [0] * 36, dtype=bool), (4, 1))
    difference = a[0].astype(float) - b[0]
    found = paired_difference(a, b)
    assert found.p_value == pytest.approx(stats.ttest_1samp(difference, 0).pvalue)


def test_no_difference_and_total_difference() -> None:
    ones, zeros = np.ones((3, 20), dtype=bool), np.zeros((3, 20), dtype=bool)
    assert paired_difference(ones, ones).p_value == 1.0
    assert paired_difference(ones, zeros).mean == 1.0
    assert paired_difference(ones, zeros).p_value == pytest.approx(2.0**-19)


def test_swapping_the_arms_changes_the_sign_alone() -> None:
    random = np.random.default_rng(0)
    a, b = random.random((3, 80)) < 0.8, random.random((3, 80)) < 0.6
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low))
    assert there.p_value == pytest.approx(back.p_value)


def test_seeds_that_differ_do_not_make_false_effects() -> None:
    """No true effect, seeds differ: rejected near 5 % of the time, where a test over images alone fails."""
    random = np.random.default_rng(0)

    def arm() -> np.ndarray:
        return (easiness + random.normal(0, 0.3, (3, 1)) + random.normal(0, 0.7, (3, 100))) > 0

    crossed, images_alone = 0, 0
    for _ in range(400):
        easiness = random.normal(1, 1.2, 100)
        a, b = arm(), arm()
        crossed += paired_difference(a, b).p_value < 0.05
        images_alone += stats.ttest_1samp((a.astype(float) - b).mean(axis=0), 0).pvalue < 0.05
    assert crossed / 400 < 0.10
    assert images_alone / 400 > 0.20


def test_arms_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="not two equal"):
        paired_difference(np.ones((2, 5), dtype=bool), np.ones((3, 5), dtype=bool))
