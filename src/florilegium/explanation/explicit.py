"""A network in which every nonlinearity is a module of its own, as DeepLIFT by hooks needs it.

DeepLIFT (Shrikumar et al. 2017) compares what goes through each nonlinearity with what a baseline sends through
it. Captum sees that at modules alone, once a module; a ReLU that works in place or is called twice in a forward
pass is seen wrongly, and captum's rule for max pooling does not keep completeness once layers
follow. Here each call has its own module, nothing works in place, and a maximum is written as
max(a, b) = a + relu(b - a), to which the rule for ReLUs applies.
"""

import copy
from collections import Counter

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NONLINEAR = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softmax)


def explicit(network: nn.Module, images: Tensor) -> nn.Module:
    """A copy of `network` that computes the same, in evaluation mode; `images` (B, 3, s, s) are any that it takes."""
    twin = copy.deepcopy(network).eval()
    for module in twin.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False
    calls = _calls(twin, images)
    swaps: dict[nn.Module, nn.Module] = {m: InTurn(m, count) for m, count in calls.items() if count > 1}
    swaps |= {m: PoolByReLU(m) for m in twin.modules() if isinstance(m, nn.MaxPool2d) and _is_plain(m)}
    for parent in list(twin.modules()):
        for name, child in list(parent._modules.items()):  # named_children() would tell a shared one once
            if child in swaps:
                setattr(parent, name, swaps[child])
    return twin.eval()


def _calls(network: nn.Module, images: Tensor) -> Counter[nn.Module]:
    """How often each nonlinear module is called in a forward pass."""
    found: Counter[nn.Module] = Counter()
    hooks = [
        module.register_forward_hook(lambda module, given, out: found.update([module]))
        for module in network.modules()
        if isinstance(module, NONLINEAR)
    ]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return found


class InTurn(nn.Module):
    """In place of a module that is called several times in each forward pass: a copy for each call."""

    def __init__(self, module: nn.Module, calls: int) -> None:
        super().__init__()
        self.copies = nn.ModuleList(copy.deepcopy(module) for _ in range(calls))
        self.turn = 0

    def forward(self, x: Tensor) -> Tensor:
        chosen = self.copies[self.turn]
        self.turn = (self.turn + 1) % len(self.copies)
        found: Tensor = chosen(x)
        return found


class PoolByReLU(nn.Module):
    """Max pooling of (B, C, H, W) over rows, then over columns, pair by pair."""

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.size, self.stride, self.padding = int(pool.kernel_size), int(pool.stride), int(pool.padding)
        self.relus = nn.ModuleList(
            nn.ModuleList(nn.ReLU() for _ in range(self.size - 1)) for _ in ("rows", "columns")
        )

    def forward(self, x: Tensor) -> Tensor:
        # A window that reaches over the edge holds the edge itself, which repeated there changes no maximum.
        x = F.pad(x, (self.padding,) * 4, mode="replicate")
        for dim, relus in zip((2, 3), self.relus, strict=True):
            windows = x.unfold(dim, self.size, self.stride).unbind(-1)  # one tensor a place in the window
            x = windows[0]
            for other, relu in zip(windows[1:], relus, strict=True):
                x = x + relu(other - x)
        return x


def _is_plain(pool: nn.MaxPool2d) -> bool:
    numbers = (pool.kernel_size, pool.stride, pool.padding)
    return all(isinstance(n, int) for n in numbers) and pool.dilation == 1 and not pool.ceil_mode
