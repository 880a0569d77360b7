"""Attention over nodes: what its numbers say of hand-made weights, of static heads and of others."""

import math

import numpy as np
import pytest
import torch

from florilegium.config.data import Model
from florilegium.config.products import Attention
from florilegium.config.recipes import Recipe
from florilegium.core.errors import UserError
from florilegium.explanation.attention import measure_nodes, survey_nodes
from florilegium.explanation.records import NodeRecord
from florilegium.models import registry
from florilegium.models.checks import check_attention
from florilegium.models.trained import Trained

EVEN = torch.full((4, 4), 0.25)
FIRST = torch.tensor([1.0, 0, 0, 0]).repeat(4, 1)  # all nodes look at the first
SELF = torch.eye(4)
TINY = {"widths": [4, 4, 8, 8], "blocks": [1, 1, 1, 1], "heads": 2}


def numbers(*images: torch.Tensor) -> dict[str, float]:
    """The row of one head, of an image's weights each."""
    (row,) = measure_nodes(torch.stack(images)[:, None].double()).to_dict("records")
    return row


def test_uniform_attention_has_all_entropy_and_never_moves():
    row = numbers(EVEN, EVEN)
    assert row["entropy"] == pytest.approx(math.log(4)) and row["entropy_share"] == pytest.approx(1)
    assert row["diagonal"] == row["diagonal_uniform"] == 0.25
    assert row["between_queries"] == row["between_images"] == 0


def test_what_moves_with_the_node_is_told_from_what_moves_with_the_image():
    """From the mean of four one-hot rows each is three quarters away; of two, half."""
    asked = numbers(SELF, SELF)
    assert (asked["between_queries"], asked["between_images"], asked["same_first"]) == (0.75, 0, 0)
    last = FIRST.flip(1)
    seen = numbers(FIRST, last)
    assert (seen["between_queries"], seen["between_images"], seen["same_first"]) == (0, 0.5, 1)
    assert seen["entropy"] == 0 and seen["n_images"] == 2


def pictures(count: int) -> dict[str, np.ndarray]:
    found = np.random.default_rng(0).integers(0, 255, (count, 32, 32, 3), dtype=np.uint8)
    return {f"{i}.png": picture for i, picture in enumerate(found)}


def look(kind: str, activation: str = "leaky_relu") -> NodeRecord:
    model = Model(name="cifar_resnet18_attention", arguments={**TINY, "attention": kind, "activation": activation})
    torch.manual_seed(0)
    network = registry.build(model, 3)
    for parameter in network.head.parameters():  # as after a training, so that scores are apart
        parameter.data.mul_(8)
    config = registry.input_config(model, Recipe(epochs=1))
    many = pictures(40)
    shown, device = dict([*many.items()][:3]), torch.device("cpu")
    return survey_nodes(Trained(network, (), config, 32), measured=many, shown=shown, device=device)


def test_the_first_graph_attention_is_static_and_its_second_form_is_not():
    """Brody et al. 2022: under an activation that rises, k_i shifts a row's scores and never their order."""
    assert (look("graph").table["same_first"] == 1).all()
    assert (look("gatv2").table["same_first"] < 1).all()
    assert (look("classical").table["same_first"] < 1).all()


def test_maps_are_of_the_shown_images_and_rows_sum_to_one():
    found = look("graph", "gelu")
    assert found.maps.shape == (3, 2, 4, 4) and found.mean.shape == (2, 4, 4)
    np.testing.assert_allclose(found.maps.astype(float).sum(-1), 1, atol=5e-3)
    assert found.images.shape == (3, 32, 32, 3) and list(found.names) == ["0.png", "1.png", "2.png"]
    assert list(found.table["head"]) == [0, 1] and set(found.table["n_images"]) == {40}


def test_a_network_without_nodes_is_told_in_a_sentence():
    model = Model(name="cifar_resnet18", arguments={"widths": [4, 4, 8, 8], "blocks": [1, 1, 1, 1]})
    config = registry.input_config(model, Recipe(epochs=1))
    with pytest.raises(UserError, match="CifarResNet has no head of attention over nodes"):
        survey_nodes(
            Trained(registry.build(model, 3), (), config, 32),
            measured=pictures(1),
            shown=pictures(1),
            device=torch.device("cpu"),
        )


@pytest.mark.parametrize(
    ("name", "of", "other"),
    [("cifar_resnet18_attention", "tokens", "nodes"), ("vit_base_patch16_224", "nodes", "tokens")],
)
def test_the_wrong_kind_of_attention_is_told_before_anything_runs(name: str, of: str, other: str):
    with pytest.raises(UserError, match=f"^attention.of = {of}: {name} has no .* set it to {other}"):
        check_attention(Model(name=name), Attention(of=of))
    check_attention(Model(name=name), Attention(of=other))
    check_attention(Model(name=name), None)
