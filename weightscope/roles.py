"""What a tensor is for: the field's own word for it, and the component it is accounted to."""

from __future__ import annotations

from enum import StrEnum


class Section(StrEnum):
    """The components of the breakdown, in the order in which data meets them."""

    __repr__ = str.__repr__

    EMBEDDING = "embedding"
    VISION = "vision"
    AUDIO = "audio"
    PROJECTOR = "projector"
    ATTENTION = "attention"
    STATE_SPACE = "state_space"
    MLP = "mlp"
    MOE = "moe"
    NORM = "norm"
    POOLER = "pooler"
    HEAD = "head"
    ADAPTER = "adapter"
    OTHER = "other"
    MTP = "mtp"


class Role(StrEnum):
    """The role of a weight in the forward pass. Within vision, projector and mtp the same words are used.

    Declared families split fused tensors into their roles; `qkv_proj` and `gate_up_proj` are for inferred ones.
    """

    __repr__ = str.__repr__

    TOKEN_EMBEDDING = "token_embedding"  # noqa: S105 - no password
    POSITION_EMBEDDING = "position_embedding"
    TOKEN_TYPE_EMBEDDING = "token_type_embedding"  # noqa: S105 - no password
    CLASS_EMBEDDING = "class_embedding"
    DISTILLATION_EMBEDDING = "distillation_embedding"
    TILE_EMBEDDING = "tile_embedding"
    REGISTER_EMBEDDING = "register_embedding"
    MASK_EMBEDDING = "mask_embedding"
    PATCH_EMBEDDING = "patch_embedding"
    DOWNSAMPLE = "downsample"
    PROBE = "probe"
    POINT_EMBEDDING = "point_embedding"
    VISUAL_EMBEDDING = "visual_embedding"
    FEED_FORWARD_GATE = "feed_forward_gate"
    RELATIVE_ROWS = "relative_rows"
    RELATIVE_COLUMNS = "relative_columns"
    Q_PROJ = "q_proj"
    K_PROJ = "k_proj"
    V_PROJ = "v_proj"
    O_PROJ = "o_proj"
    RELATIVE_K_PROJ = "relative_k_proj"
    CONTENT_BIAS = "content_bias"
    DISTANCE_BIAS = "distance_bias"
    SEGMENT_BIAS = "segment_bias"
    SEGMENT_KEY = "segment_key"
    GLOBAL_Q_PROJ = "global_q_proj"
    GLOBAL_K_PROJ = "global_k_proj"
    GLOBAL_V_PROJ = "global_v_proj"
    POSITION_K_PROJ = "position_k_proj"
    POSITION_Q_PROJ = "position_q_proj"
    QUERY_SCALE = "query_scale"
    QKV_PROJ = "qkv_proj"
    Q_A_PROJ = "q_a_proj"
    Q_B_PROJ = "q_b_proj"
    KV_A_PROJ = "kv_a_proj"
    KV_B_PROJ = "kv_b_proj"
    INDEX_Q_PROJ = "index_q_proj"
    INDEX_K_PROJ = "index_k_proj"
    INDEX_WEIGHT = "index_weight"
    O_A_PROJ = "o_a_proj"
    O_B_PROJ = "o_b_proj"
    COMPRESSOR_PROJ = "compressor_proj"
    COMPRESSOR_GATE = "compressor_gate"
    COMPRESSOR_BIAS = "compressor_bias"
    SINK = "sink"
    RELATIVE_POSITION = "relative_position"
    RELATIVE_GATE = "relative_gate"
    RELATIVE_GATE_SCALE = "relative_gate_scale"
    Q_NORM = "q_norm"
    K_NORM = "k_norm"
    V_NORM = "v_norm"
    Q_A_NORM = "q_a_norm"
    KV_A_NORM = "kv_a_norm"
    INDEX_Q_NORM = "index_q_norm"
    INDEX_K_NORM = "index_k_norm"
    COMPRESSOR_NORM = "compressor_norm"
    GATE_PROJ = "gate_proj"
    UP_PROJ = "up_proj"
    DOWN_PROJ = "down_proj"
    GATE_UP_PROJ = "gate_up_proj"
    ALPHA_P = "alpha_p"
    ALPHA_N = "alpha_n"
    ROUTER = "router"
    ROUTER_SCALE = "router_scale"
    EXPERT_SCALE = "expert_scale"
    LATENT_DOWN_PROJ = "latent_down_proj"
    LATENT_UP_PROJ = "latent_up_proj"
    SHARED_GATE = "shared_gate"
    INPUT_NORM = "input_norm"
    POST_ATTENTION_NORM = "post_attention_norm"
    CROSS_NORM = "cross_norm"
    PRE_FEEDFORWARD_NORM = "pre_feedforward_norm"
    POST_FEEDFORWARD_NORM = "post_feedforward_norm"
    FINAL_NORM = "final_norm"
    EMBEDDING_NORM = "embedding_norm"
    SUB_NORM = "sub_norm"
    EMBEDDING_PROJ = "embedding_proj"
    LAYER_EMBEDDING = "layer_embedding"
    LAYER_EMBEDDING_PROJ = "layer_embedding_proj"
    LAYER_EMBEDDING_NORM = "layer_embedding_norm"
    LAYER_INPUT_GATE = "layer_input_gate"
    LAYER_INPUT_PROJ = "layer_input_proj"
    LAYER_INPUT_NORM = "layer_input_norm"
    ALTUP_PROJ = "altup_proj"
    ALTUP_UNEMBED_PROJ = "altup_unembed_proj"
    ALTUP_ROUTER = "altup_router"
    ALTUP_NORM = "altup_norm"
    ALTUP_PREDICTION = "altup_prediction"
    ALTUP_CORRECTION = "altup_correction"
    ALTUP_SCALE = "altup_scale"
    STREAM_PROJ = "stream_proj"
    STREAM_BIAS = "stream_bias"
    STREAM_SCALE = "stream_scale"
    LAUREL_LEFT = "laurel_left"
    LAUREL_RIGHT = "laurel_right"
    LAUREL_NORM = "laurel_norm"
    OUTPUT_PROJ = "output_proj"
    LOGIT_SCALE = "logit_scale"
    AUDIO_LOGIT_SCALE = "audio_logit_scale"
    LOGIT_BIAS = "logit_bias"
    SHARED_PROJ = "shared_proj"
    LM_HEAD = "lm_head"
    CLASSIFIER = "classifier"
    POOLER = "pooler"
    LAYER_WEIGHT = "layer_weight"
    CODE_PROJ = "code_proj"
    CODE_BOOK = "code_book"
    PROJECTOR = "projector"
    PROJECTOR_NORM = "projector_norm"
    IMAGE_NEWLINE = "image_newline"
    IMAGE_BEGIN = "image_begin"
    IMAGE_END = "image_end"
    IMAGE_SEPARATOR = "image_separator"
    AUDIO_MARK = "audio_mark"
    MTP_PROJ = "mtp_proj"
    LORA_A = "lora_a"
    LORA_B = "lora_b"
    LORA_E = "lora_e"
    LORA_MAGNITUDE = "lora_magnitude"
    LORA_ALPHA = "lora_alpha"
    IA3_VECTOR = "ia3_vector"
    LOHA_FACTOR = "loha_factor"
    LOKR_FACTOR = "lokr_factor"
    VERA_VECTOR = "vera_vector"
    VERA_PROJECTION = "vera_projection"
    OFT_ROTATION = "oft_rotation"
    OFT_SCALE = "oft_scale"
    TRAINED_TOKENS = "trained_tokens"
    PROMPT_EMBEDDING = "prompt_embedding"
    STATE_SPACE = "state_space"
    CONVOLUTION = "convolution"
    NORM = "norm"
    # Mixers that carry a state from token to token: what enters them, what leaves, and what moves the state.
    IN_PROJ = "in_proj"
    X_PROJ = "x_proj"
    A_PROJ = "a_proj"
    B_PROJ = "b_proj"
    C_PROJ = "c_proj"
    Z_PROJ = "z_proj"
    F_A_PROJ = "f_a_proj"
    F_B_PROJ = "f_b_proj"
    G_A_PROJ = "g_a_proj"
    G_B_PROJ = "g_b_proj"
    DT_PROJ = "dt_proj"
    DT_BIAS = "dt_bias"
    A_LOG = "A_log"
    D = "D"
    OUT_PROJ = "out_proj"
    DT_NORM = "dt_norm"
    B_NORM = "b_norm"
    C_NORM = "c_norm"
    # Griffin's recurrent unit, and RWKV.
    INPUT_GATE = "input_gate"
    INPUT_GATE_BIAS = "input_gate_bias"
    RECURRENT_GATE = "recurrent_gate"
    RECURRENT_GATE_BIAS = "recurrent_gate_bias"
    RECURRENT_PARAM = "recurrent_param"
    RECEPTANCE = "receptance"
    TIME_DECAY = "time_decay"
    TIME_FIRST = "time_first"
    TIME_MIX_KEY = "time_mix_key"
    TIME_MIX_VALUE = "time_mix_value"
    TIME_MIX_RECEPTANCE = "time_mix_receptance"
    # What decides how much of each attention head's output counts.
    ATTENTION_GATE = "attention_gate"
    # Single numbers whose tanh multiplies what a half of a block adds, or learned positions.
    ATTN_GATE = "attn_gate"
    MLP_GATE = "mlp_gate"
    POSITION_GATE = "position_gate"
    # Buffers: registered beside the weights, not learned by gradient.
    ROTARY_TABLE = "rotary_table"
    CAUSAL_MASK = "causal_mask"
    POSITION_IDS = "position_ids"
    ROUTER_BIAS = "router_bias"
    TOKEN_EXPERTS = "token_experts"  # noqa: S105 - no password
    LAYER_SCALE = "layer_scale"
    CLIP_BOUND = "clip_bound"
    FEATURE_BIAS = "feature_bias"
    FEATURE_SCALE = "feature_scale"
    BETA = "beta"
    EPSILON = "epsilon"
    RUNNING_MEAN = "running_mean"
    RUNNING_VARIANCE = "running_variance"
    RUNNING_STATISTIC = "running_statistic"
    DECAY_RATE = "decay_rate"
    DECAY_TABLE = "decay_table"
    UNKNOWN = "unknown"


