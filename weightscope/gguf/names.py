"""What llama.cpp calls the tensor of a role.

Source: `TENSOR_NAMES` in gguf-py/gguf/constants.py of llama.cpp. Within layers the names stand behind `blk.N.`.
"""

from __future__ import annotations

from collections.abc import Mapping

from weightscope.components.attention.softmax import Attention
from weightscope.components.walk import Slot
from weightscope.gguf.architecture import Architecture
from weightscope.roles import Role, Section
from weightscope.storage.base import Kind

STEMS = {
    Role.TOKEN_EMBEDDING: "token_embd",
    Role.TOKEN_TYPE_EMBEDDING: "token_types",
    Role.POSITION_EMBEDDING: "position_embd",
    Role.EMBEDDING_NORM: "token_embd_norm",
    Role.FINAL_NORM: "output_norm",
    Role.LM_HEAD: "output",
    Role.INPUT_NORM: "attn_norm",
    Role.POST_ATTENTION_NORM: "ffn_norm",
    Role.PRE_FEEDFORWARD_NORM: "ffn_norm",
    Role.POST_FEEDFORWARD_NORM: "post_ffw_norm",
    Role.Q_PROJ: "attn_q",
    Role.K_PROJ: "attn_k",
    Role.V_PROJ: "attn_v",
    Role.O_PROJ: "attn_output",
    Role.Q_NORM: "attn_q_norm",
    Role.K_NORM: "attn_k_norm",
    Role.SINK: "attn_sinks",
    Role.Q_A_PROJ: "attn_q_a",
    Role.Q_B_PROJ: "attn_q_b",
    Role.KV_A_PROJ: "attn_kv_a_mqa",
    Role.KV_B_PROJ: "attn_kv_b",
    Role.Q_A_NORM: "attn_q_a_norm",
    Role.KV_A_NORM: "attn_kv_a_norm",
    Role.GATE_PROJ: "ffn_gate",
    Role.UP_PROJ: "ffn_up",
    Role.DOWN_PROJ: "ffn_down",
    Role.ROUTER: "ffn_gate_inp",
    Role.SHARED_GATE: "ffn_gate_inp_shexp",
    Role.ROUTER_BIAS: "exp_probs_b",
    Role.X_PROJ: "ssm_x",
    Role.DT_PROJ: "ssm_dt",
    Role.CONVOLUTION: "ssm_conv1d",
    Role.A_LOG: "ssm_a",
    Role.D: "ssm_d",
    Role.OUT_PROJ: "ssm_out",
    Role.DT_BIAS: "ssm_dt",
    Role.A_PROJ: "ssm_alpha",
    Role.B_PROJ: "ssm_beta",
    Role.Z_PROJ: "attn_gate",
    Role.NORM: "ssm_norm",
    Role.DT_NORM: "ssm_dt_norm",
    Role.B_NORM: "ssm_b_norm",
    Role.C_NORM: "ssm_c_norm",
}
# Several roles that may lie in one tensor, rows of one below those of another.
FUSED = {
    (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ): "attn_qkv",
    (Role.GATE_PROJ, Role.UP_PROJ): "ffn_up",
    (Role.IN_PROJ, Role.Z_PROJ): "ssm_in",
    (Role.Z_PROJ, Role.IN_PROJ, Role.B_PROJ, Role.C_PROJ, Role.DT_PROJ): "ssm_in",
    (Role.B_PROJ, Role.C_PROJ, Role.IN_PROJ): "shortconv.in_proj",
    (Role.Q_PROJ, Role.ATTENTION_GATE): "attn_q",
    (Role.B_PROJ, Role.A_PROJ): "ssm_ba",
}
# Of these the tensor has the rows in the order in which the architecture has them.
AS_IT_IS = {(Role.Q_PROJ, Role.ATTENTION_GATE), (Role.B_PROJ, Role.A_PROJ)}
# What stands around a layer that predicts a further token; the layer itself has the usual names.
AHEAD = {
    Role.MTP_PROJ: "nextn.eh_proj",
    Role.TOKEN_EMBEDDING: "nextn.embed_tokens",
    Role.EMBEDDING_NORM: "nextn.enorm",
    Role.NORM: "nextn.hnorm",
    Role.FINAL_NORM: "nextn.shared_head_norm",
    Role.LM_HEAD: "nextn.shared_head_head",
}
# Norms of a mixture that lies beside an MLP, by the name of their module: their roles are the same as the MLP's.
BESIDE = {
    "post_feedforward_layernorm_1": "post_ffw_norm_1",
    "pre_feedforward_layernorm_2": "pre_ffw_norm_2",
    "post_feedforward_layernorm_2": "post_ffw_norm_2",
}
FUSED_EXPERTS = "ffn_gate_up"
# Scales that a model has of its own, and not those of a type of block.
SCALES = {Role.ROUTER_SCALE, Role.EXPERT_SCALE}
# Matrices that the architecture numbers and llama.cpp has in one tensor.
TOGETHER = {Role.ALTUP_PROJ, Role.ALTUP_UNEMBED_PROJ}
# Numbers of which the metadata has one for each layer, in an array under these names.
NUMBERS = {Role.ALPHA_P, Role.ALPHA_N, Role.BETA, Role.EPSILON}
# Parameters that are no module's, and so have no `.weight`; and buffers that have the name of a bias.
BARE = {Role.A_LOG, Role.D}
AS_BIAS = {Role.ROUTER_BIAS, Role.DT_BIAS}


