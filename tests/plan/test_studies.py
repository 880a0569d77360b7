"""The study files themselves, in every preset: which experiments there are, and what was published of them."""

from functools import cache
from math import floor
from pathlib import Path

import pytest
import torch

from florilegium.config.base import read_yaml
from florilegium.core.errors import UserError
from florilegium.models import registry
from florilegium.models.catalogue import read_catalogue
from florilegium.models.checks import check_networks
from florilegium.plan.plan import Plan
from florilegium.plan.project import load_plan

PROJECT = Path(__file__).resolve().parents[2]


@cache
def plan(preset: str) -> Plan:
    return load_plan(PROJECT, {**read_yaml(PROJECT / "config.yaml"), "preset": preset})


def arms(preset: str, study: str) -> set[str]:
    return {f"{e.name}/{e.arm}" for e in plan(preset).of(study)}


def published(study: str, arm: str, metric: str, source: str) -> dict[str, float]:
    """By experiment, where the study prints one number."""
    return {
        e.name: p.low
        for e in plan("paper").of(study)
        for p in e.published
        if e.arm == arm and p.metric == metric and source in p.source
    }


@pytest.mark.parametrize("preset", ["demo", "mini", "paper"])
def test_every_model_and_every_weight_is_known(preset):
    check_networks(plan(preset), read_catalogue(PROJECT / "workflow" / "weights.yaml"))


def test_weights_that_no_catalogue_has_are_refused():
    with pytest.raises(UserError, match="unknown weights"):
        check_networks(plan("paper"), {})


def test_the_demo_needs_no_published_weights_and_mini_those_that_a_processor_can_fine_tune():
    assert plan("demo").weights() == []
    assert plan("mini").weights() == ["efficientnet-lite0", "vit_small_patch14_dinov2.lvd142m"]
    assert len(plan("paper").weights()) == 16


def test_tiny_imagenet_has_three_arms_of_four_networks_and_more_of_deit():
    three = {"as_published", "probe_cached", "finetune"}
    deit = three | {"both_heads", "both_heads_batch32", "both_heads_batch128"}
    wanted = {f"{name}/{arm}" for name in ("vit_l", "cait", "swin") for arm in three}
    assert arms("paper", "tiny_imagenet") == wanted | {f"deit/{arm}" for arm in deit}
    sizes = {e.arm: e.recipe.batch_size for e in plan("paper").of("tiny_imagenet") if e.name == "deit"}
    assert [sizes[f"both_heads{more}"] for more in ("_batch32", "", "_batch128")] == [32, 64, 128]


def test_the_probe_as_published_keeps_its_quirks_and_the_cached_one_has_none():
    study = [e for e in plan("paper").of("tiny_imagenet") if e.name == "vit_l"]
    as_published, cached, tuned = (
        next(e for e in study if e.arm == arm) for arm in ("as_published", "probe_cached", "finetune")
    )
    recipe = as_published.recipe
    assert (recipe.randaugment, recipe.randaugment_magnitude) == (2, 0)
    assert (recipe.mixup, recipe.cutmix, recipe.random_erasing, recipe.label_smoothing) == (0.8, 1, 0.25, 0.1)
    assert (recipe.crop, recipe.flip, recipe.drop_path) == ("centre", 0, 0.1)
    assert recipe.mean == (0.485, 0.456, 0.406)
    assert recipe.freeze == cached.recipe.freeze == ("backbone",) and tuned.recipe.freeze == ()
    assert cached.recipe.mean is None
    assert as_published.data.choose_on_test and not cached.data.choose_on_test
    assert {e.recipe.features for e in study} == {"live", "cached"}


def test_normalisation_has_every_size_norm_and_data_set():
    norms = ("ln", "ln_in21k", "bn", "gn", "rescale", "rescale_full")
    rows = {
        f"cifar{classes}_{size}_{norm}"
        for classes in (10, 100)
        for size in ("b16", "b32", "l16", "l32")
        for norm in norms
    }
    rows |= {"cifar10_resnet18", "cifar100_resnet18"}
    wanted = {f"{row}/{arm}" for row in rows for arm in ("corrected", "as_published")}
    assert arms("paper", "normalization") == wanted | {"cifar10_b16_ln/fp32", "cifar10_b16_ln/bf16"}


