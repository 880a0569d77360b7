"""Attribution methods."""

import copy
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from captum.attr import DeepLift, GradientShap, IntegratedGradients, LayerGradCam, NoiseTunnel, Occlusion, Saliency
from torch import Tensor, nn
from torch.nn import functional as F

from florilegium.config.products import Method
from florilegium.core.errors import UserError
from florilegium.explanation.attention import patch_grid, rollout

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
        self.relus = nn.ModuleList(nn.ModuleList(nn.ReLU() for _ in range(self.size - 1)) for _ in ("rows", "columns"))

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


BATCH = 25  # images that go through the network at once, with their gradients
DOUBLINGS = 3
OWN_STAGES = ("layer1", "layer2", "layer3", "layer4")
NOISE = 0.15  # of the image's range (Smilkov et al. 2017, figure 3)
TOLERANCE = 0.01  # of the difference that is to be explained
ROUNDING = 2e-3  # logits, that sums over a whole image may miss
WINDOWS = 8  # a side, each overlapping the next by half


class Unfit(Exception):
    """A method cannot be used on a network; the text says why."""


@dataclass(frozen=True)
class Subject:
    """What is explained: a network in evaluation mode, and how closely.

    Attributes:
        background: images (n, 3, s, s) that GradientSHAP compares with.
        steps: see `config.products.Attribution`.
    """

    network: nn.Module
    background: Tensor
    steps: int

    @torch.no_grad()
    def score(self, images: Tensor, target: int) -> float:
        """The mean logit of a class over images (B, 3, s, s)."""
        scores = [self.network(part)[:, target].double() for part in images.split(BATCH)]
        return float(torch.cat(scores).mean())


@dataclass(frozen=True)
class Attributed:
    """What a method says of one image.

    Attributes:
        values: of the pixels, (s, s); the higher, the more a pixel matters.
        gap: how far the values are from adding up to `difference`, in logits; NaN where a method does not claim to.
        difference: score less the baseline's, in logits; NaN likewise.
    """

    values: Tensor
    gap: float = math.nan
    difference: float = math.nan


def saliency(subject: Subject, image: Tensor, target: int) -> Attributed:
    """The largest gradient among a pixel's three channels (Simonyan et al. 2014, section 3.1)."""
    return _magnitude(Saliency(subject.network).attribute(image, target, abs=False))


def smoothgrad(subject: Subject, image: Tensor, target: int) -> Attributed:
    """Saliency of the gradient's mean over noisy copies of the image (Smilkov et al. 2017)."""
    noise = NOISE * float(image.max() - image.min())
    tunnel = NoiseTunnel(Saliency(subject.network))
    batch = min(BATCH, subject.steps)
    return _magnitude(
        tunnel.attribute(
            image, "smoothgrad", nt_samples=subject.steps, nt_samples_batch_size=batch,
            stdevs=noise, target=target, abs=False,
        )
    )  # fmt: skip


def integrated_gradients(subject: Subject, image: Tensor, target: int) -> Attributed:
    """Gradients along the straight way from the baseline (Sundararajan et al. 2017), by Gauss-Legendre quadrature.

    The path's points are doubled, three times at most, until the gap is below one per cent.
    """
    method = IntegratedGradients(subject.network)
    difference = _difference(subject, image, target)
    for doubling in range(DOUBLINGS + 1):
        contributions = method.attribute(
            image, torch.zeros_like(image), target, n_steps=subject.steps * 2**doubling,
            method="gausslegendre", internal_batch_size=BATCH,
        )  # fmt: skip
        found = _sum(contributions, difference)
        if found.gap <= TOLERANCE * abs(difference):
            break
    return found


