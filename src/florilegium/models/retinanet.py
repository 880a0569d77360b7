"""RetinaNet (Lin et al. 2017): its network, its anchors, and the targets of anchors that match boxes."""

import math
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import Conv2dNormActivation, FeaturePyramidNetwork, box_iou
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from florilegium.config.data import Model
from florilegium.data.augment import InputConfig
from florilegium.models.arguments import (
    RETINANETS,
    AnchorSettings,
    RetinaNetArguments,
    refuse_rates,
    retinanet_arguments,
)
from florilegium.models.resnet import Norm, ResNetStages

if TYPE_CHECKING:
    from florilegium.models.backbone import TimmStages

STRIDES = (8, 16, 32, 64, 128)  # of the levels P3 to P7
BACKGROUND, IGNORED = -1, -2  # labels of anchors without a class
POSITIVE_IOU, NEGATIVE_IOU = 0.5, 0.4
SCALE = (0.1, 0.1, 0.2, 0.2)
LARGEST = math.log(1000 / 16)  # of a predicted growth, so that no side becomes infinite


def build(model: Model, n_classes: int, *, drop_path: float, dropout: float) -> nn.Module:
    """The network with random weights; raises `UserError` for arguments that it does not take."""
    refuse_rates(model, drop_path=drop_path, dropout=dropout)
    return RetinaNet(RETINANETS[model.name], n_classes, retinanet_arguments(model))


