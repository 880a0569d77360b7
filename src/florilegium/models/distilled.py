"""DeiT with two heads: one reads the class token, the other the distillation token.

Touvron et al. 2021, "Training data-efficient image transformers & distillation through attention". In
evaluation timm averages the logits of both, so both have to be trained: study 2 trained one, and its
score is that of an average with a head of random weights.
"""

from typing import Any

from timm.models.deit import VisionTransformerDistilled
from torch import Tensor, nn

from florilegium.config.data import Model
from florilegium.core.errors import unknown
from florilegium.data.augment import InputConfig
from florilegium.models import timm_classifier

HEADS = ("both", "class")


def build(model: Model, n_classes: int, *, drop_path: float, dropout: float) -> nn.Module:
    """timm's network with random weights; `model.arguments.trained_heads` sets its output in training.

    `both`, the default: a tuple of two (B, n_classes), of the class head and of the distillation head;
    `class`: the class head's logits alone; the other head keeps its initial weights.
    """
    arguments = dict(model.arguments)
    heads = arguments.pop("trained_heads", "both")
    if heads not in HEADS:
        raise unknown("choice", heads, HEADS, "model.arguments.trained_heads")
    plain = model.model_copy(update={"arguments": arguments})
    network = timm_classifier.build(plain, n_classes, drop_path=drop_path, dropout=dropout)
    assert isinstance(network, VisionTransformerDistilled)
    network.set_distilled_training(True)
    if heads == "class":
        network.head_dist.requires_grad_(False)
        network.register_forward_hook(_class_logits)
    return network


def own_input(model: Model) -> tuple[InputConfig, bool]:
    return timm_classifier.own_input(model)


def _class_logits(network: nn.Module, images: Any, logits: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    return logits[0] if isinstance(logits, tuple) else logits
