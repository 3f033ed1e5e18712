"""Roles guessed from names, on real names of types that no family declares."""

from __future__ import annotations

import pytest

from weightscope.analyses.infer import guess
from weightscope.roles import Role, Section
from weightscope.storage.base import Kind

W, B, S, X = Kind.WEIGHT, Kind.BIAS, Kind.SCALE, Kind.BUFFER


@pytest.mark.parametrize(
    ("template", "dimensions", "role", "section", "kind"),
    [
        ("transformer.h.{}.self_attention.query_key_value.weight", 2, Role.QKV_PROJ, Section.ATTENTION, W),
        ("transformer.h.{}.mlp.dense_h_to_4h.bias", 1, Role.UP_PROJ, Section.MLP, B),
        ("transformer.word_embeddings.weight", 2, Role.TOKEN_EMBEDDING, Section.EMBEDDING, W),
        ("transformer.h.{}.attn.c_proj.weight", 2, Role.O_PROJ, Section.ATTENTION, W),
        ("transformer.h.{}.mlp.c_proj.weight", 2, Role.DOWN_PROJ, Section.MLP, W),
        ("transformer.h.{}.ln_1.weight", 1, Role.INPUT_NORM, Section.NORM, W),
        ("model.layers.{}.mlp.experts.{}.up_proj.weight", 2, Role.UP_PROJ, Section.MOE, W),
        ("model.layers.{}.mlp.gate.weight", 2, Role.ROUTER, Section.MOE, W),
        ("model.layers.{}.mlp.gate.e_score_correction_bias", 1, Role.ROUTER_BIAS, Section.OTHER, X),
        ("model.layers.{}.self_attn.rotary_emb.inv_freq", 1, Role.ROTARY_TABLE, Section.OTHER, X),
        ("h.{}.attn.bias", 4, Role.CAUSAL_MASK, Section.OTHER, X),
        ("h.{}.attn.masked_bias", 0, Role.CAUSAL_MASK, Section.OTHER, X),
        ("bert.embeddings.position_ids", 2, Role.POSITION_IDS, Section.OTHER, X),
        ("bert.encoder.layer.{}.attention.self.query.weight", 2, Role.Q_PROJ, Section.ATTENTION, W),
        ("bert.encoder.layer.{}.attention.output.dense.weight", 2, Role.O_PROJ, Section.ATTENTION, W),
        ("bert.encoder.layer.{}.intermediate.dense.weight", 2, Role.UP_PROJ, Section.MLP, W),
        ("bert.encoder.layer.{}.output.dense.bias", 1, Role.DOWN_PROJ, Section.MLP, B),
        ("bert.encoder.layer.{}.output.LayerNorm.weight", 1, Role.NORM, Section.NORM, W),
        ("bert.pooler.dense.weight", 2, Role.UNKNOWN, Section.OTHER, W),
        ("transformer.h.{}.self_attention.dense.weight", 2, Role.O_PROJ, Section.ATTENTION, W),
        ("bert.embeddings.position_embeddings.weight", 2, Role.POSITION_EMBEDDING, Section.EMBEDDING, W),
        ("visual.blocks.{}.attn.qkv.weight", 2, Role.QKV_PROJ, Section.VISION, W),
        ("mm_projector.{}.weight", 2, Role.UNKNOWN, Section.PROJECTOR, W),
        ("base_model.model.model.layers.{}.self_attn.q_proj.lora_A.weight", 2, Role.LORA_A, Section.ADAPTER, W),
        ("model.layers.{}.self_attn.q_proj.qweight", 2, Role.Q_PROJ, Section.ATTENTION, W),
        ("model.layers.{}.self_attn.q_proj.qzeros", 2, Role.Q_PROJ, Section.ATTENTION, S),
        ("model.layers.{}.self_attn.q_proj.g_idx", 1, Role.Q_PROJ, Section.ATTENTION, S),
        ("model.layers.{}.mlp.down_proj.weight_scale", 2, Role.DOWN_PROJ, Section.MLP, S),
        ("backbone.layers.{}.mixer.A_log", 1, Role.STATE_SPACE, Section.STATE_SPACE, W),
        ("backbone.layers.{}.mixer.conv1d.weight", 3, Role.CONVOLUTION, Section.STATE_SPACE, W),
        ("bn.running_mean", 1, Role.RUNNING_STATISTIC, Section.OTHER, X),
        ("score.weight", 2, Role.UNKNOWN, Section.OTHER, W),
    ],
)
def test_guess(template: str, dimensions: int, role: Role, section: Section, kind: Kind) -> None:
    assert guess(template, dimensions) == (role, section, kind)


@pytest.mark.parametrize(("leaf", "dimensions", "kind"), [("bias", 1, B), ("bias", 4, X)])
def test_a_mask_is_not_a_bias(leaf: str, dimensions: int, kind: Kind) -> None:
    assert guess(f"h.{{}}.attn.{leaf}", dimensions).kind is kind
