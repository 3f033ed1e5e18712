"""A vision transformer (Dosovitskiy et al. 2020) for images of one size, as CLIP and SigLIP lay it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from weightscope.brief import plural
from weightscope.components.base import Component, Repeat
from weightscope.components.norm import Norm
from weightscope.components.runnable import PIXELS, Inputs, Runnable
from weightscope.components.running import At
from weightscope.components.vision.attention_pool import AttentionPool
from weightscope.components.vision.blocks import depth_of, outputs_of
from weightscope.errors import UsageError
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.plain import Buffer, Plain

if TYPE_CHECKING:
    import torch


class PatchEmbedding(Component, frozen=True, kw_only=True):
    """A convolution of stride `patch` over each image, and learned positions.

    With a `class_token`, a class vector stands before its output (CLIP); with a `bias`, the convolution has one
    (SigLIP). `norm` acts on the patches before their positions are added (AIMv2).
    """

    name: str
    width: Size
    channels: Size
    image: Size
    patch: Size
    class_token: bool = True
    bias: bool = False
    norm: Norm | None = None

    @property
    def side(self) -> Size:
        """Patches along a side of the image."""
        return self.image // self.patch

    @property
    def positions(self) -> Size:
        """Patches of the image, and one for the class vector."""
        return self.side * self.side + 1 if self.class_token else self.side * self.side

    @property
    def stored(self) -> Iterable[StorageItem]:
        """The class vector is a parameter of its own, not of a module."""
        if self.class_token:
            yield Plain("class_embedding", Role.CLASS_EMBEDDING, leaf="")
        yield Kernel("patch_embedding", Role.PATCH_EMBEDDING, bias=self.bias)
        yield Plain("position_embedding", Role.POSITION_EMBEDDING)
        yield Buffer("position_ids", Role.POSITION_IDS, (Size(1), self.positions))

    def sizes(self) -> Sizes:
        """The patch embedding is (width, channels, patch, patch), as `torch.nn.Conv2d` has it."""
        return {
            Role.CLASS_EMBEDDING: (self.width,),
            Role.PATCH_EMBEDDING: (self.width, self.channels, self.patch, self.patch),
            Role.POSITION_EMBEDDING: (self.positions, self.width),
        }

    def equation(self, x: str = "pixels") -> str:
        made = f"patch_embedding ∗ {x}" + (" + bias" if self.bias else "")
        made = f"{self.norm.word}({made})" if self.norm else made
        return f"{f'[class_embedding | {made}]' if self.class_token else made} + position_embedding"

    def terms(self) -> Mapping[Role, str]:
        patch = int(self.patch)
        return {
            Role.CLASS_EMBEDDING: "the first vector, before the patches",
            Role.PATCH_EMBEDDING: f"patch_embedding ∗ pixels   a vector for each {patch} × {patch} pixels",
            Role.POSITION_EMBEDDING: "position_embedding[place] is added to each vector",
        }

    def without_class(self, x: torch.Tensor) -> torch.Tensor:
        """Vectors [images, positions, D] without the class vectors."""
        return x[:, 1:] if self.class_token else x

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Pixels [images, channels, image, image] to [images · positions, width], image after image."""
        return self.placed(x, at, None)

    def placed(self, x: torch.Tensor, at: At, places: torch.Tensor | None) -> torch.Tensor:
        """The same, of images of any size where `places` [images, patches] says which position each patch has."""
        import torch

        weights, patch = at.weights(self), int(self.patch)
        kernel, bias = weights[Role.PATCH_EMBEDDING], weights.get(f"{Role.PATCH_EMBEDDING}.bias")
        vectors = torch.nn.functional.conv2d(x, kernel, bias, stride=patch).flatten(2).transpose(1, 2)
        if self.norm:
            vectors = at.call(self.norm, vectors)
        if self.class_token:
            first = weights[Role.CLASS_EMBEDDING].expand(len(x), 1, -1)
            vectors = torch.cat((first, vectors), dim=1)
        table = weights[Role.POSITION_EMBEDDING]
        return (vectors + (table if places is None else table[places])).flatten(0, 1)