def gradient_shap(subject: Subject, image: Tensor, target: int) -> Attributed:
    """Gradients at random points between the image and random others (Lundberg and Lee 2017; Erion et al. 2021).

    Its baseline is the mean score of those others.
    """
    method = GradientShap(subject.network)
    counts = [BATCH] * (subject.steps // BATCH) + [subject.steps % BATCH]
    parts = [
        method.attribute(image, subject.background, n_samples=count, target=target) * count for count in counts if count
    ]
    difference = subject.score(image, target) - subject.score(subject.background, target)
    return _sum(torch.stack(parts).sum(0) / subject.steps, difference)


def deeplift(subject: Subject, image: Tensor, target: int) -> Attributed:
    """Contributions by the rescale rule (Shrikumar et al. 2017, section 3.5.1).

    Raises:
        Unfit: they do not add up, so the network holds a nonlinearity that the rule does not reach.
    """
    network = explicit(subject.network, image)
    try:
        contributions = DeepLift(network).attribute(image, torch.zeros_like(image), target)
    except (AssertionError, RuntimeError) as error:
        raise Unfit(f"captum cannot follow its nonlinearities ({str(error).splitlines()[0][:80]})") from error
    found = _sum(contributions, _difference(subject, image, target))
    if found.gap > max(TOLERANCE * abs(found.difference), ROUNDING):
        raise Unfit("it has nonlinearities without a rule, and the contributions do not add up")
    return found


def occlusion(subject: Subject, image: Tensor, target: int) -> Attributed:
    """The mean fall of the score when windows that hold a pixel are covered (Zeiler and Fergus 2014, section 4.2)."""
    window = max(2, image.shape[-1] // WINDOWS)
    contributions = Occlusion(subject.network).attribute(
        image, (3, window, window), strides=(3, window // 2, window // 2), baselines=0, target=target,
        perturbations_per_eval=BATCH,
    )  # fmt: skip
    return Attributed(contributions[0, 0].detach())  # the same for all channels, which are covered together


def grad_cam(subject: Subject, image: Tensor, target: int) -> Attributed:
    """The last stage's maps, weighted by their mean gradients (Selvaraju et al. 2017, section 3).

    Raises:
        Unfit: the network has no stage of convolutions.
    """
    contributions = LayerGradCam(subject.network, last_stage(subject.network, image)).attribute(
        image, target, relu_attributions=True
    )
    return Attributed(_enlarged(contributions[0, 0].detach(), image.shape[-1]))


def attention_rollout(subject: Subject, image: Tensor, target: int) -> Attributed:
    """Where the tokens that a transformer's head reads get their features from (Abnar and Zuidema 2020), whatever the class.

    Raises:
        Unfit: the network does not attend in the way that a rollout needs.
    """
    try:
        found = rollout(subject.network, image, patch_grid(subject.network))
    except UserError:
        raise Unfit("its blocks do not attend over patches of the image by softmax(q k^T) alone") from None
    return Attributed(_enlarged(found[0], image.shape[-1]))


METHODS: dict[Method, Callable[[Subject, Tensor, int], Attributed]] = {
    "saliency": saliency,
    "smoothgrad": smoothgrad,
    "integrated_gradients": integrated_gradients,
    "gradient_shap": gradient_shap,
    "deeplift": deeplift,
    "occlusion": occlusion,
    "grad_cam": grad_cam,
    "attention_rollout": attention_rollout,
}


def last_stage(network: nn.Module, image: Tensor) -> nn.Module:
    """The last stage whose output (B, C, h, w) still has places: a small image leaves later ones a single one.

    Networks of timm tell the names and widths of their stages; those of this project number them.

    Raises:
        Unfit: there is none, or what it puts out is tokens.
    """
    told = list(getattr(network, "feature_info", ()))
    widths = {stage["module"]: stage["num_chs"] for stage in told} or dict.fromkeys(OWN_STAGES)
    modules = dict(network.named_modules())
    outputs: dict[str, Tensor] = {}
    hooks = [modules[name].register_forward_hook(partial(_keep, outputs, name)) for name in widths if name in modules]
    with torch.no_grad():
        network(image)
    for hook in hooks:
        hook.remove()
    for name, width in reversed(widths.items()):
        output = outputs.get(name, image.new_empty(0))
        if output.dim() == 4 and output[0, 0].numel() > 1 and width in (None, output.shape[1]):
            return modules[name]
    raise Unfit("it has no stages of convolutions")


def _keep(outputs: dict[str, Tensor], name: str, module: nn.Module, given: object, output: Tensor) -> None:
    outputs[name] = output


def _difference(subject: Subject, image: Tensor, target: int) -> float:
    return subject.score(image, target) - subject.score(torch.zeros_like(image), target)


def _sum(contributions: Tensor, difference: float) -> Attributed:
    """Contributions (1, 3, s, s), added up over channels, which keep their signs."""
    contributions = contributions.detach().cpu().double()
    return Attributed(contributions[0].sum(0), abs(float(contributions.sum()) - difference), difference)


def _magnitude(gradients: Tensor) -> Attributed:
    """Gradients (1, 3, s, s): they say how much a pixel matters, and not in which direction."""
    return Attributed(gradients[0].detach().abs().amax(0))


def _enlarged(coarse: Tensor, side: int) -> Tensor:
    """A map (h, w) at the size of the image, (side, side)."""
    return F.interpolate(coarse[None, None], size=(side, side), mode="bilinear")[0, 0]
