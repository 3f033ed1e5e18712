"""What the key-by-key test allows: refusals and deliberate differences with their reasons, and what is still wrong."""

from __future__ import annotations

from tests.families.key_oracle import Outcome
from tests.families.keys import Change

# (model type or *, key): why we refuse it by name. None: whatever the value.
REFUSED: dict[tuple[str, str], str] = {
    ("*", "hidden_act=mish"): "no published model has it",
}
# (model type, key): where we follow the published code of the model rather than transformers'.
DELIBERATE: dict[tuple[str, str], str] = {
    ("mpt", "attn_config.alibi_bias_max"): "llm-foundry obeys it; transformers does not pass it on",
    ("dbrx", "attn_config.rope_theta"): "Databricks' code reads it; transformers reads rope_parameters",
    ("deepseek_v3", "moe_layer_freq"): "DeepSeek's code obeys it; transformers' class does not have it",
}
# model type: keys on which we still differ from transformers.
KNOWN: dict[str, tuple[str, ...]] = {}


def expected(model_type: str, change: Change, outcome: Outcome) -> tuple[str, str, str] | None:
    """The row that allows an outcome, if there is one."""
    return None
