"""COCO's figures, precision-recall curves and kinds of errors, on cases small enough to count by hand."""

import pytest

from florilegium.config.metrics import COCO_METRICS
from florilegium.evaluation.coco import score_results
from florilegium.evaluation.detection_errors import breakdown, judge

CATEGORIES = [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}, {"id": 9, "name": "bird"}]


def truth(*objects: tuple, images: int = 2) -> dict:
    """Objects are (image, category, x, y, w, h) and perhaps a mapping of further keys."""
    annotations = [
        {"id": n, "image_id": o[0], "category_id": o[1], "bbox": list(o[2:6]), "area": o[4] * o[5], "iscrowd": 0}
        | (o[6] if len(o) > 6 else {})
        for n, o in enumerate(objects, start=1)
    ]
    pictures = [{"id": n, "width": 400, "height": 300} for n in range(1, images + 1)]
    return {"images": pictures, "annotations": annotations, "categories": CATEGORIES}


def found(*detections: tuple) -> list[dict]:
    """Detections are (image, category, x, y, w, h, score)."""
    return [{"image_id": d[0], "category_id": d[1], "bbox": list(d[2:6]), "score": d[6]} for d in detections]


ONE = (1, 3, 10, 10, 100, 100)


def test_a_perfect_detector(capfd):
    """Two large cats and a small dog, all found exactly: ones, and nothing for objects of middle size."""
    figures = score_results(
        truth(ONE, (2, 3, 0, 0, 200, 200), (2, 7, 300, 200, 20, 20)),
        found((*ONE, 0.9), (2, 3, 0, 0, 200, 200, 0.8), (2, 7, 300, 200, 20, 20, 0.7)),
    )
    expected = dict.fromkeys(COCO_METRICS, 1.0) | {"APm": None, "ARm": None}
    assert figures.overall == pytest.approx(expected)
    assert figures.by_class["bird"] == {"AP": None, "AP50": None}
    assert set(figures.precision) == {"cat", "dog"}
    assert len(figures.recall) == len(figures.precision["cat"]) == 101
    assert capfd.readouterr().out == ""


def test_a_box_that_is_off_counts_up_to_its_overlap():
    """Shifted by 20 of 100 pixels: IoU 80 / 120 = 0.667 counts at 0.5, 0.55, 0.6 and 0.65 of ten."""
    figures = score_results(truth(ONE), found((1, 3, 30, 10, 100, 100, 0.9)))
    assert figures.overall["AP"] == pytest.approx(0.4)
    assert figures.overall["AP50"] == pytest.approx(1.0)
    assert figures.overall["AP75"] == 0.0
    assert figures.overall["AR1"] == pytest.approx(0.4)


def test_a_likelier_mistake_lowers_precision_at_every_recall():
    """One right of two, the wrong one first: precision 1/2 at all recalls."""
    figures = score_results(truth(ONE), found((1, 3, 250, 150, 100, 100, 0.9), (*ONE, 0.5)))
    assert figures.overall["AP50"] == pytest.approx(0.5)
    assert figures.precision["cat"] == pytest.approx([0.5] * 101)


def test_half_of_the_objects_found_is_half_of_the_curve():
    """One of two found: precision 1 up to recall 0.5, which are 51 of 101 places."""
    figures = score_results(truth(ONE, (2, 3, 10, 10, 100, 100)), found((*ONE, 0.9)))
    assert figures.overall["AP50"] == pytest.approx(51 / 101)
    assert figures.overall["AR100"] == pytest.approx(0.5)


def test_recall_is_limited_by_the_number_of_detections():
    """Three objects in one image; the likeliest alone is one third."""
    objects = [(1, 3, 120 * n, 10, 100, 100) for n in range(3)]
    figures = score_results(truth(*objects), found(*((*o, 0.9 - 0.1 * n) for n, o in enumerate(objects))))
    assert figures.overall["AR1"] == pytest.approx(1 / 3)
    assert figures.overall["AR10"] == pytest.approx(1.0)


def test_without_detections_there_are_zeros_and_no_crash():
    figures = score_results(truth(ONE), [])
    assert figures.overall == dict.fromkeys(COCO_METRICS, 0.0) | dict.fromkeys(("APs", "APm", "ARs", "ARm"))
    assert figures.by_class["cat"] == {"AP": 0.0, "AP50": 0.0}
    assert figures.precision == {"cat": [0.0] * 101}


def test_without_objects_there_is_nothing_to_say():
    assert set(score_results(truth(), found((*ONE, 0.9))).overall.values()) == {None}
    assert set(score_results(truth(), []).overall.values()) == {None}


def test_crowds_do_not_count():
    crowd = (1, 3, 200, 100, 100, 100, {"iscrowd": 1})
    figures = score_results(truth(ONE, crowd), found((*ONE, 0.5), (1, 3, 200, 100, 100, 100, 0.9)))
    assert figures.overall["AP"] == pytest.approx(1.0)


def kinds(*arguments: object) -> dict[str, int]:
    return {kind: count for kind, count in breakdown(*arguments).counts.items() if count}


