"""ModernBERT's keys and its heads, all of which look through a layer of their own."""

from __future__ import annotations

from collections.abc import Callable

from weightscope.components.encoder_heads import Of
from weightscope.components.norm import Norm
from weightscope.config import Config, Nullable
from weightscope.families.common.encoders import Heads, classes, heads_of, transform, vocabulary_head
from weightscope.roles import Role
from weightscope.sizes import Size

MODERNBERT = {
    "vocab_size": 50368, "hidden_size": 768, "intermediate_size": 1152, "num_hidden_layers": 22,
    "num_attention_heads": 12, "hidden_activation": "gelu", "max_position_embeddings": 8192, "norm_eps": 1e-5,
    "norm_bias": False, "attention_bias": False, "layer_types": Nullable(list), "global_attn_every_n_layers": 3,
    "rope_parameters": Nullable(dict), "rope_scaling": Nullable(dict), "global_rope_theta": 160000.0,
    "local_rope_theta": 10000.0, "local_attention": 128, "sliding_window": Nullable(int), "mlp_bias": False,
    "decoder_bias": True,
    "classifier_pooling": "cls", "classifier_bias": False, "classifier_activation": "gelu", "is_causal": Nullable(bool),
    "tie_word_embeddings": True,
}  # fmt: skip
POOLS: dict[str, Of] = {"cls": "first", "mean": "mean"}


def heads(config: Config, width: Size, norm: Callable[[str, Role, Size], Norm]) -> Heads:
    """Those of the architecture; `classifier_pooling` says whether a sequence is its first token or the mean.

    Raises:
        ConfigError: it says something else.
    """
    before = transform(
        width, config["classifier_activation"], norm("norm", Role.NORM, width), name="head",
        bias=config["classifier_bias"],
    )  # fmt: skip
    pool = POOLS.get(config["classifier_pooling"])
    if pool is None:
        raise config.error(f"'classifier_pooling' is {config['classifier_pooling']!r:.60}, neither 'cls' nor 'mean'")
    of_tokens = classes(width, config.labels, of="tokens", before=before)
    known = {
        "MaskedLM": (vocabulary_head(config, width, before, decoder="decoder", bias=config["decoder_bias"]),),
        "SequenceClassification": (classes(width, config.labels, of=pool, before=before),),
        "MultipleChoice": (classes(width, 1, of=pool, before=before),),
        "TokenClassification": (of_tokens,),
        "QuestionAnswering": (of_tokens,),
    }
    return heads_of(config, known)
