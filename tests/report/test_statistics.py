import itertools

import numpy as np
import pytest
from scipy import stats

from florilegium.report.spread import Scatter
from florilegium.report.statistics import (
    Difference,
    holm,
    mcnemar,
    one_more,
    one_more_seed,
    paired_difference,
    paired_t,
    resampled_difference,
    t_interval,
    wilson,
)


def hits(random: np.random.Generator, shape: tuple[int, int], accuracy: float = 0.6) -> np.ndarray:
    return random.random(shape) < accuracy


def agree(found: Difference) -> bool:
    """Whether p and the 95 % interval say the same."""
    return (found.p_value < 0.05) == (not found.low <= 0 <= found.high)


@pytest.mark.parametrize(("successes", "n", "low", "high"), [(311, 340, 0.880, 0.940), (340, 340, 0.989, 1)])
def test_wilson_of_oxford_17(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-4)


@pytest.mark.parametrize(("successes", "n", "level"), [(0, 10, 0.95), (7, 10, 0.9), (10, 10, 0.99)])
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
    assert "these two networks alone" in found.method


def test_with_one_seed_p_and_interval_never_disagree() -> None:
    """Every pair of numbers of images that one arm alone has right, on a small and on a large test set."""
    for n, (only_a, only_b) in itertools.product((45, 340), itertools.combinations_with_replacement(range(22), 2)):
        a, b = np.zeros((1, n), dtype=bool), np.zeros((1, n), dtype=bool)
        a[0, :only_a], b[0, only_a : only_a + only_b] = True, True
        found = paired_difference(a, b)
        assert agree(found), (n, only_a, only_b)
        assert found.p_value >= mcnemar(a[0], b[0])


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


def test_two_seeds_that_won_two_different_images_each_show_nothing() -> None:
    a = np.zeros((2, 340), dtype=bool)
    b = a.copy()
    a[0, :2] = a[1, 2:4] = True
    found = paired_difference(a, b)
    assert found.p_value > 0.05
    assert found.low < 0 < found.high


@pytest.mark.parametrize("n_seeds", [1, 2, 3, 10])
@pytest.mark.parametrize("n_images", [1, 2, 97, 10_000])
def test_no_p_is_nothing_and_no_interval_has_no_width(n_seeds: int, n_images: int) -> None:
    ones = np.ones((n_seeds, n_images), dtype=bool)
    half = ones.copy()
    half[:, ::2] = False
    one_off = ones.copy()
    one_off[0, 0] = False
    for a, b in itertools.product((ones, ~ones, half, ~half, one_off), repeat=2):
        found = paired_difference(a, b)
        assert 0 < found.p_value <= 1
        assert found.low < found.high
        assert found.low <= found.mean <= found.high
        assert agree(found)
        if found.mean == 0 and not (a ^ b).any():
            assert found.p_value == 1


def test_an_interval_is_never_narrower_than_images_or_seeds_alone_would_give() -> None:
    random = np.random.default_rng(0)
    for n_seeds, n_images, scatter in itertools.product((2, 3, 5, 10), (97, 340), (0.0, 0.02, 0.06)):
        for _ in range(20):
            easiness = random.random(n_images)
            a, b = (
                random.random((n_seeds, n_images)) < easiness + random.normal(0, scatter, (n_seeds, 1))
                for _ in range(2)
            )
            difference = a.astype(float) - b
            found = paired_difference(a, b)
            for alone in (difference.mean(axis=0), difference.mean(axis=1)):
                low, high = stats.ttest_1samp(alone, 0).confidence_interval()
                clipped = min(high, 1) - max(low, -1)  # a difference of fractions
                assert found.high - found.low >= clipped * (1 - 1e-9)
            assert agree(found)


def test_swapping_the_arms_changes_the_sign_alone() -> None:
    random = np.random.default_rng(0)
    a, b = hits(random, (3, 80), 0.8), hits(random, (3, 80))
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low))
    assert (there.p_value, there.detectable) == pytest.approx((back.p_value, back.detectable))


@pytest.mark.parametrize("n_seeds", [1, 2, 3, 5])
@pytest.mark.parametrize("scatter", [0.0, 0.06])
def test_without_an_effect_small_p_values_are_rare(n_seeds: int, scatter: float) -> None:
    """The short form of benchmarks/calibration.py. Seeds that agree by chance are what tests go wrong by."""
    random = np.random.default_rng(0)
    draws, n_images = 1500, 340
    p = np.empty(draws)
    for draw in range(draws):
        easiness = random.beta(1.2, 1.5, n_images)
        shift = 0.0 if n_seeds == 1 else scatter  # of a lone seed nothing is said but of itself
        a, b = (random.random((n_seeds, n_images)) < easiness + random.normal(0, shift, (n_seeds, 1)) for _ in range(2))
        p[draw] = paired_difference(a, b).p_value
    # The limits of 6, 1.5 and 0.3 %, and twice the error of so many draws.
    for level, most in ((0.05, 0.06), (0.01, 0.015), (0.001, 0.003)):
        assert np.mean(p < level) <= most + 2 * np.sqrt(most / draws), (level, np.mean(p < level))


