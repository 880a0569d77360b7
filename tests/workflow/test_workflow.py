"""The workflow as its users meet it: targets, contracts, reruns, mistakes, kills."""

import re

import pandas as pd
import pytest

from florilegium.core.files import digest, read_json
from tests.workflow.conftest import configure, planned, snakemake

RUN = "results/demo/flowers/resnet18_from102_clean/corrected/seed0"
COMPARISON = (
    "experiment,arm,metric,published_low,published_high,published_source,mean,ci_low,ci_high,"
    "n_seeds,n_test,baseline,p_value,p_adjusted,detectable,verdict,differs,note"
)
STUDIES = ("flowers", "tiny_imagenet", "normalization", "techniques", "generation", "detection")
PAIRS = "image_a,split_a,class_a,image_b,split_b,class_b,hash_distance,transform,pixel_distance,verdict,"
PAIRS += "scale,overlap,points,agreement"


@pytest.mark.parametrize("preset", ["demo", "mini"])
def test_every_preset_can_be_planned(unmade, preset):
    """`paper` is by the commands of its guide; see test_paper_guide.py."""
    assert planned(unmade, "all", "--config", f"preset={preset}")


@pytest.mark.parametrize("targets", [("audit",), ("explanation",), (*STUDIES, "report")], ids=" ".join)
def test_every_target_can_be_planned(unmade, targets):
    due = planned(unmade, *targets)
    assert due
    made = {path.split("/")[2] for path in due if path.endswith("/comparison.csv")}
    assert made == set(targets) & set(STUDIES)


