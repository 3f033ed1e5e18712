"""Llama, and what is Llama in all but name: Mistral, Yi.

Sources: arXiv 2302.13971; `LlamaConfig`, `MistralConfig` of transformers; 01-ai's `YiConfig`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weightscope.components.attention import Attention
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Classifier, Embedding, Head
from weightscope.components.mlp import GatedMLP
from weightscope.components.norm import RMSNorm
from weightscope.components.rope import Rope
from weightscope.components.windows import by_window
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear

LLAMA: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": Nullable(int),
    "head_dim": Nullable(int),
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 2048,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
}
MISTRAL = LLAMA | {
    "intermediate_size": 14336,
    "num_key_value_heads": Nullable(int, 8),
    "max_position_embeddings": 131072,
    "sliding_window": Nullable(int, 4096),
}
YI = LLAMA | {
    "vocab_size": 64000,
    "num_key_value_heads": Nullable(int, 4),
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "rope_theta": 5000000.0,
}
# What a root stands for in Yi: the names of the two norms.
YI_NORMS = {
    "ln1 and ln2": ("ln1", "ln2"),
    "as in Llama": ("input_layernorm", "post_attention_layernorm"),
}


@family("llama", roots=("model", ""), defaults=LLAMA)
def llama(config: Config, root: str) -> CausalLM:
    """Bias on all four projections or none, on all three matrices of the MLP or none; no windows."""
    bias, mlp_bias = config["attention_bias"], config["mlp_bias"]
    projections = four_projections(qkv_bias=bias, o_bias=bias)
    return decoder(config, root, projections=projections, feed_forward=gated_mlp(config, "mlp", bias=mlp_bias))


@family("mistral", roots=("model", ""), defaults=MISTRAL)
def mistral(config: Config, root: str) -> CausalLM:
    """Every layer sees a window of `sliding_window` positions, if that is set."""
    return decoder(config, root, slides=lambda _: True)


@family("Yi", roots=tuple(YI_NORMS), defaults=YI)
@family("yi", roots=tuple(YI_NORMS), defaults=YI)
def yi(config: Config, root: str) -> CausalLM:
    """The first Yi releases have their own names for the norms; later ones are published as llama."""
    return decoder(config, "model", norm_names=YI_NORMS[root])


def decoder(
    config: Config,
    root: str,
    *,
    projections: tuple[Linear, ...] | None = None,
    head_norms: bool = False,
    feed_forward: Component | None = None,
    slides: Callable[[int], bool] | None = None,
    norm_names: tuple[str, str] = ("input_layernorm", "post_attention_layernorm"),
    longrope: tuple[str, ...] = (),
) -> CausalLM:
    """A Llama-like model: RMS norms before each half, rotary attention with grouped heads, `feed_forward`.

    `projections` are the attention's, four without bias unless told otherwise.
    `head_norms` puts an RMS norm on each head's query and key; `slides` says which layers see only a window, without
    it none does; `longrope` are other names of that scaling.
    """
    width, heads, eps = config["hidden_size"], config["num_attention_heads"], config["rms_norm_eps"]
    head_dim = config["head_dim"] or width // heads
    rope = Rope.of(config, head_dim, longrope=longrope)
    head_norm = (("q_norm", Role.Q_NORM), ("k_norm", Role.K_NORM)) if head_norms else ()

    def block(window: int | None) -> Block:
        return Block(
            input_norm=RMSNorm(name=norm_names[0], role=Role.INPUT_NORM, size=width, eps=eps),
            attention=Attention(
                name="self_attn",
                items=(*(projections or four_projections()), rope.table("rotary_emb.inv_freq")),
                width=width,
                heads=heads,
                kv_heads=config["num_key_value_heads"] or heads,
                head_dim=head_dim,
                rope=rope,
                norms=tuple(RMSNorm(name=name, role=role, size=head_dim, eps=eps) for name, role in head_norm),
                window=window,
            ),
            feed_forward_norm=RMSNorm(name=norm_names[1], role=Role.POST_ATTENTION_NORM, size=width, eps=eps),
            feed_forward=feed_forward or gated_mlp(config, "mlp"),
        )

    return CausalLM(
        decoder=Decoder(
            name=root,
            embedding=Embedding(name="embed_tokens", rows=config["vocab_size"], width=width),
            blocks=tuple(
                Repeat(name="layers", indices=layers, child=block(window))
                for layers, window in by_window(config, slides)
            ),
            final_norm=RMSNorm(name="norm", role=Role.FINAL_NORM, size=width, eps=eps),
            depth=config["num_hidden_layers"],
        ),
        head=head(config, root),
    )


def four_projections(*, qkv_bias: bool = False, o_bias: bool = False) -> tuple[Linear, ...]:
    """q, k, v and o, each a matrix of its own."""
    return (
        Linear("q_proj", Role.Q_PROJ, bias=qkv_bias),
        Linear("k_proj", Role.K_PROJ, bias=qkv_bias),
        Linear("v_proj", Role.V_PROJ, bias=qkv_bias),
        Linear("o_proj", Role.O_PROJ, bias=o_bias),
    )


def gated_mlp(
    config: Config,
    name: str,
    *,
    inner: Size | None = None,
    bias: bool = False,
    activation: str | None = None,
    names: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj"),
) -> GatedMLP:
    """Three matrices under the names that they have on disk, `intermediate_size` wide unless told otherwise."""
    roles = (Role.GATE_PROJ, Role.UP_PROJ, Role.DOWN_PROJ)
    return GatedMLP(
        name=name,
        items=tuple(Linear(spelled, role, bias=bias) for spelled, role in zip(names, roles, strict=True)),
        width=config["hidden_size"],
        inner=inner or config["intermediate_size"],
        activation=activation or config["hidden_act"],
    )


def head(
    config: Config,
    root: str,
    *,
    name: str = "lm_head",
    width: Size | None = None,
    softcap: float | None = None,
    tagger: str = "score",
) -> Head | Classifier | None:
    """What lies beside the root: the head that scores the vocabulary, a classifier, or nothing in a base model."""
    width = width or config["hidden_size"]
    if config.is_base_model:
        return None
    if config.task == "SequenceClassification":
        return Classifier(name="score", labels=config.labels, width=width, bias=False)
    if config.task == "TokenClassification":
        return Classifier(name=tagger, labels=config.labels, width=width, bias=True)
    if config.task not in ("", "CausalLM", "ConditionalGeneration"):
        raise UndeclaredError(f"the head of {config.architecture} is not declared", where=config.source)
    return Head(
        name=name,
        vocabulary=config["vocab_size"],
        width=width,
        tied=bool(config["tie_word_embeddings"]),
        optional=not root,
        softcap=softcap,
    )