@pytest.mark.parametrize(
    ("table", "count", "total", "minutes"),
    [("CIFAR-10 table", 16, 11.934, 2278.6), ("CIFAR-100 table", 15, 7.526, 1943.6)],
)
def test_every_row_of_the_published_tables_is_there(table, count, total, minutes):
    """The sums are of the columns in the study's document; rows that it leaves empty have no figure."""
    accuracy = published("normalization", "as_published", "top1", table)
    time = published("normalization", "as_published", "minutes", table)
    assert len(accuracy) == len(time) == count
    assert sum(accuracy.values()) == pytest.approx(total)
    assert sum(time.values()) == pytest.approx(minutes)


def test_figures_that_only_a_log_has_stand_beside_their_rows():
    assert published("normalization", "as_published", "top1", "log") == {
        "cifar10_l16_ln": 0.3786,
        "cifar100_l16_ln": 0.4023,
        "cifar100_l16_bn": 0.2687,
    }
    last = published("normalization", "as_published", "last_top1", "log")
    assert len(last) == 27 and last["cifar10_b32_ln"] == 0.6747


def test_normalisation_as_published_is_the_best_of_two_hundred_tests():
    for e in plan("paper").of("normalization"):
        assert (e.recipe.epochs, e.recipe.epoch_steps, e.recipe.warmup_epochs) == (200, 100, 5)
        assert e.data.choose_on_test == (e.arm == "as_published")
        small = "_l16_" in e.name and e.arm == "as_published"
        assert e.recipe.batch_size == (64 if small else 128)


def test_flowers_freezes_none_part_and_all():
    frozen = {
        e.name.removesuffix("_split1"): e.recipe.freeze_blocks
        for e in plan("paper").of("flowers")
        if "_frozen_" in e.name and e.name.endswith("_split1")
    }
    assert frozen == {
        "vit_frozen_none": 0,
        "vit_frozen_quarter": 3,
        "vit_frozen_half": 6,
        "vit_frozen_most": 9,
        "vit_frozen_all_but_one": 11,
        "vit_frozen_all": 12,
        "tiny_vit_frozen_none": 0,
        "tiny_vit_frozen_half": 2,
        "tiny_vit_frozen_all": 4,
        "lite0_frozen_none": 0,
        "lite0_frozen_half": 4,
        "lite0_frozen_all": 7,
    }
    seeds = {len(e.seeds) for e in plan("paper").of("flowers") if e.name.startswith("tiny_vit_scratch")}
    assert seeds == {5}


@pytest.mark.parametrize("preset", ["demo", "mini", "paper"])
def test_flowers_are_stored_as_large_as_tests_need_them(preset):
    """Smaller, a test would enlarge them; larger by more than a pixel, memory and time are lost."""
    for e in plan(preset).of("flowers"):
        seen = registry.input_config(e.model, e.recipe)
        assert e.data.storage_size - floor(seen.size / seen.crop_pct) in (0, 1), e.key


@pytest.mark.parametrize("preset", ["mini", "paper"])
def test_efficientnet_has_one_input_and_warms_up_in_every_arm(preset):
    """What starts from ImageNet stands beside a fair start from scratch."""
    lite = {e.name: e for e in plan(preset).of("flowers") if e.name.startswith("lite0_") and "split1" in e.name}
    assert len(lite) == 5
    for e in lite.values():
        recipe = e.recipe
        assert (recipe.optimizer, recipe.schedule, recipe.weight_decay) == ("adamw", "cosine", 0.05), e.key
        assert 0 < recipe.warmup_epochs <= recipe.epochs / 5, e.key
        assert (e.init is None) == (e.name == "lite0_scratch_split1")
    assert len({(e.data.storage_size, registry.input_config(e.model, e.recipe)) for e in lite.values()}) == 1


def test_the_demo_has_every_norm_and_family():
    demo = plan("demo")
    norms = {e.model.arguments["norm"] for e in demo.of("normalization") if "norm" in e.model.arguments}
    assert norms == {"ln", "bn", "gn", "rescale", "rescale_full"}
    families = {e.model.name.partition("_")[0] for e in demo.experiments}
    assert families >= {"vit", "tiny", "deit", "cait", "swin", "norm", "resnet18", "seresnet50"}
    assert {"arms", "heads"} <= {figure.name for figure in demo.figures["tiny_imagenet"]}
    assert "frozen_blocks" in {figure.name for figure in demo.figures["flowers"]}


