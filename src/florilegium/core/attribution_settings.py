"""What is asked of the attribution of a trained classifier; no part of what a training depends on."""

from typing import Literal

from pydantic import Field, model_validator

from florilegium.core.strict import AtLeastOne, Count, Strict

Method = Literal[
    "saliency",
    "smoothgrad",
    "integrated_gradients",
    "gradient_shap",
    "deeplift",
    "occlusion",
    "grad_cam",
    "attention_rollout",
]
METHODS: tuple[Method, ...] = Method.__args__  # type: ignore[attr-defined]


class Attribution(Strict):
    """Which test images are explained, by which methods, and how closely."""

    images: AtLeastOne = Field(
        16, description="test images that the methods are judged on; all where there are fewer"
    )
    shown: AtLeastOne = Field(4, description="how many of them have a figure of their own")
    sampled: Literal["right_and_wrong", "right", "wrong"] = Field(
        "right_and_wrong",
        description="by the network's answer: as many wrong as right ones, as far as there are",
    )
    names: tuple[str | Count, ...] = Field(
        (),
        strict=False,
        description="these test images and no others, by name or by number from 0 in the order of names",
    )
    methods: tuple[Method, ...] = Field(
        METHODS, strict=False, min_length=1, description="those that do not fit the network are left out"
    )
    steps: AtLeastOne = Field(
        50,
        description="points of integrated gradients' path, doubled while they miss completeness; samples of "
        "SmoothGrad and GradientSHAP",
    )

    @model_validator(mode="after")
    def _possible(self) -> "Attribution":
        for key in ("names", "methods"):
            values = getattr(self, key)
            twice = [value for value in values if values.count(value) > 1]
            if twice:
                raise ValueError(f"{key}: holds {twice[0]!r} twice; take one out")
        if not self.names and self.shown > self.images:
            raise ValueError(
                f"shown: {self.shown} images cannot be shown of {self.images} that are looked at; raise images"
            )
        return self

    @property
    def figures(self) -> int:
        """How many images have a figure of their own."""
        return len(self.names) or self.shown
