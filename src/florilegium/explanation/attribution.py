"""Attribution methods: how much each pixel of an image counts for the score of a class."""

import copy
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from captum.attr import DeepLift, GradientShap, IntegratedGradients, LayerGradCam, NoiseTunnel, Occlusion, Saliency
from torch import Tensor, nn
from torch.nn import functional as F

from florilegium.core.errors import UserError
from florilegium.explanation.attention import hooked, patch_grid, rollout

BATCH = 25  # images that go through the network at once, with their gradients
DOUBLINGS = 3
OWN_STAGES = ("layer1", "layer2", "layer3", "layer4")
NOISE = 0.15  # of the image's range (Smilkov et al. 2017, figure 3)
TOLERANCE = 0.01  # of the difference that is to be explained
ROUNDING = 2e-3  # logits, that sums over a whole image may miss
WINDOWS = 8  # a side, each overlapping the next by half
NONLINEAR = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softmax)


class Unfit(Exception):
    """A method cannot be used on a network; the text says why."""


@dataclass(frozen=True)
class Subject:
    """A network to explain, in evaluation mode, and how closely."""

    network: nn.Module
    background: Tensor  # images (n, 3, s, s) that GradientSHAP compares with
    steps: int  # see `config.products.Attribution`

    @torch.no_grad()
    def score(self, images: Tensor, target: int) -> float:
        """The mean logit of a class over images (B, 3, s, s)."""
        scores = [self.network(part)[:, target].double() for part in images.split(BATCH)]
        return float(torch.cat(scores).mean())

    def difference(self, image: Tensor, target: int) -> float:
        """The score of an image (1, 3, s, s), less that of the mean colour."""
        return self.score(image, target) - self.score(torch.zeros_like(image), target)


@dataclass(frozen=True)
class Explanation:
    """The answer of a method for one image. `gap` and `difference` are NaN for a method that does not claim to add
    up."""

    values: Tensor  # of the pixels, (s, s); the higher, the more a pixel matters
    gap: float = math.nan  # how far the values are from adding up to `difference`, in logits
    difference: float = math.nan  # score less the baseline's, in logits


# The methods: each from a subject, an image (1, 3, s, s) and a class


def saliency(subject: Subject, image: Tensor, target: int) -> Explanation:
    """The largest gradient among a pixel's three channels (Simonyan et al. 2014, section 3.1)."""
    return _magnitude(Saliency(subject.network).attribute(image, target, abs=False))


def smoothgrad(subject: Subject, image: Tensor, target: int) -> Explanation:
    """Saliency of the gradient's mean over noisy copies of the image (Smilkov et al. 2017)."""
    samples = {"nt_samples": subject.steps, "nt_samples_batch_size": min(BATCH, subject.steps)}
    noise = NOISE * float(image.max() - image.min())
    tunnel = NoiseTunnel(Saliency(subject.network))
    return _magnitude(tunnel.attribute(image, "smoothgrad", stdevs=noise, target=target, abs=False, **samples))


def integrated_gradients(subject: Subject, image: Tensor, target: int) -> Explanation:
    """Gradients along the straight way from the baseline (Sundararajan et al. 2017), by Gauss-Legendre quadrature. The
    path's points are doubled, three times at most, until the gap is below one per cent."""
    method = IntegratedGradients(subject.network)
    baseline, settings = torch.zeros_like(image), {"method": "gausslegendre", "internal_batch_size": BATCH}
    difference = subject.difference(image, target)
    for doubling in range(DOUBLINGS + 1):
        steps = subject.steps * 2**doubling
        found = _sum(method.attribute(image, baseline, target, n_steps=steps, **settings), difference)
        if found.gap <= TOLERANCE * abs(difference):
            break
    return found


