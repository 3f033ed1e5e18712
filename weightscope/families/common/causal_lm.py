"""A language model from a function that says what each layer is, and what stands around the layers."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import CausalLM, Decoder
from weightscope.components.embedding import Classifier, Embedding, Head
from weightscope.components.norm import Norm
from weightscope.config import Config
from weightscope.families.common.dims import depth_of
from weightscope.sizes import Size

Layer = Callable[[int], Component]


def causal_lm(
    config: Config,
    root: str,
    layer: Layer,
    *,
    final_norm: Norm | None,
    embedding: Embedding | None = None,
    positions: Embedding | None = None,
    embedding_norm: Norm | None = None,
    enter: Component | None = None,
    layers: str = "layers",
    depth: Size | None = None,
    output: Output | None = None,
    extras: tuple[Component, ...] = (),
    refused: str = "",
) -> CausalLM:
    """The embedding, `num_hidden_layers` layers, the final norm and the head, all below `root` but the head.

    The embedding is `embed_tokens`, [vocab_size, hidden_size], unless another is given. `positions` are learned ones.
    `enter` is what comes between the embeddings and the first layer. `layers` is the name under which the layers are
    numbered, `depth` their number if it is not `num_hidden_layers`, `output` what scores the vocabulary, `extras` what
    the main model runs without; `refused` says why the forward pass is not implemented.
    """
    table, count = embedding or token_embedding(config), depth_of(config) if depth is None else depth
    return CausalLM(
        decoder=Decoder(
            name=root,
            embedding=table,
            positions=positions,
            embedding_norm=embedding_norm,
            enter=enter,
            blocks=numbered(layers, count, layer),
            final_norm=final_norm,
            depth=count,
        ),
        head=(output or Output()).of(config, root, table.width),
        extras=extras,
        refused=refused,
    )


def token_embedding(config: Config, name: str = "embed_tokens", *, scale: float = 1.0) -> Embedding:
    """[vocab_size, hidden_size]; rows are multiplied by `scale`."""
    return Embedding(name=name, rows=config["vocab_size"], width=config["hidden_size"], scale=scale)


def numbered(name: str, depth: int, layer: Layer) -> tuple[Repeat, ...]:
    """The layers 0 to `depth` - 1 under their numbers; those that are equal together, in order of their first."""
    kinds: dict[Component, list[int]] = {}
    for number in range(depth):
        kinds.setdefault(layer(number), []).append(number)
    return tuple(Repeat(name=name, indices=_compact(numbers), child=kind) for kind, numbers in kinds.items())


def _compact(numbers: list[int]) -> range | tuple[int, ...]:
    whole = range(numbers[0], numbers[-1] + 1)
    return whole if len(whole) == len(numbers) else tuple(numbers)


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """What makes scores of the last layer's output.

    `cap` bounds the logits (Gemma 2), `scale` multiplies them (Cohere), `normalized` rows have length 1 (Baichuan 2).
    `tied` is what the config says, unless the class says otherwise. `classifier` is what token classification calls
    its matrix.
    """

    name: str = "lm_head"
    bias: bool = False
    cap: float | None = None
    scale: float = 1.0
    normalized: bool = False
    tied: bool | None = None
    classifier: str = "score"

    def of(self, config: Config, root: str, width: Size) -> Head | Classifier | None:
        """The head beside `root` that scores the vocabulary, a classifier, or nothing in a base model.

        Raises:
            UndeclaredError: the config's architecture has another head, by name.
        """
        if config.is_base_model:
            return None
        if config.task == "SequenceClassification":
            return Classifier(name="score", labels=config.labels, width=width, bias=False)
        if config.task == "TokenClassification":
            return Classifier(name=self.classifier, labels=config.labels, width=width, bias=True)
        if config.task not in ("", "CausalLM", "ConditionalGeneration", "VisionText2Text"):
            raise config.undeclared(f"the head of {config.architecture} is not declared")
        return Head(
            name=self.name,
            vocabulary=config["vocab_size"],
            width=width,
            tied=bool(config["tie_word_embeddings"]) if self.tied is None else self.tied,
            optional=not root,
            softcap=self.cap,
            bias=self.bias,
            scale=self.scale,
            normalized=self.normalized,
        )
