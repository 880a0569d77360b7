"""Any network of timm that offers maps of features, as the backbone of a detector."""

from collections.abc import Callable, Mapping
from typing import Any

import timm
import torch
from timm.layers import Format
from torch import Tensor, nn

from florilegium.config.data import Model
from florilegium.core.errors import UserError
from florilegium.models.timm_classifier import RESERVED, adapted
from florilegium.models.weights import State

STRIDES = (8, 16, 32)  # of the maps that a pyramid stands on
WHERE = "model.arguments.backbone"


class TimmStages(nn.Module):
    """Images (B, 3, H, W) to the maps of strides 8, 16 and 32, the last of each; `channels` are theirs."""

    def __init__(
        self, name: str, arguments: Mapping[str, Any], *, frozen: bool, instead: Callable[[int], nn.Module] | None
    ) -> None:
        """Raises `UserError` for a network without such maps, or for arguments that it does not take.

        Args:
            frozen: the statistics of batch normalisation stay as they are loaded, while scale and shift train.
            instead: makes a norm in place of each batch normalisation. Networks with other norms keep them.
        """
        super().__init__()
        self.model, self.frozen = Model(name=name, arguments=dict(arguments)), frozen
        self.maps, self.channels = _with_maps(name, arguments)
        self.channels_last = getattr(self.maps, "output_fmt", None) == Format.NHWC
        if instead is not None:
            _replace_batch_norm(self.maps, instead)

    def forward(self, images: Tensor) -> list[Tensor]:
        return [x.permute(0, 3, 1, 2) if self.channels_last else x for x in self.maps(images)]

    def train(self, mode: bool = True) -> "TimmStages":
        super().train(mode)
        for module in self.modules():
            if self.frozen and isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def of_classifier(self, found: State) -> State:
        """The part of a classifier's weights that belongs here, under the names of this module; all entries where timm
        does not take them for the classifier, such as those of a deeper one."""
        # timm joins the names of a stage and its number by an underscore where it offers maps.
        names = {_plain(key.removeprefix("maps.").removeprefix("model.")): key for key in self.state_dict()}
        taken = adapted(self.model, found)
        if taken is found:
            return {names.get(_plain(key), key): value for key, value in found.items()}
        return {names[_plain(key)]: value for key, value in taken.items() if _plain(key) in names}


def _plain(key: str) -> str:
    return key.replace(".", "_")


def _with_maps(name: str, arguments: Mapping[str, Any]) -> tuple[nn.Module, list[int]]:
    """The network, and the channels of its maps."""
    for key in arguments.keys() & {*RESERVED, "features_only", "out_indices"}:
        raise UserError(f"model.arguments.backbone_arguments.{key}: is set by the detector; take it out")

    def build(**chosen: Any) -> Any:
        return timm.create_model(name, pretrained=False, features_only=True, **arguments, **chosen)

    try:
        with torch.device("meta"):
            info = build().feature_info
    except Exception as error:  # whatever a constructor raises
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(f"{WHERE}: {name} gives no maps of features ({reason}); take another network") from error
    last = dict(zip(info.reduction(), info.out_indices, strict=True))
    if missing := [stride for stride in STRIDES if stride not in last]:
        raise UserError(
            f"{WHERE}: {name} has no map of stride {missing[0]} (of {', '.join(map(str, last))} alone), and a pyramid "
            "stands on 8, 16 and 32; take another network"
        )
    network = build(out_indices=tuple(last[stride] for stride in STRIDES))
    return network, network.feature_info.channels()


def _replace_batch_norm(network: nn.Module, norm: Callable[[int], nn.Module]) -> None:
    """Put `norm` in the place of every batch normalisation; the activation that timm's own layers hold stays."""
    for module in [*network.modules()]:
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                rest = [getattr(child, part) for part in ("drop", "act") if hasattr(child, part)]
                new = norm(child.num_features)
                setattr(module, name, nn.Sequential(new, *rest) if rest else new)
