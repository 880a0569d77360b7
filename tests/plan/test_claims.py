"""The claims of a study: found in every preset, on every official split, and complete where everything is run."""

from pathlib import Path
from typing import Any

import pytest

from florilegium.config.claims import Claim
from florilegium.core.errors import UserError
from tests.plan import test_references
from tests.plan.test_references import entry
from tests.plan.test_studies import plan as built_in

PRESETS = ("demo", "mini", "paper")
WHOLE = {"name": "better", "says": "It is better.", "source": "page 1", "arms": ["b", "a"], "at_least": 0.0}


def chosen(folder: Path, claim: dict[str, Any], own: dict[str, Any] | None = None, **experiments: Any) -> Claim:
    made = test_references.plan(folder, experiments, own, claims=[WHOLE | claim])
    (found,) = made.claims["bloom"]
    return found


@pytest.mark.parametrize("preset", PRESETS)
def test_every_claim_of_every_study_is_found_in_every_preset(preset: str) -> None:
    claims = [claim for of in built_in(preset).claims.values() for claim in of]
    assert len(claims) >= 40 and all(built_in(preset).claims.values())
    sentences = [claim.says for claim in claims]
    assert len(set(sentences)) == len(sentences)
    for claim in claims:
        assert claim.steps or claim.lacks, claim.name
        assert not claim.says.startswith(("And ", "So ", "But ")), f"{claim.name}: needs the sentence before it"


def test_as_published_only_what_no_experiment_tests_has_no_verdict() -> None:
    plan = built_in("paper")
    untested = [claim for of in plan.claims.values() for claim in of if not claim.steps]
    assert all(claim.untested and claim.lacks == claim.untested for claim in untested)
    for study, claims in plan.claims.items():
        keys = {e.key_in_study for e in plan.of(study)}
        for claim in claims:
            assert {key for step in claim.steps for key in step if key} <= keys
            assert len(claim.steps) == claim.n_steps or claim.untested, claim.name


def test_what_the_studies_claim_in_words_is_tested_on_two_arms() -> None:
    """Sentences that were missing, or had no test, when this was looked through."""
    found = {
        (study, "/".join(step[0]).replace("_split1", ""), "/".join(step[1]).replace("_split1", ""), claim.metric)
        for study, claims in built_in("paper").claims.items()
        for claim in claims
        for step in claim.steps
        if step[1] and claim.bounds
    }
    assert found >= {
        ("flowers", "tiny_vit_frozen_none/corrected", "resnet18_scratch/corrected", "top1"),
        ("flowers", "seresnet50_scratch/corrected", "resnet50_matched/corrected", "top1"),
        ("flowers", "vit_frozen_none/corrected", "vit_frozen_half/corrected", "generalisation_gap"),
        ("normalization", "cifar10_b16_ln_in21k/corrected", "cifar10_resnet18/corrected", "top1"),
        ("normalization", "cifar10_b16_ln/fp32", "cifar10_b16_ln/corrected", "peak_memory_bytes"),
        ("tiny_imagenet", "swin/as_published", "deit/as_published", "seconds_per_epoch"),
        ("techniques", "resnet18_augmentation/corrected", "resnet18_plain/corrected", "top1"),
    }


def test_a_chain_is_a_comparison_of_each_arm_with_the_next(tmp_path: Path) -> None:
    both = {"a": entry(), "b": entry(), "c": entry()}
    claim = chosen(tmp_path, {"arms": ["a", "b", "c"], "also": [["c", "a"]]}, **both)
    keys = {name: (name, "corrected") for name in both}
    assert claim.steps == ((keys["a"], keys["b"]), (keys["b"], keys["c"]), (keys["c"], keys["a"]))
    assert (claim.n_steps, claim.lacks, claim.metric) == (3, "", "top1")


def test_an_arm_that_is_left_out_is_said_and_the_rest_is_kept(tmp_path: Path) -> None:
    three = {"a": entry(), "b": entry(), "c": entry()}
    claim = chosen(tmp_path, {"also": [["c", "a"]]}, {"bloom/c": {"skip": True}}, **three)
    assert claim.steps == ((("b", "corrected"), ("a", "corrected")),)
    assert (claim.n_steps, claim.lacks) == (2, "this preset leaves out c/corrected")


def test_a_claim_is_about_every_official_split(tmp_path: Path) -> None:
    data = {"dataset": "many"}
    claim = chosen(tmp_path, {}, a=entry(data=data), b=entry(data=data))
    assert claim.steps == tuple(((f"b_split{k}", "corrected"), (f"a_split{k}", "corrected")) for k in (1, 2, 3))
    assert claim.n_steps == 3


def test_an_arm_that_config_adds_may_be_claimed_of(tmp_path: Path) -> None:
    own = {"bloom/a": {"arms": {"fast": {"note": "quicker", "lr_factor": 3.0}}}}
    claim = chosen(tmp_path, {"arms": ["a/fast", "a"]}, own, a=entry(arms={"corrected": {}}))
    assert claim.steps == ((("a", "fast"), ("a", "corrected")),)


def test_published_values_of_one_metric_are_told_apart_by_their_source(tmp_path: Path) -> None:
    values = [{"metric": "top1", "low": low, "high": low, "source": source} for low, source in ((0.5, "p"), (0.6, "q"))]
    arms = {"corrected": {"published": values}}
    reaches = {"arms": ["a"], "at_least": None}
    assert chosen(tmp_path, reaches | {"source": "q"}, a=entry(arms=arms)).steps == ((("a", "corrected"), None),)
    said = "claims.better: a/corrected: has 2 published values of top1; write source as one of p; q"
    with pytest.raises(UserError, match=said):
        chosen(tmp_path, reaches, a=entry(arms=arms))


def test_arms_without_a_common_seed_are_not_compared(tmp_path: Path) -> None:
    arms = [{"corrected": {"seeds": seeds}} for seeds in ([1, 2], [3, 4])]
    with pytest.raises(
        UserError, match=r"claims.better: b/corrected is compared with a/corrected, and they have no seed"
    ):
        chosen(tmp_path, {}, a=entry(arms=arms[0]), b=entry(arms=arms[1]))
