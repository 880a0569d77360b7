"""RetinaNet: its size, its anchors, and what it starts from."""

import math

import pytest
import torch

from florilegium.config.data import Model
from florilegium.core.errors import UserError
from florilegium.models import registry
from florilegium.models.arguments import AnchorSettings
from florilegium.models.resnet import ResNetStages
from florilegium.models.retinanet import anchors_of

CPU = torch.device("cpu")
SLIM = {"blocks": [1, 1, 1, 1], "widths": [8, 8, 16, 16], "pyramid_width": 16, "head_layers": 1}


def slim(n_classes: int = 3, **arguments: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return registry.build(Model(name="retinanet_resnet18", arguments=SLIM | arguments), n_classes)


@pytest.mark.parametrize(
    ("depth", "n_classes", "params"),
    [
        (18, 5, 19_854_225),
        (34, 5, 29_962_385),
        (50, 5, 36_412_817),
        (101, 5, 55_404_945),
        (152, 5, 71_048_593),
        (50, 80, 37_968_692),
    ],
)
def test_it_has_as_many_parameters_as_the_studys(depth: int, n_classes: int, params: int):
    with torch.device("meta"):
        network = registry.build(Model(name=f"retinanet_resnet{depth}"), n_classes)
    assert sum(p.numel() for p in network.parameters()) == params


def test_anchors_are_as_many_and_where_the_studys_are():
    """Of 608 x 1024 pixels: levels of 76 x 128, 38 x 64, 19 x 32, 10 x 16 and 5 x 8 places."""
    anchors = anchors_of(AnchorSettings(), 608, 1024, CPU)
    assert len(anchors) == 9 * (76 * 128 + 38 * 64 + 19 * 32 + 10 * 16 + 5 * 8) == 116_712
    assert anchors[0].tolist() == pytest.approx([-18.6274, -7.3137, 26.6274, 15.3137], abs=1e-4)
    assert len(anchors_of(AnchorSettings(), 640, 832, CPU)) == 99_765
    sides = anchors[:, 2:] - anchors[:, :2]
    assert sides[:9].prod(1).tolist() == pytest.approx([32**2 * s for s in (1, 4 ** (1 / 3), 16 ** (1 / 3))] * 3)
    assert (sides[:9, 1] / sides[:9, 0]).tolist() == pytest.approx([0.5] * 3 + [1.0] * 3 + [2.0] * 3)
    assert sides[-1].prod().item() == pytest.approx(512**2 * 16 ** (1 / 3))


def test_anchors_go_row_by_row_and_level_by_level():
    settings = AnchorSettings(sizes=(8, 16, 32, 64, 128), scales=(1.0,), ratios=(1.0,))
    centres = (lambda a: (a[:, :2] + a[:, 2:]) / 2)(anchors_of(settings, 64, 96, CPU))
    assert centres[:13:4].tolist() == [[4, 4], [36, 4], [68, 4], [4, 12]]
    assert centres[8 * 12].tolist() == [8, 8]
    assert centres[-1].tolist() == [64, 64]


def test_it_answers_for_every_anchor_and_starts_at_the_prior():
    network, images = slim(prior=0.05), torch.randn(2, 3, 64, 96)
    logits, deltas = network(images)
    count = len(network.anchors(images))
    assert (logits.shape, deltas.shape) == ((2, count, 3), (2, count, 4))
    assert logits.sigmoid().unique().tolist() == pytest.approx([0.05])
    assert deltas.unique().tolist() == [0]
    assert registry.build(Model(name="retinanet_resnet18", arguments=SLIM), 5).class_head.answer.bias[
        0
    ].item() == pytest.approx(-math.log(99))


def test_an_answer_belongs_to_the_anchor_at_its_place():
    """With one class, the only bright place of the finest level answers where its anchors are."""
    network = slim(1, anchors={"scales": [1.0], "ratios": [1.0]})
    level = torch.zeros(1, 16, 8, 12)
    level[0, :, 5, 7] = 1
    network.class_head.layers = torch.nn.Identity()
    torch.nn.init.zeros_(network.class_head.answer.weight)
    network.class_head.answer.weight.data[:, :, 1, 1] = 1
    brightest = network.class_head(level)[0, :, 0].argmax()
    x1, y1, x2, y2 = network.anchors(torch.zeros(1, 3, 64, 96))[brightest].tolist()
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == (7.5 * 8, 5.5 * 8)


def test_convolutions_are_drawn_as_the_studys():
    weight = slim(pyramid_width=64).pyramid.layer_blocks[0][0].weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 64)), rel=0.02)


