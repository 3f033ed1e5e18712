"""Checkpoints of transformers in the layout of MLX, by the rules of mlx-lm 0.32.2 and mlx-vlm 0.7.10.

Each function states what one model's `sanitize` does to names, experts, kernels of convolutions and norms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any

import torch

Tensors = dict[str, torch.Tensor]

# The norms of Qwen3-Next and Qwen 3.5 to which 1 is added.
SHIFTED = re.compile(r".*(\.(input_layernorm|post_attention_layernorm|q_norm|k_norm)|model\.norm)\.weight")
KERNEL = re.compile(r".*(conv1d|conv_1d|conv\.conv)\.weight")
PATCHES = "patch_embed.proj.weight"
GATED = {"gate_proj": "gate_proj", "up_proj": "up_proj", "down_proj": "down_proj"}


def turned(tensors: Tensors) -> Tensors:
    """Kernels [out, 1, K] as [out, K, 1], patches [out, in, t, h, w] as [out, t, h, w, in]."""
    found = {}
    for name, tensor in tensors.items():
        if KERNEL.fullmatch(name):
            found[name] = tensor.transpose(1, 2)
        elif name.endswith(PATCHES):
            found[name] = tensor.permute(0, 2, 3, 4, 1)
        else:
            found[name] = tensor
    return found


def shifted(tensors: Tensors) -> Tensors:
    """Norms with 1 added."""
    return {name: tensor + 1 if SHIFTED.fullmatch(name) else tensor for name, tensor in tensors.items()}


def renamed(tensors: Tensors, names: Mapping[str, str]) -> Tensors:
    """The first name that a tensor's begins with in place of its other."""
    found = {}
    for name, tensor in tensors.items():
        old = next((old for old in names if name.startswith(old)), None)
        found[name if old is None else names[old] + name.removeprefix(old)] = tensor
    return found


