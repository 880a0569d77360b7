"""COCO's scores from matches, against pycocotools itself; resampled images; errors that runs share."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from florilegium.config.metrics import COCO_METRICS
from florilegium.core.errors import UserError
from florilegium.evaluation.coco import Matches, accumulated, matches_of
from florilegium.report import average_precision
from florilegium.report.average_precision import coco_scores, error_covariance, resampled
from tests.helpers import coco


def matched(truth: dict[str, Any], results: coco.Lines) -> Matches:
    return matches_of(truth, accumulated(truth, results))


def known(stats: list[float]) -> dict[str, float | None]:
    return {name: None if value < 0 else value for name, value in zip(COCO_METRICS, stats, strict=True)}


def assert_same(found: dict[str, float | None], expected: dict[str, float | None]) -> None:
    told, wanted = ({name: -1 if of[name] is None else of[name] for name in of} for of in (found, expected))
    assert told == pytest.approx(wanted, abs=1e-9, rel=0)


@pytest.mark.parametrize("seed", range(12))
def test_scores_are_those_of_pycocotools(seed: int) -> None:
    """With crowds, classes without objects or detections, images without either, all sizes, and equal scores;
    every third time more than the hundred detections that count."""
    truth = coco.truth_of(seed)
    results = coco.results_of(truth, seed, many=0 if seed % 3 else 400)
    if seed % 2:  # equal scores of one class in one image, too
        results = [line | {"score": round(line["score"], 1)} for line in results]
    stats = coco.coco_stats(truth, results)
    assert min(stats[:3]) > 0.01
    assert_same(coco_scores(matched(truth, results)), known(stats))


@pytest.mark.parametrize("seed", range(12))
def test_an_image_that_counts_several_times_is_so_many_images(seed: int) -> None:
    truth = coco.truth_of(seed)
    results = coco.results_of(truth, seed, many=0 if seed % 3 else 400)
    times = np.random.default_rng([seed, 2]).poisson(1.0, len(truth["images"]))
    found = coco_scores(matched(truth, results), times)
    assert_same(found, known(coco.coco_stats(*coco.repeated(truth, results, times.tolist()))))
    assert coco_scores(matched(truth, results), times / 4) == found


@pytest.mark.parametrize("n", [7, 14, 28, 29, 35, 55, 56, 57, 58, 100])
def test_a_recall_that_is_just_reached_counts(n: int) -> None:
    """n of a hundred objects are found: precision 1 at n + 1 of 101 recalls, as pycocotools rounds them: its
    recalls 0.35 and 0.57 lie above 35 and 57 of a hundred by a last digit, and are not reached."""
    boxes = [[20.0 * (place % 10), 20.0 * (place // 10), 15.0, 15.0] for place in range(100)]
    common = [{"image_id": 1, "category_id": 2, "bbox": box} for box in boxes]
    truth = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 2, "name": "ball"}],
        "annotations": [
            line | {"id": number, "area": 225.0, "iscrowd": 0} for number, line in enumerate(common, start=1)
        ],
    }
    results = [line | {"score": 0.9 - 0.001 * place} for place, line in enumerate(common[:n])]
    found = coco_scores(matched(truth, results))
    assert found["AP"] == pytest.approx((n + (n not in (35, 57))) / 101)
    assert_same(found, known(coco.coco_stats(truth, results)))


def test_scores_without_detections_are_zero_and_without_objects_none() -> None:
    truth = coco.truth_of(0, crowds=0.0)
    found = coco_scores(matched(truth, []))
    assert set(found.values()) == {0.0}
    full = matched(truth, coco.results_of(truth, 0))
    empty = full.objects[:, 0].sum(axis=0) == 0
    assert empty.any() and set(coco_scores(full, empty.astype(float)).values()) == {None}
    assert set(coco_scores(matched({**truth, "annotations": []}, [])).values()) == {None}


@pytest.mark.parametrize("weights", [np.ones(11), np.ones((12, 1)), -np.ones(12)])
def test_weights_that_are_not_one_for_each_image_are_refused(weights: Any) -> None:
    truth = coco.truth_of(0)
    with pytest.raises(ValueError, match="12 images"):
        coco_scores(matched(truth, []), weights)


def runs_of(seed: int, count: int = 3) -> tuple[dict[str, Any], list[coco.Lines], list[Matches]]:
    truth = coco.truth_of(seed)
    results = [coco.results_of(truth, 10 * seed + number) for number in range(count)]
    return truth, results, [matched(truth, own) for own in results]


def test_each_draw_is_pycocotools_on_the_images_that_were_drawn_the_same_for_all_runs() -> None:
    truth, results, runs = runs_of(5)
    found = resampled(runs, COCO_METRICS, draws=6, seed=3)
    times = np.random.default_rng(3).multinomial(12, np.full(12, 1 / 12), size=6)
    assert found.shape == (6, 3, len(COCO_METRICS))
    for draw in range(6):
        for run in range(3):
            expected = known(coco.coco_stats(*coco.repeated(truth, results[run], times[draw].tolist())))
            got = [None if np.isnan(value) else value for value in found[draw, run].tolist()]
            assert_same(dict(zip(COCO_METRICS, got, strict=True)), expected)


def test_a_draw_depends_on_the_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on the other runs or scores that are asked for, nor on how many draws are made at a time."""
    _, _, runs = runs_of(6)
    whole = resampled(runs, ("AP", "AP50", "APs", "AR10"), draws=40)
    assert np.array_equal(resampled(runs[1:2], ("AP50",), draws=40)[:, 0, 0], whole[:, 1, 1], equal_nan=True)
    monkeypatch.setattr(average_precision, "BLOCK", 1)
    assert np.array_equal(resampled(runs, ("AP", "AP50", "APs", "AR10"), draws=40), whole, equal_nan=True)
    assert not np.array_equal(resampled(runs, ("AP",), draws=40, seed=1)[..., 0], whole[..., 0])


