"""XLM-RoBERTa with a rotation as Jina published it, with the LoRAs of its tasks inside or without.

Source: `XLMRobertaFlashConfig` and `LoRAParametrization` of jinaai/xlm-roberta-flash-implementation.
"""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.components.base import Component, Group, Repeat
from weightscope.components.embedding import Embedding
from weightscope.components.encoder import Encoder, EncoderModel, TokenEmbeddings
from weightscope.components.encoder_heads import Dense, EncoderHead
from weightscope.components.inner_adapters import InnerAdapter
from weightscope.components.task_lora import AdaptedProjection, TaskLora
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.encoders import heads_of, pooler
from weightscope.families.common.parts import mlp
from weightscope.families.siblings.bert import roberta_heads
from weightscope.families.siblings.turning_bert import embeddings, layers, published
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import PARAMETRIZED, Parametrized

FLASH = {
    "vocab_size": 250002, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
    "intermediate_size": 4096, "hidden_act": "gelu", "type_vocab_size": 1, "layer_norm_eps": 1e-5,
    "rotary_emb_base": 10000.0, "lora_adaptations": Nullable(list), "lora_rank": 4, "lora_alpha": 1.0,
    "load_trained_adapters": False, "tie_word_embeddings": True, "is_causal": Nullable(bool),
    "architectures": Nullable(list),
}  # fmt: skip
NAMES = published("mixer")
# Names of a layer's matrices, and which sizes they take and give: of the stream, of all three projections, within.
WIDE, FUSED, INNER = "width", "queries, keys and values", "inner"
MATRICES = {
    "mixer.Wqkv": (WIDE, FUSED),
    "mixer.out_proj": (WIDE, WIDE),
    "mlp.fc1": (WIDE, INNER),
    "mlp.fc2": (INNER, WIDE),
}
# The tables, and the keys that say how many rows they have; where the factors lie beside a module.
TABLES = {"word_embeddings": "vocab_size", "token_type_embeddings": "type_vocab_size"}
FACTORS = "parametrizations.weight.0"


def flash(config: Config, root: str) -> EncoderModel:
    """Trained LoRAs of tasks lie beside each matrix and table, in `roberta`; else a plain encoder."""
    config = config.with_defaults(FLASH)
    if config["load_trained_adapters"] and config["lora_adaptations"]:
        return adapted(config)
    s, norm = Dims.of(config), layer_norms(config["layer_norm_eps"])
    feed_forward = mlp(s.width, config["intermediate_size"], config["hidden_act"], names=("fc1", "fc2"), bias=True)
    heads = heads_of(config, roberta_heads(config, s.width, norm))
    return EncoderModel(
        encoder=Encoder(
            name=root.partition(", ")[0],
            embeddings=embeddings(config, s.width, norm, NAMES),
            blocks=layers(config, s, norm, NAMES, feed_forward, bias=True),
            pooler=pooler(s.width, unused=bool(heads)),
            depth=s.depth,
        ),
        heads=heads,
    )


def adapted(config: Config) -> EncoderModel:
    """The same matrices under the names that torch gives to parametrized ones; a task's LoRA is added on request."""
    if not config.is_base_model:
        raise config.undeclared(f"the head of {config.architecture} beside LoRAs of tasks is not declared")
    s, norm = Dims.of(config), layer_norms(config["layer_norm_eps"])
    inner, activation = config["intermediate_size"], config["hidden_act"]
    feed_forward = mlp(s.width, inner, activation, names=("fc1", "fc2"), bias=True, stored=Parametrized)
    dense = AdaptedProjection(name="dense", inputs=s.width, outputs=s.width, bias=True, role=Role.POOLER)
    return EncoderModel(
        encoder=Encoder(
            name="roberta",
            embeddings=TokenEmbeddings(
                words=table("word_embeddings", Role.TOKEN_EMBEDDING, config["vocab_size"], s.width),
                types=table("token_type_embeddings", Role.TOKEN_TYPE_EMBEDDING, config["type_vocab_size"], s.width),
                norm=norm(NAMES.embedding_norm, Role.EMBEDDING_NORM, s.width),
            ),
            blocks=layers(config, s, norm, NAMES, feed_forward, bias=True, stored=Parametrized),
            pooler=EncoderHead(name="pooler", of="first", before=Dense(dense=dense, activation="tanh")),
            depth=s.depth,
        ),
        extras=tuple(loras(config, s.width, s.depth)),
        tasks=tuple(tasks(config)),
    )


def tasks(config: Config) -> Iterator[tuple[str, InnerAdapter]]:
    """The LoRA of each task, by its name.

    Raises:
        ConfigError: names that are no texts, or a rank of 0.
    """
    names, rank = config["lora_adaptations"], config["lora_rank"]
    if not all(isinstance(name, str) for name in names) or not rank:
        raise config.error("'lora_adaptations' lists names of tasks, and 'lora_rank' is at least 1")
    for number, name in enumerate(names):
        yield (
            name,
            InnerAdapter(
                weight=PARAMETRIZED,
                a=f"{FACTORS}.lora_A",
                b=f"{FACTORS}.lora_B",
                scale=config["lora_alpha"] / int(rank),
                tables=tuple(f"roberta.embeddings.{table}" for table in TABLES),
                entry=number,
            ),
        )


def table(name: str, role: Role, rows: Size, width: Size) -> Embedding:
    """A table of vectors beside which LoRAs lie."""
    return Embedding(name=f"embeddings.{name}", role=role, rows=rows, width=width, leaf=PARAMETRIZED)


def loras(config: Config, width: Size, depth: Size) -> Iterator[Component]:
    """Those beside both tables, beside the matrices of each layer, and beside the pooler's."""
    count, rank = Size(len(config["lora_adaptations"]), "lora_adaptations"), config["lora_rank"]
    sizes = {WIDE: width, FUSED: width * 3, INNER: config["intermediate_size"]}

    def beside(name: str, inputs: Size, outputs: Size) -> TaskLora:
        return TaskLora(name=f"{name}.{FACTORS}", a=(count, rank, inputs), b=(count, outputs, rank))

    for name, key in TABLES.items():
        module = f"roberta.embeddings.{name}.{FACTORS}"
        yield TaskLora(name=module, a=(count, config[key], rank), b=(count, rank, width))
    layer = Group(parts=tuple(beside(name, sizes[x], sizes[y]) for name, (x, y) in MATRICES.items()))
    yield Repeat(name="roberta.encoder.layers", indices=range(depth), child=layer)
    yield beside("roberta.pooler.dense", width, width)