def own_input(model: Model) -> tuple[InputConfig, bool]:
    """ImageNet's mean and deviation, or those of the backbone of timm; the size is nominal, since a detector takes
    images of any size."""
    config = InputConfig(608, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bilinear")
    backbone = retinanet_arguments(model).backbone
    if backbone is None:
        return config, False
    from florilegium.models import timm_classifier  # three seconds that residual networks need not spend

    theirs, _ = timm_classifier.own_input(Model(name=backbone))
    return replace(config, mean=theirs.mean, std=theirs.std), False


class RetinaNet(nn.Module):
    """Images (B, 3, H, W) to class logits and deltas of each anchor; H and W are multiples of 32."""

    def __init__(self, depth: int, n_classes: int, arguments: RetinaNetArguments) -> None:
        """`depth` is that of the residual network, if the arguments name no backbone."""
        super().__init__()
        self.arguments, self.n_classes = arguments, n_classes
        norm = NORMS[arguments.norm]
        everywhere = norm if arguments.norm == "gn" else None
        width, per_cell = arguments.pyramid_width, arguments.anchors.per_cell
        self.backbone = _backbone(depth, arguments)
        last = LastLevelP6P7(self.backbone.channels[-1], width)
        last.use_P5 = False
        self.pyramid = FeaturePyramidNetwork(self.backbone.channels, width, last, norm_layer=everywhere)
        self.class_head = Head(width, arguments.head_layers, per_cell, n_classes, everywhere)
        self.box_head = Head(width, arguments.head_layers, per_cell, 4, everywhere)
        self.reset()

    def reset(self) -> None:
        """Initialise the weights as the study did, and every anchor's probability to the prior. A backbone of timm
        keeps its own initial weights."""
        kept = {*self.backbone.modules()} if self.arguments.backbone else set()
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module not in kept:
                outputs = module.out_channels * math.prod(module.kernel_size)
                nn.init.normal_(module.weight, std=math.sqrt(2 / outputs))
        prior = self.arguments.prior
        for head, bias in ((self.class_head, -math.log((1 - prior) / prior)), (self.box_head, 0.0)):
            nn.init.zeros_(head.answer.weight)
            nn.init.constant_(head.answer.get_parameter("bias"), bias)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (B, A, C) and deltas (B, A, 4), in the order of `anchors`."""
        maps = self.backbone(images)
        levels = self.pyramid(OrderedDict(zip("345", maps, strict=True))).values()
        logits, deltas = ([head(level) for level in levels] for head in (self.class_head, self.box_head))
        return torch.cat(logits, dim=1), torch.cat(deltas, dim=1)

    def anchors(self, images: Tensor) -> Tensor:
        """The anchors (A, 4) of images of that shape, on their device."""
        return anchors_of(self.arguments.anchors, *images.shape[-2:], images.device)


def _backbone(depth: int, arguments: RetinaNetArguments) -> "ResNetStages | TimmStages":
    if arguments.backbone is None:
        return ResNetStages(depth, NORMS[arguments.norm], arguments.blocks, arguments.widths, arguments.stem)
    from florilegium.models.backbone import TimmStages

    instead = group_norm if arguments.norm == "gn" else None
    frozen = arguments.norm == "frozen_bn"
    return TimmStages(arguments.backbone, arguments.backbone_arguments, frozen=frozen, instead=instead)


class Head(nn.Module):
    """Maps (B, F, H, W) to predictions (B, H W K, n) for K anchors per cell; all levels share it."""

    def __init__(self, width: int, layers: int, per_cell: int, n: int, norm: Norm | None) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(Conv2dNormActivation(width, width, 3, norm_layer=norm) for _ in range(layers)))
        self.answer = nn.Conv2d(width, per_cell * n, 3, padding=1)
        self.n = n

    def forward(self, level: Tensor) -> Tensor:
        answers = self.answer(self.layers(level))  # (B, K n, H, W)
        return answers.permute(0, 2, 3, 1).reshape(len(level), -1, self.n)


class FrozenBatchNorm(nn.Module):
    """Batch normalisation by the loaded statistics, which never change, while scale and shift train.

    As in the study. torchvision's layer of that name does not train scale and shift. It is no `BatchNorm2d`, so
    that nothing synchronises or resets it.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation (Wu & He 2018) of 32 groups, or of fewer where one would be a single channel."""
    return nn.GroupNorm(math.gcd(32, channels // 2) if channels % 2 == 0 else 1, channels)


NORMS: dict[str, Norm] = {"frozen_bn": FrozenBatchNorm, "bn": nn.BatchNorm2d, "gn": group_norm}

# Anchors


@lru_cache(maxsize=64)
def anchors_of(settings: AnchorSettings, height: int, width: int, device: torch.device) -> Tensor:
    """All anchors of an image of that many pixels, (A, 4) float32 as x1, y1, x2, y2.

    Ordered by level, then row, then column, then ratio. The tensor of a shape and a device is cached and
    shared: do not change it in place.
    """
    scales, ratios = (torch.tensor(values, dtype=torch.float64) for values in (settings.scales, settings.ratios))
    roots = ratios.sqrt()[:, None]
    levels = []
    for stride, size in zip(STRIDES, settings.sizes, strict=True):
        sides = size * scales  # equal areas for all ratios of a scale
        shapes = torch.stack([(sides / roots).flatten(), (sides * roots).flatten()], dim=1)  # (K, 2) as width, height
        x, y = (torch.arange(-(-side // stride)) + 0.5 for side in (width, height))
        centres = torch.cartesian_prod(y, x).flip(1) * stride  # (H W, 2) as x, y
        corners = torch.cat([centres[:, None] - shapes / 2, centres[:, None] + shapes / 2], dim=2)
        levels.append(corners.reshape(-1, 4))  # (H W K, 4)
    return torch.cat(levels).to(device, torch.float32)


# Targets of anchors


@dataclass(frozen=True)
class Matched:
    """The targets of each anchor of each image."""

    labels: Tensor
    """(B, A) int64: a class, `BACKGROUND`, or `IGNORED` for an anchor without loss."""
    deltas: Tensor
    """(B, A, 4): the encoded box of the object that overlaps most; it counts where the label is a class."""

    @property
    def positive(self) -> Tensor:
        return self.labels >= 0

    def __getitem__(self, part: slice) -> "Matched":
        return Matched(self.labels[part], self.deltas[part])


@torch.no_grad()
def match(boxes: Tensor, labels: Tensor, anchors: Tensor, *, low_quality: bool) -> Matched:
    """Match anchors (A, 4) to boxes (B, G, 4) of classes (B, G), padded with rows of zeros.

    An anchor is positive for the object that it overlaps most from an IoU of 0.5 on, background below 0.4, and
    ignored between. With `low_quality`, the anchors that overlap an object most are positive however small
    their IoU (torchvision's rule); as published, such objects are never learned.
    """
    if boxes.shape[1] == 0:
        boxes, labels = boxes.new_zeros(len(boxes), 1, 4), labels.new_zeros(len(labels), 1)
    iou = pairwise_iou(boxes, anchors)  # (B, G, A)
    best, which = iou.max(dim=1)  # (B, A)
    positive = best >= POSITIVE_IOU
    if low_quality:
        highest = iou.amax(dim=2, keepdim=True)  # (B, G, 1)
        positive |= ((iou == highest) & (highest > 0)).any(dim=1)
    targets = torch.where(best < NEGATIVE_IOU, BACKGROUND, IGNORED)
    targets = torch.where(positive, labels.gather(1, which), targets)
    objects = boxes.gather(1, which[..., None].expand(-1, -1, 4))  # (B, A, 4)
    return Matched(targets, encode(objects, anchors))


def pairwise_iou(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Intersection over union of boxes (B, G, 4) with anchors (A, 4): (B, G, A).

    A box without area, such as padding, has 0 with every anchor. So has an inverted one, on which the study trained.
    """
    iou = box_iou(boxes.flatten(0, 1), anchors).unflatten(0, boxes.shape[:2])
    return iou.nan_to_num_(0.0)  # 0 / 0 where the negative area of an inverted box cancels the anchor's


# Boxes as deltas of anchors


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """The deltas (..., A, 4) that a detector should predict at anchors (A, 4) for their objects, boxes (..., A, 4).

    Shifts of the centre in units of the anchor's sides, and logarithms of the sides' ratios, divided by
    0.1 and 0.2. A side counts as one pixel at least.
    """
    corner, side = boxes[..., :2], boxes[..., 2:] - boxes[..., :2]
    centre = corner + side / 2  # with negative sides as they are, as in the study's code
    own_side = anchors[:, 2:] - anchors[:, :2]
    shift = (centre - (anchors[:, :2] + own_side / 2)) / own_side
    growth = (side.clamp(min=1) / own_side).log()
    return torch.cat([shift, growth], dim=-1) / boxes.new_tensor(SCALE)


def decode(deltas: Tensor, anchors: Tensor) -> Tensor:
    """Boxes (..., 4) from deltas (..., 4) at anchors (..., 4); the inverse of `encode`."""
    deltas = deltas * deltas.new_tensor(SCALE)
    own_side = anchors[..., 2:] - anchors[..., :2]
    centre = anchors[..., :2] + own_side / 2 + deltas[..., :2] * own_side
    half = own_side * deltas[..., 2:].clamp(max=LARGEST).exp() / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def clip(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Boxes (N, 4) cut off at their images' borders; sizes (N, 2) are heights and widths."""
    limit = sizes.flip(1).repeat(1, 2).to(boxes.dtype)  # (N, 4) as w, h, w, h
    return torch.minimum(boxes.clamp(min=0), limit)