def test_the_resampled_error_of_a_recall_is_that_of_a_ratio() -> None:
    """AR100 of one class is a ratio of sums over images, whose error is known from Taylor's series."""
    draw = np.random.default_rng(0)
    truth = coco.truth_of(8, n_images=150, crowds=0.0)
    truth["annotations"] = [of | {"category_id": 2} for of in truth["annotations"]]
    results = [
        {"image_id": of["image_id"], "category_id": 2, "bbox": of["bbox"], "score": float(draw.random())}
        for of in truth["annotations"]
        if draw.random() < 0.6
    ]
    run = matched(truth, results)
    n = run.objects[0, 0].astype(float)
    hits = np.bincount(run.image[run.right[0, 0]], minlength=150)
    rate = hits.sum() / n.sum()
    expected = np.sqrt(np.sum((hits - rate * n) ** 2)) / n.sum()
    found = resampled([run], ["AR100"], draws=2000)
    assert found.mean() == pytest.approx(rate, abs=0.005)
    assert np.sqrt(error_covariance(found[..., 0])[0]) == pytest.approx(expected, rel=0.08)


def test_runs_of_other_images_or_annotations_are_told_in_a_sentence() -> None:
    truth, results, runs = runs_of(1)
    renamed = {**truth, "images": [i | {"file_name": f"x{i['file_name']}"} for i in truth["images"]]}
    with pytest.raises(UserError, match="different images"):
        resampled([runs[0], matched(renamed, results[0])], ["AP"], draws=2)
    edited = {**truth, "annotations": truth["annotations"][1:]}
    with pytest.raises(UserError, match="different annotations"):
        resampled([runs[0], matched(edited, results[0])], ["AP"], draws=2)
    with pytest.raises(UserError, match="unknown score of COCO 'AP5', did you mean"):
        resampled(runs, ["AP5"], draws=2)
    with pytest.raises(UserError, match="no run"):
        resampled([], ["AP"], draws=2)


# --- what runs share


def test_the_error_covariance_is_the_mean_over_runs_and_over_pairs() -> None:
    draws = np.random.default_rng(0).normal(size=(50, 3)) @ np.array([[1, 2, 0.5], [0, 1, 1], [0, 0, 3.0]])
    variances = [draws[:, r].var(ddof=1) for r in range(3)]
    pairs = [
        np.mean((draws[:, a] - draws[:, a].mean()) * (draws[:, b] - draws[:, b].mean())) * 50 / 49
        for a, b in ((0, 1), (0, 2), (1, 2))
    ]
    assert error_covariance(draws) == pytest.approx((np.mean(variances), np.mean(pairs)))


def test_the_variance_of_a_mean_over_runs_follows_from_it() -> None:
    """Var(mean of R runs) = (variance + (R - 1) covariance) / R: what the lines above are for."""
    _, _, runs = runs_of(7)
    draws = resampled(runs, ["AP"], draws=300)[..., 0]
    variance, covariance = error_covariance(draws)
    assert (variance + 2 * covariance) / 3 == pytest.approx(draws.mean(axis=1).var(ddof=1))
    assert 0 < covariance < variance


def test_one_run_has_no_pair_and_draws_without_objects_do_not_count() -> None:
    draws = np.array([[0.5], [0.7], [np.nan], [0.6]])
    assert error_covariance(draws) == pytest.approx((0.01, 0.0))
    with pytest.raises(ValueError, match="1 of 2 draws"):
        error_covariance(np.array([[0.5, 0.4], [np.nan, 0.3]]))


def test_matches_are_read_and_resampled_without_torch_and_pycocotools() -> None:
    code = (
        f"import sys, {average_precision.__name__}; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'pycocotools')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
