"""`params.json` of Meta's and Mistral's releases, said in the keys of transformers' configs.

Sources: `ModelArgs` in meta-llama/llama `llama/model.py` and llama-models `models/llama3/args.py`; mistral-inference
`args.py` and `transformer.py` (0.1 to 1.6). The MLP's width of Meta's is worked out as its code does.
"""

from __future__ import annotations

from typing import Any

from weightscope.config import Config

# The names of the embedding and the head in these releases.
EMBEDDING, OUTPUT = "tok_embeddings.weight", "output.weight"
# Their keys -> ours.
_META = {
    "dim": "hidden_size", "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads", "norm_eps": "rms_norm_eps", "rope_theta": "rope_theta",
    "vocab_size": "vocab_size",
}  # fmt: skip
_MISTRAL = _META | {
    "head_dim": "head_dim", "hidden_dim": "intermediate_size", "sliding_window": "sliding_window",
    "max_position_embeddings": "max_position_embeddings", "max_seq_len": "max_position_embeddings",
    "tied_embeddings": "tie_word_embeddings",
}  # fmt: skip
# Keys that change what is computed and are not undone; a model with one of them is named, not checked.
_UNDECLARED = ("yarn", "llama_4_scaling", "q_lora_rank", "kv_lora_rank", "vision_encoder", "multimodal", "lora",
               "vision_chunk_size", "moe_args", "ssm_cfg", "model_type")  # fmt: skip
# The factor of the scaled rotation is in no file of Meta's: 8 in Llama 3.1, 32 in the two text models of Llama 3.2,
# which their width tells (their configs in transformers' form).
_FACTORS = {2048: 32.0, 3072: 32.0}


def as_config(params: Config, vocabulary: int | None = None, *, tied: bool | None = None) -> Config:
    """The config of a release by its params.json.

    `vocabulary` is how many rows the stored embedding has, `tied` whether no head is stored; None without weights.

    Raises:
        ConfigError: a number is missing or of another type.
        UndeclaredError: an architecture of the same makers that is not declared in this spelling, by its key.
    """
    for key in _UNDECLARED:
        if params.data.get(key) is not None:
            raise params.undeclared(f"original releases with {key!r} are not declared")
    data = _mistral(params) if "hidden_dim" in params.data else _meta(params)
    if data.get("vocab_size") in (None, -1) and vocabulary is not None:
        data["vocab_size"] = vocabulary
    if tied is not None:
        data.setdefault("tie_word_embeddings", tied)
    return Config(data, source=params.source)


def _meta(params: Config) -> dict[str, Any]:
    said = params.data
    data: dict[str, Any] = {"model_type": "llama_original", "rope_theta": 10000.0}
    data |= {ours: said[theirs] for theirs, ours in _META.items() if said.get(theirs) is not None}
    inner = 2 * 4 * _number(params, "dim") // 3
    inner = int(inner * said["ffn_dim_multiplier"]) if _is_number(said.get("ffn_dim_multiplier")) else inner
    multiple = _number(params, "multiple_of", 256)
    data["intermediate_size"] = multiple * -(-inner // max(multiple, 1))
    if said.get("use_scaled_rope"):
        factor = said.get("rope_scaling_factor") or _FACTORS.get(data["hidden_size"], 8.0)
        data["rope_scaling"] = {
            "rope_type": "llama3", "factor": factor, "low_freq_factor": 1.0,
            "high_freq_factor": said.get("rope_high_freq_factor") or 4.0, "original_max_position_embeddings": 8192,
        }  # fmt: skip
        data["max_position_embeddings"] = 131072
    return data


def _mistral(params: Config) -> dict[str, Any]:
    said = params.data
    data: dict[str, Any] = {"model_type": "mistral_original", "sliding_window": None}
    data |= {ours: said[theirs] for theirs, ours in _MISTRAL.items() if said.get(theirs) is not None}
    # What mistral-inference takes where nothing is said.
    data.setdefault("rope_theta", 1000000.0 if data["sliding_window"] is None else 10000.0)
    moe = said.get("moe")
    if isinstance(moe, dict):
        data["model_type"] = "mixtral_original"
        data |= {"num_local_experts": moe.get("num_experts"), "num_experts_per_tok": moe.get("num_experts_per_tok")}
    quantization = said.get("quantization")
    if isinstance(quantization, dict) and str(quantization.get("qformat_weight", "")).startswith("fp8"):
        data["quantization_config"] = {"quant_method": "fp8", "activation_scheme": "static"}
    return data


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(params: Config, key: str, otherwise: int | None = None) -> int:
    value = params.data.get(key, otherwise)
    if type(value) is not int or not 0 < value < 1 << 31:
        raise params.error(f"{key} is {value!r:.60}, not a number that a model could have", "download the file again")
    return value