# Their rows are looked up (`torch.nn.Embedding`), not multiplied: they are no Linear modules.
TABLES = frozenset(
    {
        Role.TOKEN_EMBEDDING,
        Role.POSITION_EMBEDDING,
        Role.TOKEN_TYPE_EMBEDDING,
        Role.CLASS_EMBEDDING,
        Role.TILE_EMBEDDING,
        Role.LAYER_EMBEDDING,
        Role.POINT_EMBEDDING,
        Role.VISUAL_EMBEDDING,
        Role.PROMPT_EMBEDDING,
        Role.RELATIVE_POSITION,
        Role.AUDIO_MARK,
    }
)

_SECTIONS = {
    Section.EMBEDDING: (
        Role.TOKEN_EMBEDDING,
        Role.POSITION_EMBEDDING,
        Role.TOKEN_TYPE_EMBEDDING,
        Role.CLASS_EMBEDDING,
        Role.DISTILLATION_EMBEDDING,
        Role.TILE_EMBEDDING,
        Role.REGISTER_EMBEDDING,
        Role.MASK_EMBEDDING,
        Role.POSITION_GATE,
        Role.PATCH_EMBEDDING,
        Role.DOWNSAMPLE,
        Role.PROBE,
        Role.POINT_EMBEDDING,
        Role.RELATIVE_ROWS,
        Role.RELATIVE_COLUMNS,
        Role.EMBEDDING_PROJ,
        Role.LAYER_EMBEDDING,
        Role.LAYER_EMBEDDING_PROJ,
    ),
    Section.ATTENTION: (
        Role.Q_PROJ,
        Role.K_PROJ,
        Role.V_PROJ,
        Role.O_PROJ,
        Role.RELATIVE_K_PROJ,
        Role.CONTENT_BIAS,
        Role.DISTANCE_BIAS,
        Role.SEGMENT_BIAS,
        Role.SEGMENT_KEY,
        Role.GLOBAL_Q_PROJ,
        Role.GLOBAL_K_PROJ,
        Role.GLOBAL_V_PROJ,
        Role.POSITION_K_PROJ,
        Role.POSITION_Q_PROJ,
        Role.QUERY_SCALE,
        Role.QKV_PROJ,
        Role.Q_A_PROJ,
        Role.Q_B_PROJ,
        Role.KV_A_PROJ,
        Role.KV_B_PROJ,
        Role.ATTENTION_GATE,
        Role.ATTN_GATE,
        Role.INDEX_Q_PROJ,
        Role.INDEX_K_PROJ,
        Role.INDEX_WEIGHT,
        Role.O_A_PROJ,
        Role.O_B_PROJ,
        Role.COMPRESSOR_PROJ,
        Role.COMPRESSOR_GATE,
        Role.COMPRESSOR_BIAS,
        Role.SINK,
        Role.RELATIVE_POSITION,
        Role.RELATIVE_GATE,
        Role.RELATIVE_GATE_SCALE,
    ),
    Section.MLP: (
        Role.GATE_PROJ,
        Role.UP_PROJ,
        Role.DOWN_PROJ,
        Role.GATE_UP_PROJ,
        Role.MLP_GATE,
        Role.ALPHA_P,
        Role.ALPHA_N,
        Role.FEED_FORWARD_GATE,
        Role.LAYER_INPUT_GATE,
        Role.LAYER_INPUT_PROJ,
    ),
    Section.MOE: (
        Role.ROUTER,
        Role.ROUTER_SCALE,
        Role.EXPERT_SCALE,
        Role.SHARED_GATE,
        Role.LATENT_DOWN_PROJ,
        Role.LATENT_UP_PROJ,
    ),
    Section.NORM: (
        Role.INPUT_NORM,
        Role.POST_ATTENTION_NORM,
        Role.CROSS_NORM,
        Role.PRE_FEEDFORWARD_NORM,
        Role.POST_FEEDFORWARD_NORM,
        Role.FINAL_NORM,
        Role.EMBEDDING_NORM,
        Role.SUB_NORM,
        Role.Q_NORM,
        Role.K_NORM,
        Role.V_NORM,
        Role.LAYER_EMBEDDING_NORM,
        Role.LAYER_INPUT_NORM,
        Role.ALTUP_NORM,
        Role.LAUREL_NORM,
        Role.Q_A_NORM,
        Role.KV_A_NORM,
        Role.INDEX_Q_NORM,
        Role.INDEX_K_NORM,
        Role.COMPRESSOR_NORM,
        Role.NORM,
        Role.DT_NORM,
        Role.B_NORM,
        Role.C_NORM,
    ),
    Section.POOLER: (Role.POOLER,),
    Section.HEAD: (
        Role.LM_HEAD,
        Role.CLASSIFIER,
        Role.OUTPUT_PROJ,
        Role.LOGIT_SCALE,
        Role.AUDIO_LOGIT_SCALE,
        Role.LOGIT_BIAS,
        Role.LAYER_WEIGHT,
        Role.CODE_PROJ,
        Role.CODE_BOOK,
    ),
    Section.PROJECTOR: (
        Role.PROJECTOR,
        Role.PROJECTOR_NORM,
        Role.VISUAL_EMBEDDING,
        Role.IMAGE_NEWLINE,
        Role.IMAGE_BEGIN,
        Role.IMAGE_END,
        Role.IMAGE_SEPARATOR,
        Role.AUDIO_MARK,
    ),
    Section.MTP: (Role.MTP_PROJ,),
    Section.ADAPTER: (
        Role.LORA_A,
        Role.LORA_B,
        Role.LORA_E,
        Role.LORA_MAGNITUDE,
        Role.LORA_ALPHA,
        Role.IA3_VECTOR,
        Role.LOHA_FACTOR,
        Role.LOKR_FACTOR,
        Role.VERA_VECTOR,
        Role.VERA_PROJECTION,
        Role.OFT_ROTATION,
        Role.OFT_SCALE,
        Role.TRAINED_TOKENS,
        Role.PROMPT_EMBEDDING,
    ),
    Section.STATE_SPACE: (
        Role.STATE_SPACE,
        Role.CONVOLUTION,
        Role.IN_PROJ,
        Role.X_PROJ,
        Role.A_PROJ,
        Role.B_PROJ,
        Role.C_PROJ,
        Role.Z_PROJ,
        Role.F_A_PROJ,
        Role.F_B_PROJ,
        Role.G_A_PROJ,
        Role.G_B_PROJ,
        Role.DT_PROJ,
        Role.DT_BIAS,
        Role.A_LOG,
        Role.D,
        Role.OUT_PROJ,
        Role.INPUT_GATE,
        Role.INPUT_GATE_BIAS,
        Role.RECURRENT_GATE,
        Role.RECURRENT_GATE_BIAS,
        Role.RECURRENT_PARAM,
        Role.RECEPTANCE,
        Role.TIME_DECAY,
        Role.TIME_FIRST,
        Role.TIME_MIX_KEY,
        Role.TIME_MIX_VALUE,
        Role.TIME_MIX_RECEPTANCE,
    ),
}

SECTION_OF = {role: section for section, roles in _SECTIONS.items() for role in roles}
ROLE_ORDER = {role: position for position, role in enumerate(Role)}
SECTION_ORDER = {section: position for position, section in enumerate(Section)}
# What sees or hears, up to the language model.
SENSES = (Section.VISION, Section.AUDIO, Section.PROJECTOR)


def section_of(role: Role) -> Section:
    """The component a role is accounted to where its place in the model says nothing else."""
    return SECTION_OF.get(role, Section.OTHER)