def test_the_sixth_level_comes_from_the_backbone_even_where_widths_are_equal():
    network = slim()
    assert network.backbone.channels[-1] == network.arguments.pyramid_width
    network.pyramid.layer_blocks[2][0].weight.data.zero_()  # P5 is blank, C5 is not
    network.class_head.answer.weight.data.fill_(1.0)
    logits = network(torch.randn(1, 3, 64, 64))[0][0]
    places = 9 * (8 * 8 + 4 * 4 + 2 * 2)
    assert logits[places:].std() > 0


def test_frozen_statistics_do_not_move_and_their_scale_trains():
    network = slim(norm="frozen_bn").train()
    layer = network.backbone.bn1
    network.class_head.answer.weight.data.normal_()
    network(torch.randn(2, 3, 64, 64) + 5)[0].sum().backward()
    assert layer.running_mean.abs().sum() == 0
    assert layer.weight.grad.abs().sum() > 0
    moving = slim(norm="bn").train()
    moving(torch.randn(2, 3, 64, 64) + 5)
    assert moving.backbone.bn1.running_mean.abs().sum() > 0


def test_group_norm_goes_through_pyramid_and_heads():
    network = slim(norm="gn")
    groups = [m for m in network.modules() if isinstance(m, torch.nn.GroupNorm)]
    parts = {name.split(".")[0] for name, m in network.named_modules() if m in groups}
    assert parts == {"backbone", "pyramid", "class_head", "box_head"}
    assert all(m.num_channels // m.num_groups > 1 for m in groups)


def test_a_classifiers_keys_are_the_backbones():
    timm = pytest.importorskip("timm")
    for depth, blocks in ((18, (2, 2, 2, 2)), (50, (3, 4, 6, 3))):
        with torch.device("meta"):
            own = ResNetStages(depth, torch.nn.BatchNorm2d, blocks, (64, 128, 256, 512)).state_dict()
            theirs = timm.create_model(f"resnet{depth}").state_dict()
        assert own.keys() == theirs.keys() - {"fc.weight", "fc.bias"}
        assert all(own[key].shape == theirs[key].shape for key in own)


def test_the_same_features_as_torchvisions():
    from torchvision.models import resnet18
    from torchvision.models._utils import IntermediateLayerGetter

    theirs = resnet18().eval()
    own = ResNetStages(18, torch.nn.BatchNorm2d, None, (64, 128, 256, 512)).eval()
    own.load_state_dict({k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")})
    images = torch.randn(1, 3, 64, 64)
    features = IntermediateLayerGetter(theirs, {f"layer{n}": str(n) for n in (2, 3, 4)})(images)
    assert all(torch.equal(a, b) for a, b in zip(own(images), features.values(), strict=True))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"norms": "gn"}, r"model\.arguments: unknown key 'norms', did you mean 'norm'"),
        ({"norm": "ln"}, r"model\.arguments: norm = ln"),
        ({"prior": 0.0}, r"model\.arguments: prior = 0.0"),
        ({"anchors": {"sizes": [32.0]}}, r"model\.arguments: anchors\.sizes = \[32\.0\]: must be a list of"),
    ],
)
def test_an_argument_that_it_does_not_take_is_named(arguments: dict, sentence: str):
    with pytest.raises(UserError, match=sentence):
        slim(**arguments)


def test_a_depth_that_there_is_not_gets_the_nearest_name():
    with pytest.raises(UserError, match="did you mean 'retinanet_resnet50'"):
        registry.check(Model(name="retinanet_resnet5"), "detection")


def test_a_detector_is_no_classifier_and_the_other_way_round():
    with pytest.raises(UserError, match=r"^model\.name: retinanet_resnet18 is for detection, and the exper"):
        registry.check(Model(name="retinanet_resnet18"))
    with pytest.raises(UserError, match="resnet18 is for classification, and the experiment's task is detec"):
        registry.check(Model(name="resnet18"), "detection")
    with pytest.raises(UserError, match=r"^model\.arguments: unknown key 'width', did you mean 'widths'"):
        registry.check(Model(name="retinanet_resnet18", arguments={"width": 3}), "detection")
