"""How the parts make a language model: residual blocks, the decoder they stack into, and the head on top."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component, Layers, Repeat
from weightscope.components.embedding import Classifier, Embedding, Head
from weightscope.components.live import Live
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.runnable import Predicts, Runnable, refuse
from weightscope.components.running import At, Stopped
from weightscope.components.walk import find, needed

if TYPE_CHECKING:
    import torch

    from weightscope.components.layer_inputs import LayerInputs
    from weightscope.components.layer_scale import LayerScale
    from weightscope.components.live import Widths
    from weightscope.components.sinusoids import Sinusoids
    from weightscope.components.step import Step


class Block(Component, frozen=True, kw_only=True):
    """x + attention(input_norm(x)), then x + feed_forward(feed_forward_norm(x)).

    `attention_out_norm` and `feed_forward_out_norm` act before the sums (Gemma 2), or with `norms_sums` on them
    (OPT-350m); either may be a learned factor (InternViT). A `parallel` block feeds both halves from the same x
    (GPT-NeoX), where it has no `feed_forward_norm` through the same norm (Phi). What is added is first multiplied by
    `residual_scale` (Granite). The output goes through `after` (Gemma 4).
    """

    input_norm: Norm | None
    attention: Component
    attention_out_norm: Norm | LayerScale | None = None
    feed_forward_norm: Norm | None
    feed_forward: Component
    feed_forward_out_norm: Norm | LayerScale | None = None
    parallel: bool = False
    norms_sums: bool = False
    residual_scale: float = 1.0
    after: tuple[Component, ...] = ()
    word: ClassVar[str] = "layer"

    @property
    def norms_after(self) -> bool:
        return self.input_norm is None or self.norms_sums

    def live(self, widths: Widths) -> tuple[Live, ...]:
        """What a norm acts on that comes after a half, beside what it is added to."""
        after = (self.attention_out_norm, self.feed_forward_out_norm)
        if self.norms_sums:
            return ()
        return tuple(
            Live(elements=int(norm.size) + live.elements)
            for norm in after
            if isinstance(norm, Norm)
            for live in norm.live(widths)
        )

    def saves(self, step: Step) -> int | None:
        """What its parts keep; what enters both halves of a parallel block is kept once."""
        kept = super().saves(step)
        if kept is None or not self.parallel:
            return kept
        if self.input_norm and self.feed_forward_norm:
            return kept - (int(self.input_norm.size) if step.flows else 0)
        return kept - min(self.attention.saves_input(step), self.feed_forward.saves_input(step))

    def reached_children(self, step: Step) -> Iterator[tuple[Component, Step]]:
        """Both halves of a parallel block are reached by the same."""
        if not self.parallel:
            yield from super().reached_children(step)
            return
        normed = step.past(self.input_norm) if self.input_norm else step
        own = step.past(self.feed_forward_norm) if self.feed_forward_norm else normed
        reached = {self.input_norm: step, self.attention: normed, self.feed_forward_norm: step, self.feed_forward: own}
        for child in self.children():
            yield child, reached.get(child, step.past(self))

    def equation(self, x: str = "x") -> str:
        if self.parallel:
            fed = self._half(
                x, self.feed_forward_norm or self.input_norm, self.feed_forward, self.feed_forward_out_norm
            )
            return f"{self._half(x, self.input_norm, self.attention, self.attention_out_norm)}{fed.removeprefix(x)}"
        return ", then ".join(self._halves(x))

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        normed = at.call(self.input_norm, x) if self.input_norm else x
        mixed = at.call(self.attention, normed)
        between = self._added(x, mixed, self.attention_out_norm, at)
        at.stage(self.attention.word, self._summed(self.input_norm, self.attention, self.attention_out_norm), between)
        between = self.looked(between, at)
        fed = x if self.parallel else between
        if self.feed_forward_norm:
            fed = at.call(self.feed_forward_norm, fed)
        elif self.parallel:
            fed = normed
        out = self._added(between, at.call(self.feed_forward, fed), self.feed_forward_out_norm, at)
        before = self.feed_forward_norm or (self.input_norm if self.parallel else None)
        equation = self._summed(before, self.feed_forward, self.feed_forward_out_norm)
        at.stage(self.feed_forward.word, equation.replace("(x)", "(the layer's x)") if self.parallel else equation, out)
        for part in self.after:
            out = at.call(part, out)
            at.stage(part.word, part.equation(), out)
        return out

    def _halves(self, x: str) -> list[str]:
        """What each half makes of x, in words."""
        return [
            self._half(x, self.input_norm, self.attention, self.attention_out_norm),
            self._half(x, self.feed_forward_norm, self.feed_forward, self.feed_forward_out_norm),
        ]

    def _half(self, x: str, before: Norm | None, part: Component, after: Norm | LayerScale | None) -> str:
        return self._sum(x, f"{part.word}({before.word}({x}))" if before else f"{part.word}({x})", after)

    def looked(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """The residual stream [T, D] after what stands between the halves: nothing, but in encoder-decoders."""
        del at
        return x

    def _added(self, x: torch.Tensor, part: torch.Tensor, norm: Norm | LayerScale | None, at: At) -> torch.Tensor:
        """X + part, with what acts on the part and on the sum."""
        if norm and not self.norms_sums:
            part = at.call(norm, part)
        total = x + (part * self.residual_scale if self.residual_scale != 1.0 else part)
        return at.call(norm, total) if norm and self.norms_sums else total

    def _summed(self, before: Norm | None, part: Component, after: Norm | LayerScale | None) -> str:
        """The equation of one half of a block."""
        made = self._sum("x", part.equation("n" if before else "x"), after)
        return f"{made},  n = {before.word}(x)" if before else made

    def _sum(self, x: str, part: str, norm: Norm | LayerScale | None) -> str:
        """What `_added` makes of both, in words."""
        if norm and not self.norms_sums:
            part = f"{norm.word}({part})"
        total = f"{x} + {f'{self.residual_scale:.4g}·' if self.residual_scale != 1.0 else ''}{part}"
        return f"{norm.word}({total})" if norm and self.norms_sums else total


class Decoder(Component, frozen=True, kw_only=True):
    """Embeddings, the blocks in order of depth, the final norm.

    `blocks` has one `Repeat` for each kind of block; their indices together are 0 to `depth` - 1.
    `embedding_norm` acts on the sum of the embeddings (BLOOM). `widen` brings embeddings of another width to the
    layers', `narrow` their output back to it (OPT-350m, which has no final norm either). `layer_inputs` makes what
    each layer gets of the tokens besides, `enter` the several streams that go through the layers, and `leave` one of
    them again (Gemma 3n).
    """

    embedding: Embedding
    layer_inputs: LayerInputs | None = None
    widen: Component | None = None
    positions: Embedding | Sinusoids | None = None
    embedding_norm: Norm | None = None
    depth: int
    enter: Component | None = None
    blocks: tuple[Repeat, ...]
    leave: Component | None = None
    final_norm: Norm | None
    narrow: Component | None = None

    def token_layers(self) -> Layers:
        width = self.widen.outputs if isinstance(self.widen, Projection) else self.embedding.width
        return Layers(self.depth, width, self.embedding.rows, self.blocks)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to [T, D]."""
        hidden = self.embed(x, at)
        self.tell_layers(x, hidden, at)
        return self.through(hidden, at)

    def embed(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to the vectors [T, D] that enter the first layer, less what their positions add."""
        at.run.tokens = x
        hidden = at.call(self.embedding, x)
        at.stage("token embedding", self.embedding.equation(), hidden)
        if self.widen:
            hidden = at.call(self.widen, hidden)
            at.stage("embedding projection", self.widen.equation(), hidden)
        return hidden

    def tell_layers(self, x: torch.Tensor, hidden: torch.Tensor, at: At) -> None:
        """Leave what each layer gets of ids [T] and of their vectors [T, D], if they get any."""
        if self.layer_inputs:
            self.layer_inputs.make(x, hidden, at)

    def through(self, hidden: torch.Tensor, at: At) -> torch.Tensor:
        """From embeddings [T, D] through all layers and the final norm."""
        if self.positions:
            hidden = hidden + at.call(self.positions, at.run.positions)
            at.stage("position embedding", f"x + {self.positions.equation()}", hidden)
        if self.embedding_norm:
            hidden = at.call(self.embedding_norm, hidden)
            at.stage("embedding norm", self.embedding_norm.equation(), hidden)
        hidden = at.call(self.enter, hidden) if self.enter else hidden
        hidden = run_layers(self.blocks, hidden, at, last=at.run.last)
        hidden = at.call(self.leave, hidden) if self.leave else hidden
        if self.final_norm:
            hidden = at.call(self.final_norm, hidden)
            at.stage("final norm", self.final_norm.equation(), hidden)
        if self.narrow:
            hidden = at.call(self.narrow, hidden)
            at.stage("output projection", self.narrow.equation(), hidden)
        return hidden


def run_layers(
    repeats: Iterable[Repeat],
    hidden: torch.Tensor,
    at: At,
    *,
    last: int | None = None,
    order: Sequence[int] | None = None,
    tap: Callable[[int, torch.Tensor], None] | None = None,
) -> torch.Tensor:
    """Through the layers in order, each read ahead while the one before it computes; `tap` gets what each puts out.

    `order` has the number of the block that each layer is, where several layers are one block.

    Raises:
        Stopped: layer `last` has been computed.
    """
    layers = sorted(((layer, layer, repeat) for repeat in repeats for layer in repeat.indices), key=itemgetter(0))
    if order is not None:
        layers = [(number, *layers[block][1:]) for number, block in enumerate(order)]
    for number, (layer, block, repeat) in enumerate(layers):
        place = at.below(repeat, block).labelled(f"{at.label} layer {layer}".strip())
        reading = ""
        if number + 1 < len(layers) and layer != last and at.run.held is None:
            _, after, following = layers[number + 1]
            reading = at.below(following, after).prefix
            at.run.reader.next_block(needed(following.child, reading) if following.child.awaited else ())
        if at.run.watch:
            at.run.watch.layer(place.label, reading, number, len(layers))
        at.run.layer = layer
        hidden = repeat.child.forward(hidden, place)
        if layer in at.run.added:
            where, vectors = at.run.added[layer]
            hidden = hidden.index_add(0, where, vectors)
            place.stage("deep features", "x + what the vision tower adds at image tokens", hidden)
        if tap:
            tap(layer, hidden)
        if layer == last:
            raise Stopped
    return hidden


class CausalLM(Runnable, frozen=True, kw_only=True):
    """A decoder, the head that turns its output into logits (none in a base model), and auxiliary parts.

    `refused` says why there is no forward pass where the tensors are known and the maths is not.
    """

    decoder: Decoder
    head: Head | Classifier | None
    extras: tuple[Component, ...] = ()
    refused: str = ""

    @property
    def words(self) -> Embedding:
        return self.decoder.embedding

    @property
    def writer(self) -> Component | None:
        """All of it, a base model too; a classifier or a model that sees later tokens does not write."""
        reads = isinstance(self.head, Classifier) or any(part.sees_later for part in find(self.decoder, Component))
        return None if reads else self

    @property
    def learned(self) -> Embedding | None:
        positions = self.decoder.positions
        return positions if isinstance(positions, Embedding) else None

    @property
    def layers(self) -> int:
        return self.decoder.depth

    @property
    def logits_of(self) -> Predicts:
        return "next" if isinstance(self.head, Head) else ""

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to logits [T, vocabulary], or without a head to [T, D].

        Raises:
            NotImplementedByWeightscope: the maths is `refused`.
        """
        refuse(self.refused)
        return self.score(at.call(self.decoder, x), at)

    def score(self, hidden: torch.Tensor, at: At) -> torch.Tensor:
        """The decoder's output [T, D] to logits [T, vocabulary], or without a head as it is."""
        if self.head is None:
            return hidden
        embedding = self.decoder.embedding
        if isinstance(self.head, Head) and self.head.tied:
            table = at.below(self.decoder).below(embedding)
            scores = self.head.score(hidden, at.below(self.head), embedding, table)
        else:
            scores = at.call(self.head, hidden)
        at.stage("logits" if isinstance(self.head, Head) else "class scores", self.head.equation(), scores)
        return scores


class TextEncoder(CausalLM, frozen=True, kw_only=True):
    """A decoder that only reads: what it makes of a text is compared with images (CLIP)."""

    @property
    def writer(self) -> None:
        return None
