"""A person's own COCO folder through all stages of data, as the workflow runs them."""

from pathlib import Path

import pandas as pd
import pytest

from florilegium.config.data import DetectionData
from florilegium.config.datasets import Dataset
from florilegium.core.files import read_json
from florilegium.data.boxed import BoxedStore, load_boxed
from florilegium.stages import annotations, audit, fetch, hash, scenes
from tests.helpers.annotated import coco, photo, write
from tests.helpers.stages import run_stage

COUNTS = {"train": 8, "val": 4, "test": 3}


def test_an_own_folder_from_disk_to_audited_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test picture is among the training pictures, too; the test set has no annotations."""
    monkeypatch.chdir(tmp_path)
    names = {split: [(n, f"{split}{n}.png") for n in range(count)] for split, count in COUNTS.items()}
    files = {
        f"{split}.json": coco(names[split], [(n, 1 + n % 2 * 2, [2, 3, 10, 12]) for n, _ in names[split]])
        for split in ("train", "val")
    }
    files["test.json"] = {"images": coco(names["test"], [])["images"]}
    pictures = [f"images/{split}/{name}" for split, listed in names.items() for _, name in listed]
    files |= {name: photo(seed) for seed, name in enumerate(pictures)}
    files["images/train/train5.png"] = files["images/test/test2.png"]
    write(Path("mine"), files)
    dataset = Dataset(layout="coco", folder="mine").model_dump(mode="json", exclude_none=True)

    here = Path("resources/mine")
    listing, boxes, table = (here / name for name in ("files.json", "annotations.json", "images.csv"))
    packed, hashes, out = here / "scenes48-96-least.npy", here / "hashes", Path("results/audit")
    size = {"short_side": 48, "long_side": 96, "padding": "least", "corrupt": "stop", "pictures": {}}
    run_stage(monkeypatch, fetch, {"dataset": dataset, "override": None}, "--name", "mine", "--out", listing)
    spec = {"dataset": dataset, "bad_boxes": "stop"}
    run_stage(monkeypatch, annotations, spec, "--files", listing, "--out", boxes)
    run_stage(monkeypatch, scenes, size, "--files", listing, "--annotations", boxes, "--out", packed)
    reading = {"layout": "coco", "corrupt": "stop", "pictures": {}, "crops": True}
    run_stage(monkeypatch, hash, reading, "--files", listing, "--out", hashes, "--state", "state/hashes/mine")
    sides = [
        argument
        for side in "ab"
        for argument in (
            *(f"--name-{side}", "mine", f"--hashes-{side}", hashes),
            *(f"--images-{side}", table, f"--files-{side}", listing),
        )
    ]
    run_stage(monkeypatch, audit, {"audit": {}, "pictures": {}}, *sides, "--out", out)

    for output in (boxes, table, here / "bad_boxes.csv"):
        assert output.as_posix() in read_json(here / "annotations.receipt.json")["outputs"]
    receipt = read_json(here / "scenes48-96-least.receipt.json")
    assert (receipt["stage"], receipt["spec"], receipt["n_packed"]) == ("scenes", size, sum(COUNTS.values()))
    assert set(receipt["inputs"]) == {listing.as_posix(), boxes.as_posix()}
    summary = read_json(here / "images.json")
    assert (summary["n_train"], summary["n_boxes"], summary["unannotated"]) == (8, 12, ["test"])
    dropped = pd.read_csv(out / "dropped.csv")
    assert dropped["image"].tolist() == ["images/train/train5.png"]

    use = DetectionData(dataset="mine", short_side=48, long_side=96, val=(), test=("val",), clean=("mine",))
    assert packed.name == f"scenes{use.packing}.npy"
    found = load_boxed(use, pixels=packed, annotations=boxes, dropped=[out / "dropped.csv"])
    assert (len(found.train), len(found.test)) == (7, 4)
    to_submit = BoxedStore(packed, boxes).take(("test",))
    assert to_submit.ids == (0, 1, 2) and not any(map(len, to_submit.boxes))