def test_features_depend_on_nothing_that_only_heads_learn_with():
    def features(change: dict) -> dict:
        config = {**read_yaml(PROJECT / "config.yaml"), "preset": "paper", "studies": ["tiny_imagenet"]}
        arm = {"probe_cached": {"recipe": change}}
        changed = load_plan(PROJECT, {**config, "experiments": {"tiny_imagenet/swin": {"arms": arm}}})
        e = changed.find("tiny_imagenet", "swin", "probe_cached")
        return changed.features_spec(e)

    unchanged = features({})
    assert features({"lr": 0.01, "epochs": 50, "label_smoothing": 0.0, "weight_decay": 0.0}) == unchanged
    assert features({"interpolation": "bilinear"}) != unchanged


def test_seeds_share_features_where_first_weights_are_a_file():
    flowers = [f"flowers/lite0_probe_split{i}/corrected" for i in (1, 2, 3)]
    tiny_imagenet = [f"tiny_imagenet/{name}/probe_cached" for name in ("vit_l", "cait", "deit", "swin")]
    assert plan("paper").feature_groups() == {(0,): [*flowers, *tiny_imagenet]}
    assert plan("demo").feature_groups() == {(0, 1): ["tiny_imagenet/deit/probe_cached"]}


BAD = {
    "a norm": ("normalization/cifar10_b16_bn", {"model": {"name": "norm_vit_b16", "arguments": {"norm": "in"}}},
                 "norm"),
    "a patch": ("normalization/cifar10_b16_bn", {"model": {"arguments": {"norm": "bn", "patch_size": 15}}},
                 "does not divide img_size"),
    "a block": ("normalization/cifar10_b16_bn", {"model": {"arguments": {"norm": "bn", "depth": 8}}}, "block 9"),
    "frozen blocks": ("normalization/cifar10_b16_bn", {"recipe": {"freeze_blocks": 13}},
                 "norm_vit_b16 has 12 blocks; give at most 12"),
    "frozen stages": ("flowers/tiny_vit_frozen_all", {"model": {"arguments": {"depths": [1, 1]}}}, "has 2 blocks"),
    "attention of nodes": ("tiny_imagenet/deit", {"arms": {"finetune": {"attention": {"of": "nodes"}}}},
                 "has no attention of nodes; set it to tokens"),
    "steps of diffusion": ("generation/diffusion", {"recipe": {"timesteps": 2000}}, "tells 500 steps apart"),
    "a sampler": ("generation/acgan", {"samples": {"sets": {"added": {"sampler": "ddim", "steps": 50}}}},
                 "acgan takes no steps; set it to direct"),
    "augmented features": ("tiny_imagenet/deit", {"arms": {"probe_cached": {"recipe": {"flip": 0.5}}}},
                 "cached features"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_is_told_before_anything_runs(what):
    name, change, sentence = BAD[what]
    config = {**read_yaml(PROJECT / "config.yaml"), "preset": "paper", "experiments": {name: change}}
    with pytest.raises(UserError, match=sentence) as told:
        check_networks(load_plan(PROJECT, config), read_catalogue(PROJECT / "workflow" / "weights.yaml"))
    assert name.partition("/")[2] in str(told.value) and "\n" not in str(told.value)


def test_techniques_stand_alone_and_together_against_the_plain_recipe():
    """Study 4: every technique differs from the plain recipe in its own keys alone."""
    found = {e.name: e for e in plan("paper").of("techniques") if e.arm == "corrected"}
    plain = found["resnet18_plain"].recipe.model_dump()
    alone = {
        "augmentation": {"crop", "flip", "rotation"},
        "crop": {"crop"},
        "flip": {"flip"},
        "rotation": {"rotation"},
        "normalisation": {"mean", "std"},
        "resizing": {"image_size"},
        "finder": {"lr"},
        "accumulation": {"batches_per_step"},
        "stopping": {"early_stop", "early_stop_on"},
        "clipping": {"clip_norm"},
        "averaging": {"swa_start", "select"},
        "plateau": {"schedule", "plateau_patience"},
        "adam": {"optimizer", "lr"},
        "batch32": {"batch_size"},
        "batch512": {"batch_size"},
        "transfer": {"allow_missing", "allow_unexpected"},
    }
    for name, keys in alone.items():
        e = found[f"resnet18_{name}"]
        assert {key for key, value in e.recipe.model_dump().items() if value != plain[key]} == keys, name
        assert e.baseline is not None
        assert e.baseline.experiment == "resnet18_plain"
    assert {e.recipe.batch_size for e in found.values()} == {32, 128, 512}
    together = {key for name in ("clipping", "averaging", "plateau", "accumulation") for key in alone[name]}
    full = found["resnet18_all"].recipe.model_dump()
    assert together <= {key for key, value in full.items() if value != plain[key]}


def test_techniques_hold_the_study_s_four_rows_in_both_arms():
    rows = {
        "resnet18_all": 0.926,
        "resnet18_graph": 0.918,
        "resnet18_then_graph": 0.935,
        "resnet18_then_classical": 0.931,
    }
    for arm in ("corrected", "as_published"):
        assert published("techniques", arm, "top1", "Experiment, row") == rows


def test_techniques_keep_the_study_s_interplay_as_published_and_mend_it():
    kept = plan("paper").find("techniques", "resnet18_all", "as_published").recipe
    assert (kept.early_stop, kept.plateau_patience, kept.select) == (3, 4, "last")
    assert kept.stop_before_plateau
    assert kept.val_augmented
    mended = plan("paper").find("techniques", "resnet18_all", "corrected").recipe
    assert mended.early_stop > mended.plateau_patience
    assert not mended.val_augmented


@pytest.mark.parametrize("preset", ["demo", "mini", "paper"])
def test_techniques_freeze_all_but_the_head_that_is_put_on_a_trained_network(preset):
    for e in plan(preset).of("techniques"):
        if "then" in e.name:
            assert e.init is not None
            assert e.init.experiment is not None
            assert e.recipe.freeze_blocks == 4
            coded = e.arm == "as_published"
            assert e.model.arguments.get("extra_activations", False) == coded
            assert e.model.arguments.get("activation", "leaky_relu") == ("gelu" if coded else "leaky_relu")


def test_techniques_demo_trains_in_five_processes():
    arms = plan("demo").of("techniques")
    finders = [e for e in arms if e.recipe.lr == "from_finder"]
    assert len(arms) + len(finders) == 5


@pytest.mark.parametrize("preset", ["demo", "mini", "paper"])
def test_squeeze_and_excitation_stands_beside_a_residual_network_of_as_many_epochs(preset):
    arms = [e for e in plan(preset).of("flowers") if e.name.startswith("seresnet50") and e.arm == "corrected"]
    assert arms
    for e in arms:
        assert e.baseline is not None
        other = plan(preset).find("flowers", e.baseline.experiment, e.baseline.arm)
        assert other.model.name == "resnet50" and other.recipe == e.recipe and other.data == e.data
    if preset == "paper":
        assert {e.recipe.epochs for e in arms} == {200}


def test_what_is_read_into_study_one_is_called_a_reading():
    flowers = plan("paper").of("flowers")
    assert all("our reading" in e.note for e in flowers if e.arm == "as_published")
    assert not [p for e in flowers for p in e.published if p.metric == "train_top1"]
    printed = [p for e in flowers for p in e.published if p.metric == "best_validation" and "training acc" in p.note]
    assert {(p.low, p.high) for p in printed} == {(0.91, 0.92), (0.985, 0.995)}
    assert all("our reading" in p.note for p in printed)


def test_figures_that_a_study_names_beside_its_accuracies_are_published():
    def claimed(study: str) -> set[tuple[str, str, float, float]]:
        return {
            (e.name.removesuffix("_split1"), p.metric, p.low, p.high)
            for e in plan("paper").of(study)
            for p in e.published
            if not e.name.endswith(("_split2", "_split3"))
        }

    assert claimed("flowers") >= {
        ("vit_frozen_half", "minutes", 20, 20),
        ("seresnet50_scratch", "minutes", 5, 30),
        ("vit_frozen_half", "checkpoint_bytes", 450e6, 550e6),
    }


def test_parameters_of_study_three_are_those_of_its_classes_to_the_printed_digit():
    """Its list counts ViT-L/16 with a hundred classes and the other three with ten."""
    printed = published("normalization", "as_published", "params", "list of models")
    assert {name: (low + 0.05e6) / 1e6 for name, low in printed.items()} == pytest.approx(
        {"cifar10_b16_ln": 85.8, "cifar10_b32_ln": 87.5, "cifar100_l16_ln": 303.4, "cifar10_l32_ln": 305.5}
    )
    for e in plan("paper").of("normalization"):
        for figure in e.published:
            if figure.metric == "params":
                with torch.device("meta"):
                    network = registry.build(e.model, 100 if e.name.startswith("cifar100") else 10)
                assert figure.low <= sum(p.numel() for p in network.parameters()) < figure.high, e.key