PHASES = {
    "download": {"download"},
    "dedup": {"download", "dedup"},
    "pack": {"download", "pack"},
    "pretrain": {"download", "dedup", "pack", "pretrain"},
    "sweep": {"download", "dedup", "pack", "pretrain", "sweep"},
    "ablate": {"download", "dedup", "pack", "pretrain", "ablate"},
    "finetune": {"download", "dedup", "pack", "pretrain", "train", "finetune"},  # train: a frozen backbone's features
    "generate": {"download", "dedup", "pack", "pretrain", "train", "generate"},  # train: who judges the images
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_plans_its_jobs_and_what_they_need(unmade, phase):
    assert {rule.split("_")[0] for rule in rules(unmade, phase)} - {"total"} == PHASES[phase]


def rules(folder, target):
    """The rules of which jobs are planned."""
    done = snakemake(folder, "-n", "--cores", "1", target)
    return set(re.findall(r"^(\w+) +\d+$", done.stdout + done.stderr, flags=re.MULTILINE))


def test_every_target_and_rule_explains_itself(unmade):
    listed = snakemake(unmade, "--list").stdout.splitlines()
    assert set(PHASES) < {line.split(" (")[0] for line in listed}
    assert all(re.fullmatch(r"\w+ \(.+\.\)", line) for line in listed), listed


def test_planning_writes_nothing(fresh):
    before = {path for path in fresh.rglob("*") if ".snakemake" not in path.parts}
    snakemake(fresh, "-n", "--cores", "1", "all", "gpu_hours")
    after = {path for path in fresh.rglob("*") if not {".snakemake", "__pycache__"} & set(path.parts)}
    assert after <= before
    assert not (fresh / ".snakemake/florilegium-code.json").exists()


def test_finished_means_nothing_to_be_done(finished):
    done = snakemake(finished, "-n", "--cores", "1", "all")
    assert "Nothing to be done" in done.stdout + done.stderr


def test_a_run_keeps_its_contract(finished):
    run = finished / RUN
    metrics = read_json(run / "metrics.json")
    for key in ("loss", "top1", "top5", "last_top1", "train_top1"):
        assert isinstance(metrics[key], float)
    assert 0 <= metrics["top1"] <= metrics["top5"] <= 1
    history = pd.read_csv(run / "history.csv")
    assert metrics["epochs"] == len(history) and metrics["diverged"] is False
    assert history.val_top1[metrics["best_epoch"] - 1] == history.val_top1.max()
    assert metrics["checkpoint_bytes"] == (run / "checkpoint.safetensors").stat().st_size
    assert metrics["params"] == metrics["params_trainable"] > 0 and metrics["macs"] > 0
    predictions = pd.read_csv(run / "predictions.csv")
    assert list(predictions.columns) == ["image", "target", "prediction", "probability"]
    assert len(predictions) == metrics["n_test"]
    assert metrics["top1"] == pytest.approx((predictions.target == predictions.prediction).mean())
    assert list(history.columns) == ["epoch", "lr", "train_loss", "train_top1", "val_loss", "val_top1"]
    cost = read_json(run / "cost.json")
    for key in ("device", "precision", "threads", "seconds_total", "seconds_per_epoch", "seconds_evaluation",
                "train_images_per_second", "peak_memory_bytes"):  # fmt: skip
        assert key in cost


def test_receipts_name_what_is_there(finished):
    receipt = read_json(finished / RUN / "receipt.json")
    for name, facts in {**receipt["inputs"], **receipt["outputs"]}.items():
        assert digest(finished / name) == facts["sha256"], name
    assert receipt["seed"] == 0 and receipt["spec"]["data"]["dataset"] == "demo17"
    assert str(finished) not in (finished / RUN / "receipt.json").read_text()


def test_tables_keep_their_columns(finished):
    comparison = pd.read_csv(finished / "results/demo/flowers/comparison.csv")
    assert ",".join(comparison.columns) == COMPARISON
    assert set(comparison.verdict) == {"not_comparable"}
    pairs = pd.read_csv(finished / "results/demo/audit/demo102__demo17/pairs.csv")
    assert ",".join(pairs.columns) == PAIRS
    assert {"same_picture", "crop"} <= set(pairs.verdict)


def test_nothing_is_tested_on_what_it_was_trained_on(finished):
    """By way of the audit's table: no image of the clean pretraining shows a test or validation image."""
    folder = finished / "results/demo/audit/demo102__demo17"
    pairs = pd.read_csv(folder / "pairs.csv")
    leaks = pairs[pairs.verdict.isin(["same_picture", "crop"]) & pairs.split_b.isin(["val", "test"])]
    assert set(leaks.image_a) == set(pd.read_csv(folder / "dropped.csv").image)


def test_one_rate_runs_one_branch(copy):
    """As in test_reruns, where more is changed, but after a run that was one."""
    configure(copy, experiments={"flowers/resnet18_on102_leaky": {"recipe": {"lr": 0.04}}})
    due = planned(copy, "all")
    assert {path.split("/seed")[0] for path in due if "/seed" in path} == {
        "results/demo/flowers/resnet18_on102_leaky/leaky",
        "results/demo/flowers/resnet18_from102_leaky/leaky",
    }
    assert any(path.endswith("comparison.csv") for path in due)


def test_one_file_can_be_asked_for(unmade):
    runs = {path.split("/seed")[0] for path in planned(unmade, f"{RUN}/metrics.json") if "/seed" in path}
    assert runs == {
        "results/demo/flowers/resnet18_from102_clean/corrected",
        "results/demo/flowers/resnet18_on102_clean/corrected",
    }


def test_attention_is_planned_where_it_is_asked_for(unmade):
    """Of the first seed alone, and the study's figures of it with it."""
    vit = "{name: vit_tiny_patch16_224, arguments: {img_size: 32, patch_size: 8, depth: 10}}"
    asked = f"experiments={{flowers/resnet18_scratch: {{model: {vit}, attention: {{}}}}}}"
    paths = planned(unmade, "explanation", "--config", asked)
    folder = "results/demo/flowers/resnet18_scratch/corrected/seed0/attention/"
    files = {"maps.npz", "attention.csv", "maps.png", "rollout.png", "receipt.json"}
    assert {path for path in paths if path.startswith(folder)} == {folder + file for file in files}
    figures = {path for path in planned(unmade, "flowers", "--config", asked) if "/figures/attention_" in path}
    assert {path.rpartition("attention_")[2] for path in figures} == {"maps.png", "depth.png", "rollout.png"}


def test_attention_over_nodes_is_planned_for_heads_on_a_resnet(unmade):
    """Of both arms of the head that the demo trains, and the study's figures of it with it."""
    paths = planned(unmade, "techniques")
    assert {path.rpartition("attention_")[2] for path in paths if "/figures/attention_" in path} == {
        "nodes.png",
        "heads.png",
        "change.png",
    }
    head = "results/demo/techniques/resnet18_then_graph"
    seen = {path for path in planned(unmade, "explanation") if path.startswith(head) and path.endswith("nodes.png")}
    assert seen == {f"{head}/{arm}/seed0/attention/nodes.png" for arm in ("corrected", "as_published")}


def test_answers_are_explained_where_it_is_asked_for(unmade):
    """Of the first seed alone, a figure for each image, and the study's figures of it with it."""
    asked = "experiments={flowers/resnet18_scratch: {attribution: {names: [3, 1, 2]}}}"
    paths = planned(unmade, "explanation", "--config", asked)
    folder = "results/demo/flowers/resnet18_scratch/corrected/seed0/attribution/"
    tables = {"maps.npz", "attribution.csv", "scores.csv", "scores.png", "cost.json", "receipt.json"}
    files = {*tables, "image1.png", "image2.png", "image3.png"}
    assert {p for p in paths if "/resnet18_scratch/corrected/" in p and "/attribution/" in p} == {
        folder + file for file in files
    }
    figures = {p for p in planned(unmade, "flowers", "--config", asked) if "/figures/attribution" in p}
    assert {p.rpartition("attribution_")[2] for p in figures} == {"maps.png", "scores.png"}


def changed(experiment: str, keys: str) -> str:
    return f"experiments={{{experiment}: {{{keys}}}}}"


RESNET = "flowers/resnet18_scratch"
MISTAKES = {
    "preset=demmo": "unknown preset 'demmo', did you mean 'demo'?",
    "seedz=3": "unknown key 'seedz', did you mean 'seeds'?",
    "studies=[flower]": "unknown study 'flower', did you mean 'flowers'?",
    changed(RESNET, "model: {name: resnet81}"): "unknown model 'resnet81'",
    changed(RESNET, "model: {arguments: {depth: 4}}, attention: {}"): "asks for block 9, and the network has 4 blocks",
    changed("techniques/resnet18_plain", "attention: {of: nodes}"): "cifar_resnet18 has no attention of nodes",
    changed(RESNET, "data: {dataset: demo71}"): "unknown data set 'demo71', did you mean 'demo17'?",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_stops_before_anything_runs(unmade, mistake):
    done = snakemake(unmade, "-n", "--cores", "1", "all", "--config", mistake, code=None)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert MISTAKES[mistake] in said
    assert "Traceback" not in said


MISSING = {
    f"results/demo/{RESNET}/published/seed0/metrics.json": f"results/demo/{RESNET}/corrected/seed0/metrics.json",
    "results/demo/flowers/comparson.csv": "results/demo/flowers/comparison.csv",
    "pretran": "pretrain",
}


@pytest.mark.parametrize("target", MISSING)
def test_a_target_that_nothing_makes_is_answered_with_the_nearest(unmade, target):
    done = snakemake(unmade, "-n", "--cores", "1", target, code=None)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert f"error: {target}: " in said and f"did you mean {MISSING[target]}?" in said
    assert "MissingRuleException" not in said and "Traceback" not in said


def test_a_path_without_its_split_is_answered_with_every_split(unmade):
    path = "results/paper/flowers/{}/corrected/seed0/metrics.json"
    asked = path.format("resnet18_scratch")
    done = snakemake(unmade, "-n", "--cores", "1", asked, "--config", "preset=paper", code=None)
    splits = " or ".join(path.format(f"resnet18_scratch_split{k}") for k in (1, 2, 3))
    assert f"error: {asked}: nothing makes this file, did you mean {splits}?" in done.stdout + done.stderr


def test_a_file_that_no_target_names_can_be_asked_for(unmade):
    """Of any classifier's learning-rate finder, by a path of whatever notation."""
    finder = "results/demo/flowers/resnet18_scratch/corrected/seed0/finder/finder.png"
    assert {path for path in planned(unmade, f"./{finder}") if path.endswith("finder.png")} == {finder}


def test_a_study_cannot_take_the_name_of_a_target(fresh):
    (fresh / "pack.yaml").write_bytes((fresh / "workflow/studies/techniques.yaml").read_bytes())
    done = snakemake(fresh, "-n", "--cores", "1", "all", "--config", "own_studies=[pack.yaml]", code=None)
    assert done.returncode != 0
    said = "error: --config: own_studies: pack.yaml: pack is the name of a target or rule of the workflow"
    assert said in done.stdout + done.stderr


UNREADABLE = {
    b"": None,
    b"- preset: demo\n": ["config.yaml: must hold `key: value` lines, and holds a list"],
    "preset: demo".encode("utf-16"): ["config.yaml: is text in UTF-16, and must be UTF-8; save it in that encoding"],
    b"seeds: 3\ndevice: gpu\n": ["config.yaml: seeds = 3: must be", "config.yaml: device = gpu: must be one of"],
}


@pytest.mark.parametrize("content", UNREADABLE)
def test_config_yaml_is_read_in_our_words(fresh, content):
    """An empty one holds every default; of the others all mistakes are told, and nothing of Snakemake's."""
    (fresh / "config.yaml").write_bytes(content)
    expected = UNREADABLE[content]
    done = snakemake(fresh, "-n", "--cores", "1", "audit", code=0 if expected is None else 2)
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(told) == len(expected or ())
    for line, start in zip(told, expected or (), strict=True):
        assert line.startswith(f"error: {start}")
    assert "Traceback" not in done.stderr and "WorkflowError" not in done.stderr


def test_what_is_harmless_is_said_once_and_files_keep_their_precedence(fresh):
    (fresh / "local.yaml").write_text("{gpus_per_training: 3, device: cpu, seeds: [5]}")
    done = snakemake(fresh, "-n", "--cores", "1", "--configfile", "local.yaml", "--config", "seeds=[6]")
    notes = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("note: ")]
    assert len(notes) == 1 and notes[0].startswith("note: local.yaml: gpus_per_training = 3: device = cpu")
    assert "/seed6/" in done.stdout + done.stderr and "/seed5/" not in done.stdout + done.stderr
