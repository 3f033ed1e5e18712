"""Findings in the words of a GGUF file, which has metadata in the place of a config.json."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec.structs import replace

from weightscope.findings import Finding

ELSEWHERE, HERE = "config.json", "the metadata"
# Keys of configs, and what llama.cpp calls them behind the architecture's name.
KEYS = {
    "vocab_size": "vocab_size",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "max_position_embeddings": "context_length",
    "num_experts": "expert_count",
    "num_local_experts": "expert_count",
    "n_routed_experts": "expert_count",
    "num_experts_per_tok": "expert_used_count",
    "moe_intermediate_size": "expert_feed_forward_length",
    "sliding_window": "attention.sliding_window",
    "rope_theta": "rope.freq_base",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
}
WORD = re.compile(rf"\b({'|'.join(KEYS)})\b")
PADDING = {"pad": "padding"}
TOKENS = re.compile(r"\b(bos|eos|pad)_token_id\b")
# Files that a GGUF file has no need of.
BOTH = "config.json nor generation_config.json"


def of_metadata(findings: Iterable[Finding], architecture: str) -> tuple[Finding, ...]:
    """The same findings, with the file's own keys, and saying where they are."""
    return tuple(
        replace(
            finding,
            message=in_metadata(finding.message, architecture),
            hint=in_metadata(finding.hint, architecture) if finding.hint else finding.hint,
            config=tuple(in_metadata(key, architecture) for key in finding.config),
        )
        for finding in findings
    )


def in_metadata(text: str, architecture: str) -> str:
    """A text with the file's own keys, and saying where they are."""
    text = text.replace(f"neither {BOTH} has an", f"{HERE} lacks").replace(ELSEWHERE, HERE)
    text = TOKENS.sub(lambda match: f"tokenizer.ggml.{PADDING.get(match[1], match[1])}_token_id", text)
    return WORD.sub(lambda match: f"{architecture}.{KEYS[match[1]]}", text)
