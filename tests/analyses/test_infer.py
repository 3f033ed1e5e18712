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
        # What stands before the vocabulary's matrix in RoBERTa, XLM-R, CamemBERT, MPNet and ESM is no head.
        ("lm_head.dense.weight", 2, Role.UNKNOWN, Section.OTHER, W),
        ("lm_head.layer_norm.weight", 1, Role.FINAL_NORM, Section.NORM, W),
        ("lm_head.decoder.weight", 2, Role.LM_HEAD, Section.HEAD, W),
        ("lm_head.bias", 1, Role.LM_HEAD, Section.HEAD, B),
        # Towers and what joins them to the language model, under the names that published models give them.
        ("model.image_tower.blocks.{}.attn.qkv.weight", 2, Role.QKV_PROJ, Section.VISION, W),
        ("model.video_tower.encoder.layers.{}.mlp.fc1.weight", 2, Role.UP_PROJ, Section.VISION, W),
        ("audio_tower.layers.{}.self_attn.q_proj.weight", 2, Role.Q_PROJ, Section.AUDIO, W),
        ("vision_projection.linear.weight", 2, Role.UNKNOWN, Section.PROJECTOR, W),
        ("image_to_text_projection.projection.weight", 2, Role.UNKNOWN, Section.PROJECTOR, W),
        ("mlp_AR.linear_{}.weight", 2, Role.UNKNOWN, Section.PROJECTOR, W),
        ("vision_model.vision_adapter.mlp.fc1.weight", 2, Role.UP_PROJ, Section.PROJECTOR, W),
        ("model.image_newline", 1, Role.UNKNOWN, Section.PROJECTOR, W),
        ("model.embed_tokens_per_layer.weight", 2, Role.LAYER_EMBEDDING, Section.EMBEDDING, W),
        ("model.layers.{}.per_layer_input_gate.weight", 2, Role.LAYER_INPUT_GATE, Section.MLP, W),
        ("model.layers.{}.mlp.adapter.down.weight", 2, Role.UNKNOWN, Section.ADAPTER, W),
    ],
)
def test_guess(template: str, dimensions: int, role: Role, section: Section, kind: Kind) -> None:
    assert guess(template, dimensions) == (role, section, kind)


@pytest.mark.parametrize(("leaf", "dimensions", "kind"), [("bias", 1, B), ("bias", 4, X)])
def test_a_mask_is_not_a_bias(leaf: str, dimensions: int, kind: Kind) -> None:
    assert guess(f"h.{{}}.attn.{leaf}", dimensions).kind is kind