def test_what_is_detectable_is_shown_in_four_of_five_repetitions() -> None:
    """At an effect of the typical detectable size, with as many seeds and images."""
    random = np.random.default_rng(0)

    def compare(effect: float) -> Difference:
        easiness = random.beta(2, 2, 400) * 0.8
        a, b = (random.random((5, 400)) < easiness + more + random.normal(0, 0.02, (5, 1)) for more in (effect, 0.0))
        return paired_difference(a, b)

    detectable = float(np.median([compare(0.0).detectable for _ in range(200)]))
    shown = np.mean([compare(detectable).p_value < 0.05 for _ in range(400)])
    assert 0.7 < shown < 0.9


def test_what_other_arms_know_of_their_seeds_narrows_an_interval_of_two_seeds() -> None:
    random = np.random.default_rng(0)
    a, b = hits(random, (2, 340), 0.8), hits(random, (2, 340))
    alone, lent = paired_difference(a, b), paired_difference(a, b, scatter=Scatter(0.01**2, 3.0, 6))
    assert lent.high - lent.low < alone.high - alone.low
    assert lent.p_value < alone.p_value and lent.detectable < alone.detectable
    assert "6 arms" in lent.method


def test_arms_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 5\) and \(3, 5\) are not two equal"):
        paired_difference(np.ones((2, 5), dtype=bool), np.ones((3, 5), dtype=bool))
    with pytest.raises(ValueError, match="not two equal"):
        paired_difference(np.ones((2, 0), dtype=bool), np.ones((2, 0), dtype=bool))


def test_resampled_errors_of_a_mean_give_the_same_test() -> None:
    """Where the score is a mean over images, its errors are known without resampling."""
    random = np.random.default_rng(0)
    easiness = random.random(5000)
    a, b = hits(random, (4, 5000), 0.8) & (easiness < 0.9), hits(random, (4, 5000), 0.75) & (easiness > 0.1)
    difference = a.astype(float) - b
    errors = np.cov(difference, ddof=1) / 5000  # (4, 4)
    variance, covariance = np.trace(errors) / 4, (errors.sum() - np.trace(errors)) / 12
    resampled = resampled_difference(difference.mean(axis=1), variance, covariance, 5000)
    counted = paired_difference(a, b)
    assert (resampled.low, resampled.high) == pytest.approx((counted.low, counted.high), abs=2e-5)
    assert resampled.p_value == pytest.approx(counted.p_value, rel=0.02)
    assert resampled.detectable == pytest.approx(counted.detectable, rel=0.01)


def test_resampled_scores_without_scatter_are_not_certain() -> None:
    for n_seeds in (1, 2, 5):
        found = resampled_difference([0.0] * n_seeds, 0.0, 0.0, 40)
        assert found.p_value == 1 and found.low < 0 < found.high
        assert 0 < resampled_difference([0.3] * n_seeds, 0.0, 0.0, 40).p_value < 1


def test_seeds_without_scatter_tell_nothing_in_a_t_test() -> None:
    same = paired_t([0.3, 0.4], [0.2, 0.3])
    assert (same.p_value, same.low, same.high) == (1.0, -np.inf, np.inf)
    assert paired_t([0.3, 0.3], [0.3, 0.3]).p_value == 1.0
    theirs = stats.ttest_rel([0.3, 0.4, 0.6], [0.2, 0.3, 0.3])
    assert paired_t([0.3, 0.4, 0.6], [0.2, 0.3, 0.3]).p_value == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("value", [0.1, 0.1 + 1e-17, 0.3])
def test_one_more_value_is_not_told_from_values_without_scatter(value: float) -> None:
    assert one_more([0.1, 0.1, 0.1], value) == (-np.inf, np.inf, 1.0)
    assert one_more([0.1, 0.1 + 1e-17, 0.1], value)[2] == 1.0


def test_one_more_seed_varies_at_least_as_images_make_it() -> None:
    free, held = (one_more_seed(0.3, [0.20, 0.2001, 0.1999]), one_more_seed(0.3, [0.20, 0.2001, 0.1999], 0.03**2))
    assert free.p_value < 0.001 < held.p_value
    # Student's with two degrees, by hand.
    assert held.p_value == pytest.approx(2 * stats.t.sf(0.1 / (0.03 * np.sqrt(4 / 3)), 2), rel=1e-3)


def test_holm_is_its_definition() -> None:
    random = np.random.default_rng(0)
    for n in (1, 2, 7, 30):
        p = random.random(n) ** 3
        found = holm(p.tolist())
        order = sorted(range(n), key=lambda i: p[i])
        for place, i in enumerate(order):
            assert found[i] == pytest.approx(min(1, max((n - k) * p[order[k]] for k in range(place + 1))))
    assert holm([]) == []