class VisionEncoder(Runnable, frozen=True, kw_only=True):
    """Patches to features; alone also a vector of the image.

    With a class vector, that is what leaves it through `post_norm` (CLIP). Without one, `post_norm` acts on all
    features, and `pooler` makes one of them, if there is any (SigLIP).
    """

    takes_tokens: ClassVar[bool] = False

    name: str
    patches: PatchEmbedding
    pre_norm: Norm | None
    blocks: tuple[Repeat, ...]
    post_norm: Norm | None
    pooler: AttentionPool | None = None
    section: Section | None = Section.VISION

    @property
    def takes(self) -> tuple[str, ...]:
        return (PIXELS,)

    @property
    def processor(self) -> str:
        return "CLIPImageProcessor"

    @property
    def layers(self) -> int:
        return self.depth

    @property
    def depth(self) -> int:
        """How many layers it has."""
        return depth_of(self.blocks)

    @property
    def glance(self) -> str:
        patches, layers = self.patches, plural(self.depth, "layer")
        return f"vision {layers} of {patches.width:,}, {patches.image:,} px in patches of {patches.patch}"

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        super().checked(inputs, tokens)
        if PIXELS not in inputs:
            raise UsageError("a vision encoder needs an image")
        if len(self.pixels(inputs)) > 1:
            raise UsageError("give one image only")

    def pixels(self, inputs: Inputs) -> torch.Tensor:
        """The pixels [images, channels, image, image] among the inputs.

        Raises:
            UsageError: they have another shape.
        """
        pixels = inputs[PIXELS]
        pixels = pixels[None] if pixels.ndim == 3 else pixels
        side, channels = int(self.patches.image), int(self.patches.channels)
        if pixels.ndim != 4 or pixels.shape[1:] != (channels, side, side) or not len(pixels):
            raise UsageError(
                f"an image of shape {list(pixels.shape)} does not fit: the encoder takes [{channels}, {side}, {side}]"
            )
        return pixels

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Of the pass's image, the features [positions, width] that leave the last layer; pooled besides."""
        (features,) = self.features(self.pixels(at.run.inputs), at, (-1,), normed=not self.patches.class_token)
        self._pool(features, 1, at.labelled("vision"))
        return features

    def hold(self, inputs: Inputs) -> None:
        """Raise a UsageError where the inputs are no images that the encoder takes."""
        if PIXELS not in inputs:
            raise UsageError(f"{PIXELS} is missing")
        self.pixels(inputs)

    def pool(self, inputs: Inputs, at: At) -> torch.Tensor:
        """One vector [images, width] of each image among the inputs."""
        made = self.pooled(self.pixels(inputs), at)
        assert made is not None
        return made

    def pooled(self, x: torch.Tensor, at: At) -> torch.Tensor | None:
        """One vector of each image [images, width] of pixels [images, channels, image, image], if it makes any."""
        (features,) = self.features(x, at, (-1,), normed=not self.patches.class_token)
        return self._pool(features, len(x), at.labelled("vision"))

    def features(
        self,
        x: torch.Tensor,
        at: At,
        layers: Sequence[int],
        *,
        normed: bool = False,
        places: torch.Tensor | None = None,
        unseen: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """What each of `layers` puts out, [images · positions, width], of pixels [images, channels, image, image].

        Layers are counted as transformers does: 0 is what enters the first, -1 what leaves the last, through the last
        norm where `normed`. Of images of other sizes `places` [images, patches] are the positions. No patch sees those
        that are true in `unseen` [images · patches].
        """
        at = at.labelled("vision")
        hidden = self.patches.placed(x, at.below(self.patches), places)
        at.stage("patch embedding", self.patches.equation(), hidden)
        if self.pre_norm:
            hidden = at.call(self.pre_norm, hidden)
            at.stage("embedding norm", self.pre_norm.equation(), hidden)
        within = at.apart(
            segments={"image": [len(hidden) // len(x)] * len(x)},
            positions=self.axes(len(x), hidden.device),
            unseen=unseen,
        )
        self.prepare(at, within)
        return outputs_of(self.blocks, hidden, within, layers, last_norm=self.post_norm if normed else None)

    def prepare(self, at: At, within: At) -> None:
        """Leave in the pass `within` what all layers share: nothing, but tables of distances (BEiT)."""

    def axes(self, images: int, device: torch.device) -> torch.Tensor | None:
        """Where each vector of so many images lies, [axes, images · positions], for layers that rotate by it."""
        return None

    def _pool(self, features: torch.Tensor, images: int, at: At) -> torch.Tensor | None:
        """One vector of each image [images, width] of the last layer's features, as a stage of the pass."""
        by_image = features.unflatten(0, (images, -1))  # type: ignore[no-untyped-call]
        if self.pooler:
            pooled = self.pooler.of(by_image, at.below(self.pooler))
            at.stage("pooled", self.pooler.equation(), pooled)
            return pooled
        if not self.patches.class_token:
            return None
        first: torch.Tensor = by_image[:, 0]
        pooled = at.call(self.post_norm, first) if self.post_norm else first
        at.stage("pooled", self.post_norm.equation() if self.post_norm else "x", pooled)
        return pooled
