"""Tiny models of text types that came with transformers 5 in 2026."""

from __future__ import annotations

from tests.families.tiny import LLAMA, YARN, Tiny
from tests.families.tiny_dense import ALTERNATING, BIASES, DEEP, HEAD, MULTIPLIERS, WINDOW

PLAIN = {"attention_bias": False, "mlp_bias": False}

TINY_2026 = [
    Tiny("vaultgemma", "VaultGemma", LLAMA | HEAD | WINDOW),
    Tiny("vaultgemma-listed-bias-untied", "VaultGemma", LLAMA | HEAD | WINDOW | ALTERNATING | {
        "attention_bias": True, "tie_word_embeddings": False, "query_pre_attn_scalar": 7,
        "attn_logit_softcapping": 3.0, "final_logit_softcapping": 2.0,
    }),
    Tiny("jais2", "Jais2", LLAMA),
    Tiny("jais2-plain-tied", "Jais2", LLAMA | PLAIN | HEAD | {"tie_word_embeddings": True, "rope_parameters": YARN}),
    Tiny("hyperclovax", "HyperCLOVAX", LLAMA | MULTIPLIERS),
    Tiny("hyperclovax-biases-no-norms", "HyperCLOVAX", LLAMA | BIASES | HEAD | {"use_post_norm": False}),
    Tiny("granite_swa", "GraniteSWA", DEEP | MULTIPLIERS | WINDOW),
    Tiny("granite_swa-thetas-biases", "GraniteSWA", LLAMA | BIASES | WINDOW | ALTERNATING | {
        "layer_rope_theta": [0, 1e4, 1e2], "tie_word_embeddings": False,
    }),
    Tiny("granitemoe_swa", "GraniteMoeSWA", LLAMA | MULTIPLIERS | WINDOW | {"num_local_experts": 5}),
    Tiny("granitemoe_swa-shared", "GraniteMoeSWA", LLAMA | WINDOW | ALTERNATING | {
        "num_local_experts": 5, "shared_intermediate_size": 11, "layer_rope_theta": [0, 1e4, 1e2],
    }),
]  # fmt: skip
