"""A detector's matches: what is kept of them, and the file that they are kept in."""

from pathlib import Path

import numpy as np
import pytest

from florilegium.core.errors import UserError
from florilegium.evaluation.coco import AREAS, IOUS, Matches, accumulated, matches_of, read_matches, write_matches
from tests.helpers import coco


def matches(seed: int = 0, **changes: object) -> Matches:
    truth = coco.truth_of(seed)
    return matches_of(truth, accumulated(truth, coco.results_of(truth, seed, **changes)))


def same(a: Matches, b: Matches) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in Matches.__dataclass_fields__)


def test_classes_are_in_the_order_of_their_ids_and_objects_are_counted_by_size():
    truth = coco.truth_of(3)
    found = matches(3)
    assert found.classes == ("ball", "cup", "ring", "crate")
    assert found.objects.shape == (4, len(AREAS), 12)
    limits = dict(zip(AREAS, ((0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10)), strict=True))
    ids = sorted(image["id"] for image in truth["images"])
    for place, category in enumerate((2, 4, 7, 9)):
        for area, (low, high) in enumerate(limits.values()):
            own = [
                sum(
                    of["image_id"] == image
                    and of["category_id"] == category
                    and low <= of["area"] <= high
                    and not of["iscrowd"]
                    for of in truth["annotations"]
                )
                for image in ids
            ]
            assert found.objects[place, area].tolist() == own


def test_right_detections_keep_their_rank_among_all_of_their_image_and_class():
    """Of a class's detections by falling score, the objects are found by the second, fourth and seventh."""
    boxes = [[100.0 * n, 10.0, 80.0, 80.0] for n in range(7)]
    truth = {
        "images": [{"id": 5, "file_name": "a.png"}, {"id": 3, "file_name": "b.png"}],
        "categories": [{"id": 1, "name": "ring"}],
        "annotations": [
            {"id": n, "image_id": 5, "category_id": 1, "bbox": boxes[of], "area": 6400.0, "iscrowd": 0}
            for n, of in enumerate((1, 3, 6), start=1)
        ],
    }
    results = [{"image_id": 5, "category_id": 1, "bbox": box, "score": 0.9 - 0.1 * n} for n, box in enumerate(boxes)]
    results += [{"image_id": 3, "category_id": 1, "bbox": [0.0, 0.0, 50.0, 50.0], "score": 0.55}]
    found = matches_of(truth, accumulated(truth, results))
    right = found.right[0, 0]
    assert found.rank()[right].tolist() == [1, 3, 6]
    assert found.image.tolist().count(0) == 1  # the picture of id 3 comes first


def test_what_can_change_no_figure_is_not_kept():
    """A class without objects, and what follows the last right detection; crowds are ignored."""
    truth = coco.truth_of(1, n_images=40)
    found = matches_of(truth, accumulated(truth, coco.results_of(truth, 1)))
    unseen = found.classes.index("crate")
    assert not (found.label == unseen).any()
    for label in set(found.label.tolist()):
        assert found.right[..., np.flatnonzero(found.label == label)[-1]].any()
    assert any(of["iscrowd"] for of in truth["annotations"]) and found.ignored[0].any()
    assert not (found.right & found.ignored).any()


def test_matches_are_read_as_they_were_written_and_written_to_the_same_bytes(tmp_path: Path):
    found = matches(2)
    for name in ("a.npz", "b.npz"):
        write_matches(tmp_path / name, found)
    assert same(read_matches(tmp_path / "a.npz"), found)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    nothing = matches_of(coco.truth_of(2), accumulated(coco.truth_of(2), []))
    write_matches(tmp_path / "none.npz", nothing)
    assert same(read_matches(tmp_path / "none.npz"), nothing) and len(nothing.image) == 0


def test_the_order_of_the_annotation_file_is_nothing_to_the_digest_but_names_and_ids_are():
    truth = coco.truth_of(0)
    first = matches_of(truth, accumulated(truth, [])).images

    def digest(images: list[dict]) -> str:
        other = {**truth, "images": images}
        return matches_of(other, accumulated(other, [])).images

    assert digest(truth["images"][::-1]) == first
    renamed = [image | {"file_name": image["file_name"].replace("000", "abc")} for image in truth["images"]]
    assert digest(renamed) != first
    assert digest(truth["images"][:-1]) != first


def test_a_hundred_detections_an_image_take_little_room(tmp_path: Path):
    """The 382 images of study 5 in 300 KiB are 0.8 KiB an image."""
    truth = coco.truth_of(0, n_images=60)
    results = coco.results_of(truth, 0, n_wrong=100)
    write_matches(tmp_path / "m.npz", matches_of(truth, accumulated(truth, results)))
    assert len(results) > 4500
    assert (tmp_path / "m.npz").stat().st_size < 0.4 * 1024 * 60


@pytest.mark.parametrize("fault", ["cut", "text", "another npz", "too few flags", "an image too many", "none"])
def test_a_file_that_holds_no_matches_is_named_in_a_sentence(tmp_path: Path, fault: str):
    path = tmp_path / "matches.npz"
    if fault != "none":
        write_matches(path, matches())
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif fault == "text":
        path.write_text("AP 0.5")
    elif fault == "another npz":
        np.savez_compressed(path, hits=np.ones(3))
    elif fault != "none":
        with np.load(path) as found:
            arrays = dict(found)
        if fault == "too few flags":
            arrays["right"] = arrays["right"][..., :-1]
        else:
            arrays["image"] = arrays["image"] + 12
        np.savez_compressed(path, **arrays)
    with pytest.raises(UserError, match=r"matches\.npz: (there is no such file|holds no matches).* again") as told:
        read_matches(path)
    assert "\n" not in str(told.value)


def test_flags_are_by_area_and_iou():
    found = matches(4)
    assert found.right.shape == found.ignored.shape == (len(AREAS), IOUS, len(found.image))
    assert found.right[0, 0].sum() >= found.right[0, -1].sum() > 0