def stacked(tensors: Tensors, names: Mapping[str, str], stack: str = "switch_mlp") -> Tensors:
    """`X.experts.N.old.weight` as `X.stack.new.weight`."""
    found: Tensors = {}
    experts: dict[str, dict[int, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        match = re.fullmatch(r"(.*)\.experts\.(\d+)\.(\w+)\.weight", name)
        if match:
            module, number, role = match.groups()
            experts.setdefault(f"{module}.{stack}.{names[role]}.weight", {})[int(number)] = tensor
        else:
            found[name] = tensor
    return found | {name: torch.stack([parts[n] for n in sorted(parts)]) for name, parts in experts.items()}


def without(tensors: Tensors, words: Iterable[str]) -> Tensors:
    """All tensors but those with one of these words in their names."""
    return {name: tensor for name, tensor in tensors.items() if not any(word in name for word in words)}


SEEING = {"model.visual.": "vision_tower.", "model.language_model.": "language_model.model.",
          "visual.": "vision_tower.", "model.": "language_model.model.",
          "lm_head.": "language_model.lm_head."}  # fmt: skip


def seeing(tensors: Tensors) -> Tensors:
    """mlx-vlm's names of Qwen's vision-language models."""
    return turned(renamed(tensors, SEEING))


def qwen3_5(tensors: Tensors) -> Tensors:
    return shifted(stacked(seeing(tensors), GATED))


def qwen3_5_text(tensors: Tensors) -> Tensors:
    """mlx-vlm puts the language model alone under the name that it has beside a tower."""
    return shifted(stacked(turned(renamed(tensors, {"": "language_model."})), GATED))


def qwen3_vl_moe(tensors: Tensors) -> Tensors:
    """Experts as transformers 5 saves them lie as MLX wants them, gate above up."""
    found: Tensors = {}
    for name, tensor in seeing(tensors).items():
        module, _, role = name.rpartition(".experts.")
        if role == "gate_up_proj":
            gate, up = tensor.chunk(2, dim=1)
            found |= {f"{module}.switch_mlp.gate_proj.weight": gate, f"{module}.switch_mlp.up_proj.weight": up}
        elif role == "down_proj":
            found[f"{module}.switch_mlp.down_proj.weight"] = tensor
        else:
            found[name] = tensor
    return found


def gated_stacks(tensors: Tensors) -> Tensors:
    return stacked(tensors, GATED)


def gated_stacks_in_place(tensors: Tensors) -> Tensors:
    return stacked(tensors, GATED, "experts")


def qwen3_next(tensors: Tensors) -> Tensors:
    return shifted(stacked(turned(tensors), GATED))


def lfm2_moe(tensors: Tensors) -> Tensors:
    """Dense layers and experts both get other names."""
    names = {"w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"}
    found = stacked(turned(tensors), names)
    return {re.sub(r"\.(w[123])\.weight$", lambda m: f".{names[m[1]]}.weight", name): t for name, t in found.items()}


def nemotron_h(tensors: Tensors) -> Tensors:
    return stacked(turned(tensors), {"up_proj": "fc1", "down_proj": "fc2"})


def jamba(tensors: Tensors) -> Tensors:
    return stacked(turned(tensors), GATED)


def granitemoehybrid(tensors: Tensors) -> Tensors:
    """Gate and up of the experts apart; without experts those of the shared MLP, under the name of a plain one."""
    mixed = any("block_sparse_moe" in name for name in tensors)
    old, new = ("block_sparse_moe", "block_sparse_moe.switch_mlp") if mixed else ("shared_mlp", "mlp")
    found: Tensors = {}
    for name, tensor in turned(tensors).items():
        if name.endswith(f"{old}.input_linear.weight"):
            module = name.removesuffix(f"{old}.input_linear.weight") + new
            gate, up = tensor.chunk(2, dim=-2)
            found |= {f"{module}.gate_proj.weight": gate, f"{module}.up_proj.weight": up}
        else:
            found[name.replace(f"{old}.output_linear", f"{new}.down_proj")] = tensor
    return found


def gpt2(tensors: Tensors) -> Tensors:
    """The four matrices of a layer turned, and all but a head of its own below `model`."""
    matrix = re.compile(r".*\.(c_attn|c_proj|c_fc)\.weight")
    found = {name: tensor.T if matrix.fullmatch(name) else tensor for name, tensor in tensors.items()}
    return renamed(found, {"transformer.": "model."})


def heads_apart(tensors: Tensors) -> Tensors:
    """`kv_b_proj`, of 6 heads with 8 keys and 5 values, is two stacks as of mlx-lm 0.32."""
    found: Tensors = {}
    for name, tensor in tensors.items():
        if name.endswith("kv_b_proj.weight"):
            keys, values = tensor.view(6, 13, -1).tensor_split([8], dim=1)
            module = name.removesuffix("kv_b_proj.weight")
            found |= {f"{module}embed_q.weight": keys.transpose(1, 2), f"{module}unembed_out.weight": values}
        else:
            found[name] = tensor
    return found


def kimi_linear(tensors: Tensors) -> Tensors:
    old = {".q_conv1d.": ".q_conv.conv.", ".k_conv1d.": ".k_conv.conv.", ".v_conv1d.": ".v_conv.conv.",
           ".gate.e_score": ".e_score", ".block_sparse_moe.": ".mlp."}  # fmt: skip
    found: Tensors = {}
    for name, tensor in heads_apart(turned(tensors)).items():
        found[reduce(lambda text, pair: text.replace(*pair), old.items(), name)] = tensor
    return stacked(found, {"w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"})


def longcat_flash(tensors: Tensors) -> Tensors:
    return stacked(heads_apart(tensors), GATED)


def falcon_h1(tensors: Tensors, config: Mapping[str, Any]) -> Tensors:
    """Weights times what muP multiplies, biases as they are: of attention's input the queries and keys alone."""
    inner, groups = config["mamba_d_ssm"], config["mamba_n_groups"] * config["mamba_d_state"]
    widths = torch.tensor([inner, inner, groups, groups, config["mamba_n_heads"]])
    rows = torch.tensor(config["ssm_multipliers"]).repeat_interleave(widths)[:, None]
    factors = {
        "embed_tokens": config["embedding_multiplier"],
        "lm_head": config["lm_head_multiplier"],
        "q_proj": config["attention_in_multiplier"],
        "k_proj": config["attention_in_multiplier"],
        "o_proj": config["attention_out_multiplier"],
        "out_proj": config["ssm_out_multiplier"],
        "gate_proj": config["mlp_multipliers"][0],
        "down_proj": config["mlp_multipliers"][1],
        "in_proj": config["ssm_in_multiplier"] * rows,
    }
    found = turned(tensors)
    factor = {name: factors.get(name.split(".")[-2], 1.0) if name.endswith(".weight") else 1.0 for name in found}
    return {name: tensor * factor[name] for name, tensor in found.items()}


def gpt_neox(tensors: Tensors) -> Tensors:
    """Layers are numbered below `model.h`; the head is below `model` as well."""
    return renamed(tensors, {"gpt_neox.layers.": "model.h.", "gpt_neox.": "model.", "embed_out.": "model.embed_out."})


def gptj(tensors: Tensors) -> Tensors:
    return renamed(tensors, {"transformer.": "model."})


def apertus(tensors: Tensors) -> Tensors:
    """Numbers without a dimension."""
    return {name: t.squeeze() if name.endswith(("alpha_p", "alpha_n")) else t for name, t in tensors.items()}


def dbrx(tensors: Tensors) -> Tensors:
    """Experts apart, and `w2` turned."""
    found: Tensors = {}
    for name, tensor in tensors.items():
        if ".experts.mlp." not in name:
            found[name] = tensor
            continue
        module, _, role = name.rpartition(".mlp.")
        count = len(tensors[f"{module.removesuffix('experts')}router.layer.weight"])
        for number, part in enumerate(tensor.chunk(count)):
            found[f"{module}.{number}.{role}.weight"] = part.T if role == "w2" else part
    return found


Convert = Callable[[Tensors], Tensors]
TEXT: dict[str, Convert] = {
    "qwen3_5_text": qwen3_5_text,
    "qwen3_5_text-biases-tied": qwen3_5_text,
    "qwen3_5_moe_text": qwen3_5_text,
    "qwen3_next": qwen3_next,
    "qwen3_next-dense-layers": qwen3_next,
    "lfm2": turned,
    "lfm2-biases-untied": turned,
    "lfm2_moe": lfm2_moe,
    "nemotron_h": nemotron_h,
    "nemotron_h-biases-latent": nemotron_h,
    "mamba": turned,
    "mamba-biases-untied": turned,
    "falcon_mamba": turned,
    "falcon_mamba-biases-untied": turned,
    "mamba2": turned,
    "recurrent_gemma": turned,
    "jamba": jamba,
    "jamba-dense": jamba,
    "granitemoehybrid": granitemoehybrid,
    "granitemoehybrid-dense": granitemoehybrid,
    "gpt2": gpt2,
    "kimi_linear": kimi_linear,
    "gpt_neox": gpt_neox,
    "gptj": gptj,
    "apertus": apertus,
    "dbrx": dbrx,
    "longcat_flash": longcat_flash,
    "longcat_flash-bias-yarn-tied": longcat_flash,
    "dots1": gated_stacks_in_place,
    "afmoe-mup-bias": gated_stacks_in_place,
    "solar_open": gated_stacks,
    "mimo_v2_flash": gated_stacks,
}
VISION: dict[str, Convert] = {
    "qwen3_5": qwen3_5,
    "qwen3_5_moe": qwen3_5,
    "qwen2_vl": seeing,
    "qwen2_vl-tied": seeing,
    "qwen2_5_vl": seeing,
    "qwen3_vl": seeing,
    "qwen3_vl_moe": qwen3_vl_moe,
}