def gradient_shap(subject: Subject, image: Tensor, target: int) -> Explanation:
    """Gradients at random points between the image and random others (Lundberg and Lee 2017; Erion et al. 2021), whose
    mean score is the baseline."""
    method, others = GradientShap(subject.network), subject.background
    counts = [BATCH] * (subject.steps // BATCH) + [subject.steps % BATCH]
    parts = [method.attribute(image, others, n_samples=count, target=target) * count for count in counts if count]
    difference = subject.score(image, target) - subject.score(others, target)
    return _sum(torch.stack(parts).sum(0) / subject.steps, difference)


def deeplift(subject: Subject, image: Tensor, target: int) -> Explanation:
    """Contributions by the rescale rule (Shrikumar et al. 2017, section 3.5.1). Raises `Unfit` if they do not add up,
    so that the network holds a nonlinearity that the rule does not reach."""
    network = explicit(subject.network, image)
    try:
        contributions = DeepLift(network).attribute(image, torch.zeros_like(image), target)
    except (AssertionError, RuntimeError) as error:
        raise Unfit(f"captum cannot follow its nonlinearities ({str(error).splitlines()[0][:80]})") from error
    found = _sum(contributions, subject.difference(image, target))
    if found.gap > max(TOLERANCE * abs(found.difference), ROUNDING):
        raise Unfit("it has nonlinearities without a rule, and the contributions do not add up")
    return found


def occlusion(subject: Subject, image: Tensor, target: int) -> Explanation:
    """The mean fall of the score when windows that hold a pixel are covered (Zeiler and Fergus 2014, section 4.2)."""
    window = max(2, image.shape[-1] // WINDOWS)
    shape, strides = (3, window, window), (3, window // 2, window // 2)
    contributions = Occlusion(subject.network).attribute(
        image, shape, strides=strides, baselines=0, target=target, perturbations_per_eval=BATCH
    )
    return Explanation(contributions[0, 0].detach())  # the same for all channels, which are covered together


def grad_cam(subject: Subject, image: Tensor, target: int) -> Explanation:
    """The last stage's maps, weighted by their mean gradients (Selvaraju et al. 2017, section 3). Raises `Unfit` for a
    network without stages of convolutions."""
    method = LayerGradCam(subject.network, last_stage(subject.network, image))
    contributions = method.attribute(image, target, relu_attributions=True)
    return _enlarged(contributions[0, 0].detach(), image)


def attention_rollout(subject: Subject, image: Tensor, target: int) -> Explanation:
    """Attention rollout: the patches that the tokens of a transformer's head take their features from, whatever the
    class (Abnar and Zuidema 2020). Raises `Unfit` for a network that does not attend in the way that it needs."""
    try:
        found = rollout(subject.network, image, patch_grid(subject.network))
    except UserError:
        raise Unfit("its blocks do not attend over patches of the image by softmax(q k^T) alone") from None
    return _enlarged(found[0], image)


METHODS: dict[str, Callable[[Subject, Tensor, int], Explanation]] = {
    "saliency": saliency,
    "smoothgrad": smoothgrad,
    "integrated_gradients": integrated_gradients,
    "gradient_shap": gradient_shap,
    "deeplift": deeplift,
    "occlusion": occlusion,
    "grad_cam": grad_cam,
    "attention_rollout": attention_rollout,
}


def _sum(contributions: Tensor, difference: float) -> Explanation:
    """Contributions (1, 3, s, s), added up over channels, which keep their signs."""
    contributions = contributions.detach().cpu().double()
    return Explanation(contributions[0].sum(0), abs(float(contributions.sum()) - difference), difference)


def _magnitude(gradients: Tensor) -> Explanation:
    """Gradients (1, 3, s, s): they say how much a pixel matters, and not in which direction."""
    return Explanation(gradients[0].detach().abs().amax(0))


def _enlarged(coarse: Tensor, image: Tensor) -> Explanation:
    """A map (h, w) at the size of the image."""
    return Explanation(F.interpolate(coarse[None, None], size=image.shape[-2:], mode="bilinear")[0, 0])


def last_stage(network: nn.Module, image: Tensor) -> nn.Module:
    """The last stage whose output (B, C, h, w) still has places: a small image leaves later ones a single one.

    Networks of timm list the names and widths of their stages; those of this project number them. Raises `Unfit` if
    there is none, or if its output is tokens.
    """
    listed = list(getattr(network, "feature_info", ()))
    widths = {stage["module"]: stage["num_chs"] for stage in listed} or dict.fromkeys(OWN_STAGES)
    modules: dict[str, nn.Module] = dict(network.named_modules())
    outputs: dict[nn.Module | None, Tensor] = {}

    def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
        outputs[module] = output

    with torch.no_grad(), hooked((modules[name], keep) for name in widths if name in modules):
        network(image)
    for name, width in reversed(widths.items()):
        output = outputs.get(modules.get(name), image.new_empty(0))
        if output.dim() == 4 and output[0, 0].numel() > 1 and width in (None, output.shape[1]):
            return modules[name]
    raise Unfit("it has no stages of convolutions")


# A network that DeepLIFT can follow


def explicit(network: nn.Module, images: Tensor) -> nn.Module:
    """A copy of `network` in evaluation mode that computes the same with nonlinear modules that run once each and leave
    their input as it is; `images` (B, 3, s, s) are any that it takes."""
    twin = copy.deepcopy(network).eval()
    inplace: list[Any] = [module for module in twin.modules() if getattr(module, "inplace", False) is True]
    for module in inplace:
        module.inplace = False
    calls: Counter[nn.Module] = Counter()
    nonlinear = [module for module in twin.modules() if isinstance(module, NONLINEAR)]
    with torch.no_grad(), hooked((module, lambda module, *_: calls.update([module])) for module in nonlinear):
        twin(images)
    swaps: dict[nn.Module, nn.Module] = {m: InTurn(m, count) for m, count in calls.items() if count > 1}
    swaps |= {m: PoolByReLU(m) for m in twin.modules() if isinstance(m, nn.MaxPool2d) and _is_plain(m)}
    for parent in list(twin.modules()):
        for name, child in list(parent._modules.items()):  # named_children() would give a shared one once
            if child in swaps:
                setattr(parent, name, swaps[child])
    return twin.eval()


class InTurn(nn.Module):
    """In place of a module that is called several times in each forward pass: a copy for each call."""

    def __init__(self, module: nn.Module, calls: int) -> None:
        super().__init__()
        self.copies = nn.ModuleList(copy.deepcopy(module) for _ in range(calls))
        self.turn = 0

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.copies[self.turn](x)
        self.turn = (self.turn + 1) % len(self.copies)
        return answer


class PoolByReLU(nn.Module):
    """Max pooling of (B, C, H, W) over rows, then over columns, pair by pair."""

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        size, stride, padding = pool.kernel_size, pool.stride, pool.padding
        assert isinstance(size, int) and isinstance(stride, int) and isinstance(padding, int), "see `_is_plain`"
        self.size, self.stride, self.padding = size, stride, padding
        self.rows, self.columns = (nn.ModuleList(nn.ReLU() for _ in range(size - 1)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        # A window that reaches over the edge holds the edge itself, which repeated there changes no maximum.
        x = F.pad(x, (self.padding,) * 4, mode="replicate")
        for dim, relus in ((2, self.rows), (3, self.columns)):
            windows = x.unfold(dim, self.size, self.stride).unbind(-1)  # one tensor a place in the window
            x = windows[0]
            for other, relu in zip(windows[1:], relus, strict=True):
                x = x + relu(other - x)
        return x


def _is_plain(pool: nn.MaxPool2d) -> bool:
    numbers = (pool.kernel_size, pool.stride, pool.padding)
    return all(isinstance(n, int) for n in numbers) and pool.dilation == 1 and not pool.ceil_mode