def test_every_kind_of_error_once():
    """Besides two correct detections, so that the best F1 takes in the mistakes above them."""
    objects = truth(
        ONE,  # found, and found again
        (1, 7, 200, 10, 100, 100),  # taken for a cat
        (2, 3, 10, 10, 100, 100),  # found with a bad box
        (2, 9, 200, 10, 100, 100),  # missed
        (2, 9, 200, 180, 100, 100),  # found
    )
    detections = found(
        (*ONE, 0.99),
        (1, 3, 12, 10, 100, 100, 0.9),
        (1, 3, 200, 10, 100, 100, 0.9),
        (2, 3, 60, 10, 100, 100, 0.9),  # IoU 50 / 150
        (2, 7, 10, 180, 100, 100, 0.9),
        (2, 9, 200, 180, 100, 100, 0.85),
    )
    result = breakdown(objects, detections)
    assert result.counts == {
        "correct": 2, "class": 1, "box": 1, "duplicate": 1, "background": 1, "missed": 1
    }  # fmt: skip
    cat, dog, bird, nothing = range(4)
    assert result.confusion[cat] == [1, 0, 0, 1]
    assert result.confusion[dog] == [1, 0, 0, 0]
    assert result.confusion[bird] == [0, 0, 1, 1]
    assert result.confusion[nothing] == [2, 1, 0, 0]


def test_what_lies_below_the_best_f1_does_not_count():
    result = breakdown(truth(ONE), found((*ONE, 0.9), (1, 3, 250, 150, 90, 90, 0.3)))
    assert result.score == 0.9
    assert kinds(truth(ONE), found((*ONE, 0.9), (1, 3, 250, 150, 90, 90, 0.3))) == {"correct": 1}


def test_the_likelier_detection_is_the_correct_one():
    close = (1, 3, 12, 10, 100, 100)
    result = breakdown(truth(ONE, (2, 3, 0, 0, 50, 50)), found((*close, 0.9), (*ONE, 0.8), (2, 3, 0, 0, 50, 50, 0.7)))
    assert (result.counts["correct"], result.counts["duplicate"]) == (2, 1)


def test_a_class_error_whose_box_is_bad_too_is_background():
    shifted = (1, 7, 60, 10, 100, 100)
    assert kinds(truth(ONE, (2, 3, 0, 0, 50, 50)), found((*shifted, 0.9), (2, 3, 0, 0, 50, 50, 0.5))) == {
        "correct": 1,
        "background": 1,
        "missed": 1,
    }


def test_detections_on_crowds_are_no_errors():
    crowd = (1, 3, 200, 100, 100, 100, {"iscrowd": 1})
    inside = (1, 3, 210, 110, 30, 30)
    assert kinds(truth(ONE, crowd), found((*inside, 0.9), (*ONE, 0.5))) == {"correct": 1}


@pytest.mark.parametrize("detections", [[], [(1, 3, 250, 150, 90, 90, 0.3)]])
def test_without_a_correct_detection_all_objects_are_missed(detections: list):
    result = breakdown(truth(ONE), found(*detections))
    assert result.score is None
    assert result.counts["missed"] == 1
    assert result.counts["background"] == len(detections)


def test_counts_agree_with_coco_on_many_random_boxes():
    """At every IoU of 0.5 the last recall of COCO is the number of correct detections, all counting."""
    import random

    import numpy as np

    from florilegium.evaluation.coco import accumulated
    from florilegium.evaluation.detection_errors import FREE, _images

    draw = random.Random(0)

    def box() -> tuple:
        return (
            draw.randint(1, 9),
            draw.choice((3, 7, 9)),
            *(draw.randint(0, 60) for _ in range(2)),
            *(draw.randint(30, 90) for _ in range(2)),
        )

    objects = truth(*(box() for _ in range(60)), images=9)
    detections = found(*((*box(), draw.random()) for _ in range(200)))
    recall = accumulated(objects, detections).eval["recall"][0, :, 0, -1]
    classes = [c["id"] for c in CATEGORIES]
    correct = np.zeros(3)
    for image in _images(objects, detections, classes):
        np.add.at(correct, image.classes[image.taken != FREE], 1)
    counts = [sum(a["category_id"] == c for a in objects["annotations"]) for c in classes]
    assert recall.tolist() == pytest.approx((correct / counts).tolist())


def test_single_images_tell_what_the_counts_sum_up():
    """Each detection with its kind, each object with whether it is missed, crowds apart."""
    crowd = (2, 9, 300, 10, 90, 90, {"iscrowd": 1})
    objects = truth(ONE, (2, 3, 10, 10, 100, 100), (2, 9, 200, 180, 100, 100), crowd, images=3)
    detections = found(
        (2, 3, 60, 10, 100, 100, 0.7), (*ONE, 0.9), (2, 9, 300, 10, 90, 90, 0.95), (2, 7, 0, 200, 50, 50, 0.3)
    )
    images = judge(objects, detections, 0.5)
    assert {number: [kind for _, kind in image.detections] for number, image in images.items()} == {
        1: ["correct"], 2: ["box"], 3: []
    }  # fmt: skip
    assert [missed for _, missed in images[2].objects] == [False, True]
    assert {number: image.n_missed for number, image in images.items()} == {1: 0, 2: 1, 3: 0}
    assert images[1].detections[0][0]["score"] == 0.9
