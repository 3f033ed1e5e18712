"""BLIP-2's bridge (arXiv 2301.12597): learned queries see each other and an image's features, layer by layer.

Shapes: N images, Q queries, T tokens of an instruction, P features of an image, D width, E width of the features.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.brief import plural
from weightscope.components.attention.attend import attend
from weightscope.components.attention.heads import Heads
from weightscope.components.attention.sees import EVERYTHING
from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.feed_forward.mlp import MLP
from weightscope.components.norm import LayerNorm
from weightscope.components.projection import Projection
from weightscope.components.running import At, linear
from weightscope.components.vision.blocks import depth_of
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

# What a pass through the layers shares: the features [N, P, E] and how many of a sequence are queries.
FEATURES, QUERIES = "features of the images", "queries of each image"


class CrossAttention(Component, frozen=True, kw_only=True):
    """o·softmax(q·kᵀ/√d)·v: queries of x, keys and values of an image's features."""

    name: str
    width: Size
    features: Size
    heads: Heads
    word: ClassVar[str] = "cross_attention"

    @property
    def stored(self) -> Iterable[StorageItem]:
        names = {"attention.query": Role.Q_PROJ, "attention.key": Role.K_PROJ, "attention.value": Role.V_PROJ}
        return tuple(Linear(name, role, bias=True) for name, role in {**names, "output.dense": Role.O_PROJ}.items())

    def sizes(self) -> Sizes:
        return self.heads.sizes(self.width, source=self.features)

    def equation(self, x: str = "x") -> str:
        return f"o_proj·softmax(q·kᵀ/√d)·v,  q of {x}, k and v of the image"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.Q_PROJ: "q = q_proj·x",
            Role.K_PROJ: "k = k_proj·features",
            Role.V_PROJ: "v = v_proj·features",
            Role.O_PROJ: "o_proj·[heads side by side]",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, Q, D] to the same; the features are the pass's."""
        import torch

        weights = at.weights(self)
        features = at.run.shared[FEATURES]
        q, k, v = (
            self.heads.split(linear(source, weights, role))
            for role, source in ((Role.Q_PROJ, x), (Role.K_PROJ, features), (Role.V_PROJ, features))
        )
        mixed = [attend(*of_one, scale=self.heads.size**-0.5, sees=EVERYTHING) for of_one in zip(q, k, v, strict=True)]
        return linear(torch.stack(mixed).transpose(1, 2).flatten(2), weights, Role.O_PROJ)


class QueryLayer(Component, frozen=True, kw_only=True):
    """Each part's output is added and normed: attention among all, `cross` in some layers and for queries alone, then
    matrices of the queries' own, and of the text's where there is one.
    """

    attention: Attention
    attention_norm: LayerNorm
    cross: CrossAttention | None
    cross_norm: LayerNorm | None
    queries: MLP
    queries_norm: LayerNorm
    words: MLP | None = None
    words_norm: LayerNorm | None = None

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N · (Q + T), D] to the same."""
        import torch

        count, images = at.run.shared[QUERIES], len(at.run.shared[FEATURES])
        x = at.call(self.attention_norm, x + at.call(self.attention, x))
        at.stage(self.attention.word, f"layer_norm(x + {self.attention.equation()})", x)
        together = x.unflatten(0, (images, -1))  # type: ignore[no-untyped-call]
        queries, words = together[:, :count], together[:, count:]
        if self.cross and self.cross_norm:
            queries = at.call(self.cross_norm, queries + at.call(self.cross, queries))
            at.stage(self.cross.word, f"layer_norm(x + {self.cross.equation()})", queries.flatten(0, 1))
        queries = at.call(self.queries_norm, queries + at.call(self.queries, queries))
        if words.shape[1] and self.words and self.words_norm:
            words = at.call(self.words_norm, words + at.call(self.words, words))
        out = torch.cat((queries, words), dim=1).flatten(0, 1)
        at.stage(self.queries.word, f"layer_norm(x + {self.queries.equation()})", out)
        return out


class QueryWords(Component, frozen=True, kw_only=True):
    """A row for each token of an instruction and for its place (InstructBLIP)."""

    name: str
    rows: Size
    positions: Size
    width: Size

    @property
    def stored(self) -> tuple[Plain, Plain]:
        return Plain("word_embeddings", Role.TOKEN_EMBEDDING), Plain("position_embeddings", Role.POSITION_EMBEDDING)

    def sizes(self) -> Sizes:
        return {
            Role.TOKEN_EMBEDDING: (self.rows, self.width),
            Role.POSITION_EMBEDDING: (self.positions, self.width),
        }

    def equation(self, x: str = "token") -> str:
        return f"token_embedding[{x}] + position_embedding[position]"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.TOKEN_EMBEDDING: "token_embedding[token of the instruction]",
            Role.POSITION_EMBEDDING: "position_embedding[position] is added to it",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [N, T] to [N, T, D]."""
        import torch

        tokens, positions = self.stored
        places = torch.arange(x.shape[1], device=x.device)
        rows = at.gather(self, tokens, x.flatten()).unflatten(0, tuple(x.shape))  # type: ignore[no-untyped-call]
        return rows + at.gather(self, positions, places)  # type: ignore[no-any-return]


class QFormer(Component, frozen=True, kw_only=True):
    """`count` queries, with the words of an instruction if it takes some, through the layers; then one matrix."""

    query: str
    count: Size
    width: Size
    words: QueryWords | None
    norm: LayerNorm
    blocks: tuple[Repeat, ...]
    out: Projection
    each: int
    section: Section | None = Section.PROJECTOR

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Plain(self.query, Role.PROBE, leaf=""),)

    def sizes(self) -> Sizes:
        """The queries are (1, count, width)."""
        return {Role.PROBE: (Size(1), self.count, self.width)}

    @property
    def glance(self) -> str:
        depth = depth_of(self.blocks)
        return f"projector {plural(depth, 'layer')} of {self.width:,}, {self.count:,} queries"

    def equation(self, x: str = "x") -> str:
        return f"{self.out.equation('layers(layer_norm(queries))')}, the layers over {x}"

    def terms(self) -> Mapping[Role, str]:
        return {Role.PROBE: "the vectors that ask, the same for every image"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Features [N · P, E] without an instruction to [N · Q, width of the language model]."""
        return self.asked(x, None, at)

    def asked(self, x: torch.Tensor, words: torch.Tensor | None, at: At) -> torch.Tensor:
        """The same with an instruction's ids [N, T]."""
        import torch

        at = at.labelled("projector")
        features = x.unflatten(0, (-1, self.each))  # type: ignore[no-untyped-call]
        hidden = at.weights(self)[Role.PROBE].expand(len(features), -1, -1)
        if words is not None and self.words:
            hidden = torch.cat((hidden, at.call(self.words, words)), dim=1)
        hidden = at.call(self.norm, hidden)
        at.stage("queries", self.norm.equation("queries"), hidden.flatten(0, 1))
        length, inner = hidden.shape[1], at.apart(segments={"image": [hidden.shape[1]] * len(features)})
        inner.run.shared[FEATURES], inner.run.shared[QUERIES] = features, int(self.count)
        hidden = run_layers(self.blocks, hidden.flatten(0, 1), inner)
        out = at.call(self.out, hidden.unflatten(0, (-1, length))[:, : int(self.count)].flatten(0, 1))  # type: ignore[no-untyped-call]
        at.stage("projection", self.out.equation(), out)
        return out
