"""Parts under the names that most families give them: projections, gated MLP, head."""

from __future__ import annotations

from weightscope.components.embedding import Classifier, Head
from weightscope.components.mlp import GatedMLP
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear


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
