"""What Qwen3-Omni speaks with (arXiv 2509.17765): a talker, what predicts its codes, a vocoder; none is computed."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Component, Repeat
from weightscope.components.embedding import Embedding
from weightscope.components.outline import Outline
from weightscope.components.projection import Projection
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms, rms_norms
from weightscope.families.common.multimodal import part
from weightscope.families.common.numbers import sizes
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.siblings.omni_text import normed_attention
from weightscope.families.siblings.omni_vocoder import snake
from weightscope.families.siblings.outlines import module, parameter, tensor
from weightscope.families.siblings.qwen_moe import qwen_mixture
from weightscope.roles import Role, Section
from weightscope.sizes import Size

LAYERS: dict[str, Any] = {
    "hidden_act": "silu", "rms_norm_eps": 1e-6, "attention_bias": False, "head_dim": Nullable(int),
}  # fmt: skip
TALKER = LAYERS | {
    "vocab_size": 3072, "hidden_size": 1024, "intermediate_size": 2048, "num_hidden_layers": 20,
    "num_attention_heads": 16, "num_key_value_heads": 2, "moe_intermediate_size": 384, "num_experts": 128,
    "num_experts_per_tok": 8, "norm_topk_prob": False, "shared_expert_intermediate_size": 0,
}  # fmt: skip
CODES = LAYERS | {
    "vocab_size": 2048, "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 5,
    "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "num_code_groups": 32,
}  # fmt: skip
VOCODER = LAYERS | {
    "codebook_size": 2048, "hidden_size": 1024, "num_attention_heads": 16, "num_key_value_heads": 16,
    "intermediate_size": 3072, "rms_norm_eps": 1e-5, "num_hidden_layers": 8, "num_quantizers": 16,
    "upsample_rates": [8, 5, 4, 3], "upsampling_ratios": [2, 2], "decoder_dim": 1536,
}  # fmt: skip
ONE, SEVEN, CONVOLUTION = Size(1), Size(7), Role.CONVOLUTION


def talker(config: Config) -> Component:
    """Makes the first code of each group of what the thinker says."""
    whole = part(config, "talker_config", {"thinker_hidden_size": 2048})
    text = part(whole, "text_config", TALKER, {"num_local_experts": "num_experts"})
    s, norm = Dims.of(text), rms_norms(text["rms_norm_eps"])
    inner, rows, inputs = text["intermediate_size"], text["vocab_size"], whole["thinker_hidden_size"]
    mixed = qwen_mixture(text, normalize=text["norm_topk_prob"], stacked=None)
    block = pre_norm_block(norm, s.width, attention=normed_attention(text), feed_forward=mixed)
    resized = (
        Projection(name="linear_fc1", inputs=inputs, outputs=inner, bias=True, role=Role.UP_PROJ),
        Projection(name="linear_fc2", inputs=inner, outputs=s.width, bias=True, role=Role.DOWN_PROJ),
    )
    return Outline(
        name="talker",
        section=Section.AUDIO,
        inside=(
            module("text_projection", *resized),
            module("hidden_projection", *resized),
            Embedding(name="model.codec_embedding", rows=rows, width=s.width),
            Repeat(name="model.layers", indices=range(s.depth), child=block, of="part"),
            norm("model.norm", Role.FINAL_NORM, s.width),
            Projection(name="codec_head", inputs=s.width, outputs=rows, bias=False, role=Role.OUT_PROJ),
            code_predictor(part(whole, "code_predictor_config", CODES)),
        ),
    )


def code_predictor(config: Config) -> Component:
    """Makes the other codes of a group, each with a table and a head of its own."""
    s, norm, rows = Dims.of(config), rms_norms(config["rms_norm_eps"]), config["vocab_size"]
    others = range(max(0, config["num_code_groups"] - 1))
    block = pre_norm_block(norm, s.width, attention=normed_attention(config), feed_forward=gated_mlp(config, "mlp"))
    table = Embedding(name="", rows=rows, width=s.width)
    head = Projection(name="", inputs=s.width, outputs=rows, bias=False, role=Role.OUT_PROJ)
    return module(
        "code_predictor",
        Repeat(name="model.codec_embedding", indices=others, child=table, of="part"),
        Repeat(name="model.layers", indices=range(s.depth), child=block, of="part"),
        norm("model.norm", Role.FINAL_NORM, s.width),
        Repeat(name="lm_head", indices=others, child=head, of="part"),
    )


def code2wav(config: Config) -> Component:
    """Makes a waveform of codes: layers, then convolutions that each make more samples."""
    config = part(config, "code2wav_config", VOCODER)
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    bias = config["attention_bias"]
    block = module(
        "",
        norm("input_layernorm", Role.INPUT_NORM, s.width),
        self_attention(s, four_projections(qkv_bias=bias, o_bias=bias)),
        parameter("self_attn_layer_scale.scale", Role.LAYER_SCALE, s.width),
        norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, s.width),
        gated_mlp(config, "mlp"),
        parameter("mlp_layer_scale.scale", Role.LAYER_SCALE, s.width),
    )
    ups = (_upsampled(f"upsample.{i}", s.width, ratio) for i, ratio in enumerate(sizes(config, "upsampling_ratios")))
    inside = (
        Embedding(name="code_embedding", rows=config["codebook_size"] * config["num_quantizers"], width=s.width),
        Repeat(name="pre_transformer.layers", indices=range(s.depth), child=block, of="part"),
        norm("pre_transformer.norm", Role.FINAL_NORM, s.width),
        *ups,
        *_decoder(config, s.width),
    )
    return Outline(name="code2wav", section=Section.AUDIO, inside=inside)


def _upsampled(name: str, width: Size, ratio: Size) -> Component:
    """As many frames more, and a ConvNeXt layer (arXiv 2201.03545)."""
    return module(
        name,
        tensor("0.conv", CONVOLUTION, width, width, ratio),
        tensor("1.dwconv.conv", CONVOLUTION, width, ONE, SEVEN),
        layer_norms(1e-6)("1.norm", Role.NORM, width),
        tensor("1.pwconv1", Role.UP_PROJ, width * 4, width),
        tensor("1.pwconv2", Role.DOWN_PROJ, width, width * 4),
        parameter("1.gamma", Role.LAYER_SCALE, width),
    )


def _decoder(config: Config, width: Size) -> tuple[Component, ...]:
    """Convolutions from frames to samples, each with half the channels of the one before it."""
    first, rates = config["decoder_dim"], sizes(config, "upsample_rates")
    widths = [first // (1 << step) for step in range(len(rates) + 1)]
    steps = (_step(f"decoder.{i + 1}.block", widths[i], widths[i + 1], rate) for i, rate in enumerate(rates))
    last = len(rates) + 1
    return (
        tensor("decoder.0.conv", CONVOLUTION, first, width, SEVEN),
        *steps,
        snake(f"decoder.{last}", widths[-1]),
        tensor(f"decoder.{last + 1}.conv", CONVOLUTION, ONE, widths[-1], SEVEN),
    )


def _step(name: str, inputs: Size, outputs: Size, rate: Size) -> Component:
    unit = module(
        "",
        snake("act1", outputs),
        tensor("conv1.conv", CONVOLUTION, outputs, outputs, SEVEN),
        snake("act2", outputs),
        tensor("conv2.conv", CONVOLUTION, outputs, outputs, ONE),
    )
    return module(
        name,
        snake("0", inputs),
        tensor("1.conv", CONVOLUTION, inputs, outputs, rate * 2, bias=False),
        parameter("1.conv.bias", CONVOLUTION, outputs),
        *(module(str(number), unit) for number in (2, 3, 4)),
    )
