"""The work of a batch on a GPU, counted on torch's meta device, where nothing is computed and nothing takes memory.

Operations of convolutions and of other matrix products are counted apart, since a GPU has another rate for each in
fp32; the numbers that kernels read and write; and the kernels themselves, since each takes the host a while to launch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.models import registry
from florilegium.models.freeze import freeze, train_mode

# Operations that describe memory and launch nothing.
WITHOUT_KERNEL = {"_unsafe_view", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
CONVOLUTIONS = {"convolution", "_convolution", "convolution_backward"}
COUNTED = 32  # images; a batch of one can be laid out in memory in a way of its own


@dataclass(frozen=True)
class Kernels:
    """The work of one batch: operations (a multiply-accumulate is two), numbers read and written, kernels."""

    convolutions: float = 0.0
    products: float = 0.0
    numbers: float = 0.0
    launches: int = 0

    @property
    def operations(self) -> float:
        return self.convolutions + self.products


@dataclass(frozen=True)
class Network:
    """A network and the shape of its images; `model` is JSON, so that networks are counted once."""

    model: str
    classes: int
    height: int
    width: int
    frozen: tuple[str, ...] = ()
    frozen_blocks: int = 0
    part: Literal["whole", "generator", "head"] = "whole"
    """`generator`: the half of an ACGAN that draws; `head`: one on cached features, which counts as no work."""


def kernels_of(network: Network, batch: int, *, trains: bool) -> Kernels:
    """The work of passing `batch` images: forward alone, or forward and backward in training.

    Frozen parts have a backward pass only as far as others need it. A network is counted once, for `COUNTED` images:
    operations and numbers grow with the batch (but for the weights, which are few), kernels do not.

    Raises:
        UserError: a network that cannot be built, or frozen, as the experiment says.
    """
    if network.part == "head":
        return Kernels()
    counted, times = _counted(network, trains), batch / COUNTED
    return Kernels(counted.convolutions * times, counted.products * times, counted.numbers * times, counted.launches)


@cache
def _counted(network: Network, trains: bool) -> Kernels:
    built = build(network.model, network.classes, network.frozen, network.frozen_blocks)
    inputs = _inputs(built, network)
    if network.part == "generator":
        built, inputs = built.get_submodule("generator"), inputs[1:]
    if trains:
        train_mode(built)
    else:
        built.eval()
    with torch.set_grad_enabled(trains), _FusedAttention(), _Counter() as counter:
        outputs = built(*inputs)
        if trains:
            answers = [answer for answer in tree_leaves(outputs) if answer.requires_grad]
            torch.autograd.backward(answers, [torch.empty_like(answer) for answer in answers])
            built.zero_grad()
    return Kernels(counter.convolutions, counter.products, counter.numbers, counter.launches)


@lru_cache(maxsize=4)  # the passes of one network come one after the other
def build(model: str, classes: int, frozen: tuple[str, ...], frozen_blocks: int) -> nn.Module:
    """The network on the meta device, frozen as the recipe says."""
    recipe = Recipe(epochs=1, freeze=frozen, freeze_blocks=frozen_blocks)
    with torch.device("meta"):
        network = registry.build(Model.model_validate_json(model), classes)
    freeze(network, recipe)
    return network


def _inputs(built: nn.Module, network: Network) -> tuple[Tensor, ...]:
    image = torch.empty(COUNTED, 3, network.height, network.width, device="meta")
    example: Callable[[Tensor], tuple[Tensor, ...]] | None = getattr(built, "example", None)
    if example is None:
        return (image,)
    return tuple(given.expand(COUNTED, *given.shape[1:]) for given in example(image))


class _Counter(TorchDispatchMode):
    """Adds up the work of every operation that reaches a device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own
        self.convolutions, self.products, self.numbers, self.launches = 0.0, 0.0, 0.0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        packet = func.overloadpacket
        if func.is_view or packet.__name__ in WITHOUT_KERNEL:
            return out
        self.launches += 1
        tensors = (leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor))
        self.numbers += sum(tensor.numel() for tensor in tensors)
        if packet in flop_registry:
            operations = flop_registry[packet](*args, **kwargs, out_val=out)
            if packet.__name__ in CONVOLUTIONS:
                self.convolutions += operations
            else:
                self.products += operations
        return out


class _FusedAttention(TorchFunctionMode):
    """Attention as a GPU has it, one kernel that never writes its matrix; the meta device would take it apart."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        mask = kwargs.get("attn_mask", args[3] if len(args) > 3 else None)
        fused = torch.ops.aten._scaled_dot_product_efficient_attention
        return fused(*args[:3], mask, torch.is_grad_enabled())[0]
