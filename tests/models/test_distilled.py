"""DeiT's two heads."""

import copy

import pytest
import torch
from torch import nn

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.core.errors import UserError
from florilegium.models import registry

TINY = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
NAME = "deit_tiny_distilled_patch16_224"
IMAGES = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def build(**arguments: object) -> nn.Module:
    torch.manual_seed(0)
    return registry.build(Model(name=NAME, arguments={**TINY, **arguments}), 5)


def grown(network: nn.Module) -> set[str]:
    """The heads that a loss reaches."""
    logits = network.train()(IMAGES)
    sum(x.square().sum() for x in (logits if isinstance(logits, tuple) else (logits,))).backward()
    return {n.split(".")[0] for n, p in network.named_parameters() if "head" in n and p.grad is not None}


def test_both_heads_are_trained_and_their_average_is_tested():
    network = build()
    first, second = network.train()(IMAGES)
    assert first.shape == second.shape == (3, 5)
    assert grown(network) == {"head", "head_dist"}
    torch.testing.assert_close(network.eval()(IMAGES), (first + second) / 2)


def test_the_bug_of_study_2_trains_one_head_and_tests_both():
    """`head_dist` keeps its first weights, and half of every tested logit comes from it."""
    network, whole = build(trained_heads="class"), build()
    assert torch.equal(network.train()(IMAGES), whole.train()(IMAGES)[0])
    assert grown(network) == {"head"}
    assert not network.head_dist.weight.requires_grad
    assert torch.equal(network.eval()(IMAGES), whole.eval()(IMAGES))


def test_a_copy_returns_what_the_network_returns():
    """The averaged weights of a training are in a copy."""
    assert copy.deepcopy(build(trained_heads="class")).train()(IMAGES).shape == (3, 5)


def test_names_of_weights_and_input_are_timms():
    network, config = build(), registry.input_config(Model(name=f"{NAME}.fb_in1k"), Recipe(epochs=1))
    assert {"head.weight", "head_dist.weight", "dist_token"} <= network.state_dict().keys()
    assert (config.size, config.interpolation) == (224, "bicubic")


def test_wrong_arguments_are_told_in_a_sentence():
    with pytest.raises(UserError, match=r"trained_heads: unknown choice 'dist' \(known: both, class\)"):
        build(trained_heads="dist")
    with pytest.raises(UserError, match=r"model\.arguments\.widths: deit_tiny_.* takes no such argument"):
        build(widths=3)
    with pytest.raises(UserError, match=r"unknown pretrained tag 'fb_in2k', did you mean 'fb_in1k'"):
        registry.build(Model(name=f"{NAME}.fb_in2k"), 5)
