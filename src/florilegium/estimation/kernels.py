"""What a batch asks of a GPU, counted on torch's meta device, where nothing is computed and nothing takes memory.

Operations of convolutions and of other matrix products are counted apart, since a GPU has another rate for each in
fp32; the numbers that kernels read and write; and the kernels themselves, since each takes the host a while to launch.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

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

# They say where numbers lie, and launch nothing.
WITHOUT_KERNEL = {"_unsafe_view", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
CONVOLUTIONS = {"convolution", "_convolution", "convolution_backward"}
COUNTED = 32  # images; a batch of one can be laid out in memory in a way of its own


@dataclass(frozen=True)
class Kernels:
    """What one batch takes: operations (a multiply-accumulate is two), numbers read and written, kernels."""

    convolutions: float = 0.0
    products: float = 0.0
    numbers: float = 0.0
    launches: int = 0

    @property
    def operations(self) -> float:
        return self.convolutions + self.products


@dataclass(frozen=True)
class Network:
    """A network and the shape of its images; `model` is JSON, so that networks are counted once.

    Attributes:
        part: `generator`: the half of an ACGAN that draws; `head`: one that learns from cached features, which is
            nothing beside the step around it.
    """

    model: str
    classes: int
    height: int
    width: int
    frozen: tuple[str, ...] = ()
    frozen_blocks: int = 0
    part: str = "whole"


def kernels_of(network: Network, batch: int, *, trains: bool) -> Kernels:
    """What the passes of `batch` images take: forward alone, or forward and backward in training.

    Frozen parts have no backward pass but what others need of them. A network is counted once, for `COUNTED` images:
    operations and numbers grow with the batch (but for the weights, which weigh little), kernels do not.

    Raises:
        UserError: a network that cannot be built, or frozen, as the experiment says.
    """
    if network.part == "head":
        return Kernels()
    found, times = _passes_of(network, trains), batch / COUNTED
    return Kernels(found.convolutions * times, found.products * times, found.numbers * times, found.launches)


@cache
def _passes_of(network: Network, trains: bool) -> Kernels:
    built = build(network.model, network.classes, network.frozen, network.frozen_blocks)
    inputs = _inputs(built, network)
    if network.part == "generator":
        built, inputs = built.generator, inputs[1:]
    if trains:
        train_mode(built)
        return _counted(lambda: _learn(built, inputs))
    built.eval()
    with torch.no_grad():
        return _counted(lambda: built(*inputs))


@lru_cache(maxsize=4)  # the passes of one network are asked for one after the other
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


def _learn(network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    answers = [answer for answer in tree_leaves(network(*inputs)) if answer.requires_grad]
    torch.autograd.backward(answers, [torch.empty_like(answer) for answer in answers])
    network.zero_grad()


def _counted(run: Callable[[], Any]) -> Kernels:
    with _fused_attention(), _Counter() as counter:
        run()
    return Kernels(counter.convolutions, counter.products, counter.numbers, counter.launches)


class _Counter(TorchDispatchMode):
    """Adds up what every operation takes that reaches a device."""

    def __init__(self) -> None:
        super().__init__()
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


@contextmanager
def _fused_attention() -> Iterator[None]:
    """Attention as a GPU has it, one kernel that never writes its matrix; the meta device would take it apart."""
    with _FusedAttention():
        yield


class _FusedAttention(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        mask = kwargs.get("attn_mask", args[3] if len(args) > 3 else None)
        fused = torch.ops.aten._scaled_dot_product_efficient_attention
        return fused(*args[:3], mask, torch.is_grad_enabled())[0]
