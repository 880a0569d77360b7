"""ResNets for 32-pixel images, and heads that attend over their last map: sizes, equations, weights."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.core.errors import UserError
from florilegium.models import registry
from florilegium.models.arguments import AttentionArguments
from florilegium.models.freeze import freeze, train_mode
from florilegium.models.graph_attention import KINDS, ClassicalAttention, GraphAttention, GraphAttention2
from florilegium.models.weights import load_into, save

SLIM = {"blocks": [1, 1, 1, 1], "widths": [8, 8, 16, 16]}


def count(part: nn.Module) -> int:
    return sum(p.numel() for p in part.parameters())


def built(name: str, **arguments: object) -> nn.Module:
    return registry.build(Model(name=name, arguments=arguments), 10)


def head(**arguments: object) -> nn.Module:
    """A slim network with a head, without dropout."""
    torch.manual_seed(0)
    return built("cifar_resnet18_attention", **SLIM, heads=4, dropout=0.0, **arguments)


@pytest.mark.parametrize(("name", "params"), [("cifar_resnet18", 11_173_962), ("cifar_resnet34", 21_282_122)])
def test_a_network_has_the_study_s_parameters(name, params):
    with torch.device("meta"):
        assert count(built(name)) == params


@pytest.mark.parametrize(
    ("attention", "added", "attending"), [("graph", 1_632_858, 33_872), ("classical", 2_157_130, 558_144)]
)
def test_a_head_adds_the_study_s_parameters(attention, added, attending):
    with torch.device("meta"):
        network = built("cifar_resnet18_attention", attention=attention)
    assert count(network.head) == added
    assert count(network.head.encoder.attn) == attending
    assert count(network) - added == 11_173_962 - 5_130  # the plain network without its last layer


def test_nothing_shrinks_the_image_before_the_stages():
    network = built("cifar_resnet18", **SLIM).eval()
    seen = []
    network.layer1.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert network.last_map(torch.zeros(2, 3, 32, 32)).shape == (2, 16, 4, 4)
    assert seen[0] == (2, 8, 32, 32)


def test_the_stages_compute_what_torchvision_s_do():
    theirs = resnet18(num_classes=10).eval()
    theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    ours = built("cifar_resnet18").eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))


def test_imagenet_weights_fit_but_for_the_first_and_the_last_layer(tmp_path):
    theirs = resnet18(num_classes=1000)
    save(theirs.state_dict(), tmp_path / "imagenet.safetensors")
    ours = built("cifar_resnet18")
    allowed = ["conv1.weight", "fc.*"]
    load_into(ours, tmp_path / "imagenet.safetensors", allow_missing=allowed, allow_unexpected=allowed)
    assert torch.equal(ours.layer4[1].conv2.weight, theirs.layer4[1].conv2.weight)
    with pytest.raises(UserError, match=r"conv1\.weight \(shape .* in place of"):
        load_into(ours, tmp_path / "imagenet.safetensors")


def test_a_head_goes_on_a_trained_network_that_stays_as_it_is(tmp_path):
    plain, network = built("cifar_resnet18", **SLIM), head()
    save(plain.state_dict(), tmp_path / "plain.safetensors")
    load_into(network, tmp_path / "plain.safetensors", allow_missing=["head.*"], allow_unexpected=["fc.*"])
    freeze(network, Recipe(epochs=1, freeze_blocks=4))
    names = {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad}
    assert names == {"head"}
    train_mode(network)
    before = network.layer4[0].bn1.running_mean.clone()
    network(torch.randn(4, 3, 32, 32)).sum().backward()
    assert torch.equal(network.layer4[0].bn1.running_mean, before)


def attention(kind: str, activation: str = "leaky_relu", extra: bool = False):
    """Two heads over nodes of four features, so that values have two."""
    torch.manual_seed(0)
    arguments = AttentionArguments(
        attention=kind, activation=activation, extra_activations=extra, heads=2, dropout=0.0, widths=(4, 4, 4, 4)
    )
    return KINDS[kind](4, arguments)


def set_to(layer: nn.Linear, weight: list[list[float]], bias: list[float]) -> None:
    layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor(bias)


def test_graph_attention_by_hand():
    """Two nodes: v_1 = (1, 2), v_2 = (3, -1). Head 1: q = v's first, k = v's second feature. Head 2: q = 0,
    k = -10, so that all scores are the same."""
    layer = attention("graph")
    assert isinstance(layer, GraphAttention)
    set_to(layer.value, [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]], [0.0, 0.0])
    set_to(layer.query, [[1.0, 0.0], [0.0, 0.0]], [0.0, 0.0])
    set_to(layer.key, [[0.0, 1.0], [0.0, 0.0]], [0.0, -10.0])
    nodes = torch.tensor([[[1.0, 2.0, 9.0, 9.0], [3.0, -1.0, 9.0, 9.0]]])
    # Scores of head 1: q_j + k_i = (3, 5) for node 1, and (0, 2) for node 2.
    to_second = 1 / (1 + math.exp(-2))
    weights = layer.weights(nodes)[0]
    torch.testing.assert_close(weights[0], torch.tensor([[1 - to_second, to_second]] * 2))
    torch.testing.assert_close(weights[1], torch.full((2, 2), 0.5))
    gathered = [1 + 2 * to_second, 2 - 3 * to_second]
    expected = torch.tensor([[*gathered, 2.0, 0.5]] * 2)
    torch.testing.assert_close(layer(nodes)[0], expected)


@pytest.mark.parametrize(("activation", "bent"), [("leaky_relu", F.leaky_relu), ("gelu", F.gelu)])
def test_the_activation_bends_the_sum_of_query_and_key(activation, bent):
    layer = attention("graph", activation)
    nodes = torch.randn(1, 3, 4)
    values = layer.value(nodes)[0]
    q, k = layer.query(values), layer.key(values)
    for head_number in range(2):
        for i in range(3):
            scores = torch.stack([bent(q[j, head_number] + k[i, head_number]) for j in range(3)])
            torch.testing.assert_close(layer.weights(nodes)[0, head_number, i], scores.softmax(0))


def test_where_the_activation_is_straight_all_nodes_attend_alike_but_in_gatv2_not():
    """The point of Brody et al. 2022: the published form is static wherever it does not bend."""
    nodes = torch.randn(1, 4, 4)
    published, dynamic = attention("graph"), attention("gatv2")
    published.key.bias.data += 100  # every sum is above nought
    rows = published.weights(nodes)[0]
    torch.testing.assert_close(rows, rows[:, :1].expand_as(rows))
    rows = dynamic.weights(nodes)[0]
    assert not torch.allclose(rows, rows[:, :1].expand_as(rows))


def test_classical_attention_is_the_scaled_product_with_shared_values():
    layer = attention("classical")
    assert isinstance(layer, ClassicalAttention)
    nodes = torch.randn(2, 3, 4)
    q, k = (part(nodes).view(2, 3, 2, 2).transpose(1, 2) for part in (layer.query, layer.key))
    v = layer.value(nodes)[:, None].expand(2, 2, 3, 2)
    expected = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(layer(nodes), expected)


def test_the_code_of_the_study_bends_the_values_of_classical_attention():
    plain, coded = attention("classical", "gelu"), attention("classical", "gelu", extra=True)
    nodes = torch.randn(1, 3, 4)
    torch.testing.assert_close(coded.values(nodes), F.gelu(plain.values(nodes)))
    torch.testing.assert_close(coded.weights(nodes), plain.weights(nodes))


def test_gatv2_by_hand():
    """One head's vector picks the first feature of act(left_i + right_j)."""
    layer = attention("gatv2")
    assert isinstance(layer, GraphAttention2)
    nodes = torch.randn(1, 3, 4)
    layer.score.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    values = layer.value(nodes)[0]
    left, right = layer.left(values), layer.right(values)  # (3, 4): two features a head
    for i in range(3):
        scores = torch.stack([F.leaky_relu(left[i, 2 + 1] + right[j, 2 + 1]) for j in range(3)])
        torch.testing.assert_close(layer.weights(nodes)[0, 1, i], scores.softmax(0))


