"""What each layer gets of the tokens besides: an embedding of its own. Config classes: Gemma 3n's and Gemma 4's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.embedding import Embedding
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.live import Live
from weightscope.components.norm import RMSNorm, live_in
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Buffer

if TYPE_CHECKING:
    import torch

    from weightscope.components.live import Widths

KEY = "layer inputs"


class LayerInputs(Component, frozen=True, kw_only=True):
    """(norm(project(x) / √width) + table[token]) / √2: a vector of `inner` elements for each of `depth` layers.

    `x` is the token's embedding. One table has the vectors of all layers side by side.
    """

    rows: Size
    width: Size
    depth: Size
    inner: Size
    eps: float

    @property
    def table(self) -> Embedding:
        """The vectors of each token."""
        return Embedding(
            name="embed_tokens_per_layer",
            role=Role.LAYER_EMBEDDING,
            rows=self.rows,
            width=self.depth * self.inner,
            scale=sqrt(self.inner),
        )

    @property
    def projection(self) -> Projection:
        """What else they have of the token's embedding."""
        return Projection(
            name="per_layer_model_projection",
            inputs=self.width,
            outputs=self.depth * self.inner,
            bias=False,
            role=Role.LAYER_EMBEDDING_PROJ,
        )

    @property
    def norm(self) -> RMSNorm:
        """Acts on the projection, layer by layer."""
        return RMSNorm(name="per_layer_projection_norm", role=Role.LAYER_EMBEDDING_NORM, size=self.inner, eps=self.eps)

    def children(self) -> Iterable[Component]:
        return self.table, self.projection, self.norm

    def live(self, widths: Widths) -> tuple[Live, ...]:
        """What was looked up and projected, while the latter is normed; the sum of both stays."""
        all_layers = int(self.depth * self.inner)
        return (Live(elements=all_layers * live_in(self.norm, widths) + all_layers, stays=all_layers),)

    def make(self, tokens: torch.Tensor, x: torch.Tensor, at: At) -> None:
        """Leave the vectors [T, depth, inner] of ids [T] with embeddings x [T, D] for the layers.

        Tokens beyond the table, which stand for images, have the first row.
        """
        place = at.below(self)
        known = tokens.where(tokens < int(self.rows), tokens.new_zeros(()))
        by_layer = (len(tokens), int(self.depth), int(self.inner))
        looked = place.call(self.table, known).reshape(by_layer)
        made = place.call(self.norm, (place.call(self.projection, x) * self.width**-0.5).reshape(by_layer))
        at.run.shared[KEY] = (made + looked) * 0.5**0.5


class LayerInput(Component, frozen=True, kw_only=True):
    """x + norm(project(act(gate(x)) ⊙ the layer's input))."""

    width: Size
    inner: Size
    activation: str
    eps: float
    word: ClassVar[str] = "layer input"

    @property
    def gate(self) -> Projection:
        """From the model's width to the input's."""
        return Projection(
            name="per_layer_input_gate", inputs=self.width, outputs=self.inner, bias=False, role=Role.LAYER_INPUT_GATE
        )

    @property
    def projection(self) -> Projection:
        """Back to the model's width."""
        return Projection(
            name="per_layer_projection", inputs=self.inner, outputs=self.width, bias=False, role=Role.LAYER_INPUT_PROJ
        )

    @property
    def norm(self) -> RMSNorm:
        """Of what is added."""
        return RMSNorm(name="post_per_layer_input_norm", role=Role.LAYER_INPUT_NORM, size=self.width, eps=self.eps)

    def children(self) -> Iterable[Component]:
        return self.gate, self.projection, self.norm

    def equation(self, x: str = "x") -> str:
        gated = f"{WORDS.get(self.activation, self.activation)}(per_layer_input_gate·{x}) ⊙ layer_input"
        return f"{x} + rms_norm(per_layer_projection·({gated}))"

    def added(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """What is added to x [T, D]."""
        gated = activate(self.activation, at.call(self.gate, x)) * at.run.shared[KEY][:, at.run.layer]
        return at.call(self.norm, at.call(self.projection, gated))

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        return x + self.added(x, at)


class LayerScale(Component, frozen=True, kw_only=True):
    """x · a number that is stored as a buffer."""

    word: ClassVar[str] = "layer scale"

    @property
    def stored(self) -> Iterable[StorageItem]:
        """One number, not learned by gradient."""
        return (Buffer("layer_scalar", Role.LAYER_SCALE, (Size(1),), optional=False),)

    def sizes(self) -> Sizes:
        return {Role.LAYER_SCALE: (Size(1),)}

    def equation(self, x: str = "x") -> str:
        return f"{x} · {Role.LAYER_SCALE}"

    def terms(self) -> Mapping[Role, str]:
        return {Role.LAYER_SCALE: self.equation()}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        return x * at.weights(self)[Role.LAYER_SCALE]
