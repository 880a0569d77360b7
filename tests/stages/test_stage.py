"""The frame of a stage: its arguments, its receipt, and the lease of its device."""

import argparse
import json
import pkgutil
import subprocess
import sys
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest

from florilegium import stages
from florilegium.core.receipts import read_receipt
from florilegium.stages import arguments as shared
from florilegium.stages.stage import stage, stage_parser

IMAGES = ["--pixels", "pixels8.npy", "--images", "images.csv"]
SEEDS = [*IMAGES, "--seeds", "0"]
CHECKPOINT = ["--checkpoint", "run/checkpoint.safetensors"]
JOB = {"data": {"dataset": "tiny"}, "model": {"name": "tiny"}, "recipe": {"epochs": 1}}
DETECTION = JOB | {"data": {"dataset": "tiny", "short_side": 64, "long_side": 96}}
ORIGIN = {"preset": "demo", "rendered": True}
# The stages that compute on a device, each with a spec and the options that it needs besides.
DEVICE_STAGES = {
    "attention": (ORIGIN | {"attention": {}}, [*CHECKPOINT, "--pixels", "pixels8.npy"]),
    "attribution": (ORIGIN | {"attribution": {}}, [*CHECKPOINT, "--pixels", "pixels8.npy"]),
    "features": (JOB, SEEDS),
    "find_lr": (JOB, SEEDS),
    "judge": (
        {"audit": {}},
        ["--samples", "samples.npy", "--generator", "receipt.json", "--classifier", "c", "--hashes", "h", *IMAGES],
    ),
    "sample": ({"sampling": {}, "shown": 1}, CHECKPOINT),
    "train": (JOB, [*SEEDS, "--state", "state"]),
    "train_detector": (DETECTION, ["--pixels", "p.npy", "--annotations", "a.json", "--seeds", "0", "--state", "state"]),
    "train_generator": (JOB, [*SEEDS, "--state", "state"]),
}


class Leased(Exception):
    pass


class Parsed(Exception):
    pass


def all_stages() -> list[str]:
    """The modules of the room that are programs."""
    modules = [module.name for module in pkgutil.iter_modules(stages.__path__)]
    return [name for name in modules if hasattr(import_module(f"{stages.__name__}.{name}"), "main")]


def takes_device(name: str) -> bool:
    def refuse(parser: argparse.ArgumentParser, *_: object) -> None:
        raise Parsed("--device" in parser.format_help())

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Parsed) as parsed:
        patch.setattr(argparse.ArgumentParser, "parse_args", refuse)
        import_module(f"{stages.__name__}.{name}").main()
    return bool(parsed.value.args[0])


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the receipt of a generator's run."""
    monkeypatch.chdir(tmp_path)
    receipt = {"classes": ["a"], "seed": 0, "model": {"name": "acgan"}, "spec": {"recipe": {"epochs": 1}}}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "receipt.json").write_text(json.dumps(receipt))
    return tmp_path


def test_every_stage_on_a_device_is_tested_for_its_lease():
    assert {name for name in all_stages() if takes_device(name)} == DEVICE_STAGES.keys()


@pytest.mark.parametrize("name", DEVICE_STAGES)
def test_a_stage_leases_its_device_before_anything_asks_cuda(name, run_folder, monkeypatch):
    @contextmanager
    def lease(device: str, count: int):
        assert (device, count) == ("auto", 1)
        raise Leased
        yield

    spec, options = DEVICE_STAGES[name]
    monkeypatch.setattr(shared, "leased", lease)
    monkeypatch.setattr(shared, "pick_device", lambda _: pytest.fail("asked CUDA without a lease"))
    argv = [name, "--spec", json.dumps(spec), "--code", "c0de", "--out", "out", *options]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(Leased):
        import_module(f"{stages.__name__}.{name}").main()


def test_stages_without_a_device_need_no_torch():
    light = [name for name in all_stages() if name not in DEVICE_STAGES and name != "estimate"]
    program = "import sys; from importlib import import_module\n"
    program += f"for name in {light}: import_module('{stages.__name__}.' + name)\n"
    program += "assert 'torch' not in sys.modules"
    assert len(light) > 10
    subprocess.run([sys.executable, "-c", program], check=True)


def arguments_of(*more: str, **options: bool) -> argparse.Namespace:
    parser = stage_parser("About it.", out="a file", spec="JSON", **options)
    return parser.parse_args(["--code", "c0de", "--out", "out/table.csv", *more])


def test_a_receipt_holds_what_the_stage_tells_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("in")
    with stage("try", arguments_of("--spec", '{"b": 1}'), inputs=[Path("in.txt")]) as receipt:
        assert receipt.spec == {"b": 1}
        Path("out").mkdir()
        Path("out/table.csv").write_text("out")
        receipt.outputs += [Path("out/table.csv")]
        receipt.facts["rows"] = 3
    content = read_receipt(Path("out/table.receipt.json"))
    assert (content["stage"], content["spec"], content["code"]) == ("try", {"b": 1}, "c0de")
    assert list(content["inputs"]) == ["in.txt"] and list(content["outputs"]) == ["out/table.csv"]
    assert content["rows"] == 3 and content["seconds"] < 60


def test_a_stage_that_fails_leaves_no_receipt(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "receipt.json"
    with pytest.raises(ValueError, match="no"), stage("try", arguments_of("--spec", "{}"), path=path):
        raise ValueError("no")
    assert not path.exists()


def test_a_spec_may_be_a_file(tmp_path):
    path = tmp_path / "spec.json"
    path.write_text('{"title": "Blütenlese"}', encoding="utf-8")
    parsed = arguments_of("--spec", str(path), spec_is_file=True)
    assert json.loads(parsed.spec) == {"title": "Blütenlese"}