def test_an_encoder_adds_attention_and_then_an_mlp_to_what_it_is_given():
    encoder = head(attention="graph").head.encoder
    nodes = torch.randn(2, 4, 16)
    first = nodes + encoder.attn(encoder.norm1(nodes))
    inner = encoder.mlp[3](F.leaky_relu(encoder.mlp[0](encoder.norm2(first))))
    torch.testing.assert_close(encoder(nodes), first + inner)
    coded = head(attention="graph", activation="gelu", extra_activations=True).head.encoder
    first = nodes + coded.attn(coded.norm1(nodes))
    inner = F.gelu(coded.mlp[3](F.gelu(coded.mlp[0](coded.norm2(first)))))
    torch.testing.assert_close(coded(nodes), first + inner)


@pytest.mark.parametrize("kind", ["graph", "classical", "gatv2"])
def test_the_attention_over_the_four_quarters_can_be_drawn(kind):
    network = head(attention=kind).eval()
    images = torch.randn(2, 3, 32, 32)
    weights = network.node_attention(images)
    assert weights.shape == (2, 4, 4, 4)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 4))
    assert network(images).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("cifar_resnet18", {"width": [1, 1, 1, 1]}, "unknown key 'width', did you mean 'widths'"),
        ("cifar_resnet18", {"attention": "graph"}, "unknown key 'attention'"),
        ("cifar_resnet18_attention", {"attention": "gat"}, r"attention = gat"),
        ("cifar_resnet18_attention", {"heads": 7}, "heads = 7 does not divide the 512 channels"),
        ("cifar_resnet18_attention", {"img_size": 40}, "img_size = 40: must be a multiple of 16"),
        ("cifar_resnet18.a1_in1k", {}, "did you mean 'cifar_resnet18'"),
    ],
)
def test_a_wrong_argument_is_named_before_anything_runs(name, arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        registry.check(Model(name=name, arguments=arguments))