def name_of(role: Role, slot: Slot, architecture: Architecture) -> str | None:
    """The whole name, with `{}` for the layer; None for a role that GGUF files are not known to have."""
    module = slot.template.removesuffix(".weight").removesuffix(".bias")
    whole = next((stem for end, stem in architecture.modules.items() if module.endswith(end)), None)
    if whole is not None:
        return whole + _suffix(slot, role)
    stem = _stem(role, slot, architecture.names)
    return None if stem is None else full_name(stem, slot, role, architecture)


def _stem(role: Role, slot: Slot, own: Mapping[Role, str]) -> str | None:
    """The name without layer and suffix."""
    module = slot.template.removesuffix(".weight").rpartition(".")[2]
    stem = (AHEAD.get(role) if slot.auxiliary else None) or BESIDE.get(module) or own.get(role) or STEMS.get(role)
    if stem is None:
        return None
    crosses = isinstance(slot.owner, Attention) and slot.owner.source
    return f"{'cross_' if crosses else ''}{stem}{_kind(slot, (role,))}"


def fused_name(roles: tuple[Role, ...], slot: Slot, architecture: Architecture) -> str | None:
    """The same of a tensor that holds several roles."""
    if roles not in FUSED:
        return None
    mixture = roles == (Role.GATE_PROJ, Role.UP_PROJ) and _is_stacked(slot)
    stem = f"{FUSED_EXPERTS if mixture else FUSED[roles]}{_kind(slot, roles)}"
    return full_name(stem, slot, roles[0], architecture)


def full_name(stem: str, slot: Slot, role: Role, architecture: Architecture) -> str:
    """The whole name of a stem, with `{}` for the layer."""
    stacks = architecture.stacks.items()
    stack = next((begin for word, begin in stacks if f".{word}." in f".{slot.template}"), "")
    suffix = "" if architecture.forms.get(role) == "bare" else _suffix(slot, role)
    return f"{stack}{'blk.{}.' if slot.ranges else ''}{stem}{suffix}"


def _suffix(slot: Slot, role: Role) -> str:
    if slot.stored.kind is Kind.BIAS or role in AS_BIAS:
        return ".bias"
    return ".scale" if role in SCALES else "" if role in BARE else ".weight"


def _is_stacked(slot: Slot) -> bool:
    """Whether the tensor holds experts of which a token uses some."""
    return slot.chosen != (1, 1)


def _kind(slot: Slot, roles: tuple[Role, ...]) -> str:
    """What tells the experts of a mixture, and those that all tokens share, from an MLP."""
    if not {Role.GATE_PROJ, Role.UP_PROJ, Role.DOWN_PROJ} & set(roles):
        return ""
    if _is_stacked(slot):
        return "_exps"
    # A layer that predicts ahead is accounted as a whole, its mixture as well.
    return "_shexp" if slot.section is Section.MOE or (slot.auxiliary and "shared_expert" in slot.template) else ""
