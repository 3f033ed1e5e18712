"""What Qwen2.5-Omni speaks with: a talker, a diffusion transformer, a vocoder (arXiv 2503.20215); none is computed."""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Component, Repeat
from weightscope.components.embedding import Embedding
from weightscope.components.outline import Outline
from weightscope.components.projection import Projection
from weightscope.config import Config
from weightscope.families.common import Dims, depth_of, rms_norms
from weightscope.families.common.multimodal import part
from weightscope.families.common.numbers import sizes
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.siblings.omni_vocoder import VOCODER, vocoder
from weightscope.families.siblings.outlines import module, tensor
from weightscope.roles import Role, Section
from weightscope.sizes import Size

TALKER: dict[str, Any] = {
    "vocab_size": 8448, "embedding_size": 3584, "hidden_size": 3584, "intermediate_size": 18944,
    "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "head_dim": 128,
    "hidden_act": "silu", "rms_norm_eps": 1e-6,
}  # fmt: skip
DIFFUSION: dict[str, Any] = {
    "hidden_size": 1024, "num_hidden_layers": 22, "num_attention_heads": 16, "ff_mult": 2, "emb_dim": 512,
    "head_dim": 64, "num_embeds": 8193, "mel_dim": 80, "enc_emb_dim": 192, "enc_dim": 128,
    "enc_channels": [256, 256, 256, 256, 768], "enc_kernel_sizes": [5, 3, 3, 3, 1], "enc_attention_channels": 64,
    "enc_res2net_scale": 2, "enc_se_channels": 64,
}  # fmt: skip
# Numbers of a time that enter the diffusion transformer.
TIMES = Size(256)
ONE, CONVOLUTION = Size(1), Role.CONVOLUTION
QKV = {"q": Role.Q_PROJ, "k": Role.K_PROJ, "v": Role.V_PROJ}


def talker(config: Config) -> Component:
    """Makes codes of speech of what the thinker says."""
    config = part(config, "talker_config", TALKER)
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    rows, inputs = config["vocab_size"], config["embedding_size"]
    block = pre_norm_block(
        norm,
        s.width,
        attention=self_attention(s, four_projections(qkv_bias=True)),
        feed_forward=gated_mlp(config, "mlp"),
    )
    return Outline(
        name="talker",
        section=Section.AUDIO,
        inside=(
            Projection(name="thinker_to_talker_proj", inputs=inputs, outputs=s.width, bias=True, role=Role.IN_PROJ),
            Embedding(name="model.embed_tokens", rows=rows, width=inputs),
            Repeat(name="model.layers", indices=range(s.depth), child=block, of="part"),
            norm("model.norm", Role.FINAL_NORM, s.width),
            Projection(name="codec_head", inputs=s.width, outputs=rows, bias=False, role=Role.OUT_PROJ),
        ),
    )


def token2wav(config: Config) -> Component:
    """Makes a waveform of the talker's codes."""
    config = part(config, "token2wav_config", {})
    both = diffusion(part(config, "dit_config", DIFFUSION)), vocoder(part(config, "bigvgan_config", VOCODER))
    return Outline(name="token2wav", section=Section.AUDIO, inside=both)


def diffusion(config: Config) -> Component:
    """Codes to spectrograms."""
    width, codes, mel = config["hidden_size"], config["emb_dim"], config["mel_dim"]
    entering = mel + config["enc_dim"] + config["enc_emb_dim"] + codes
    inner, wide = config["num_attention_heads"] * config["head_dim"], width * config["ff_mult"]
    layer = module(
        "",
        tensor("attn_norm.linear", Role.NORM, width * 6, width),
        *(tensor(f"attn.to_{name}", role, inner, width) for name, role in QKV.items()),
        tensor("attn.to_out.0", Role.O_PROJ, width, inner),
        tensor("ff.ff.0", Role.UP_PROJ, wide, width),
        tensor("ff.ff.3", Role.DOWN_PROJ, width, wide),
    )
    return module(
        "code2wav_dit_model",
        tensor("time_embed.time_mlp.0", Role.EMBEDDING_PROJ, width, TIMES),
        tensor("time_embed.time_mlp.2", Role.EMBEDDING_PROJ, width, width),
        tensor("text_embed.codec_embed", Role.TOKEN_EMBEDDING, config["num_embeds"] + 1, codes, bias=False),
        tensor("input_embed.proj", Role.EMBEDDING_PROJ, width, entering),
        speaker_encoder(config),
        Repeat(name="transformer_blocks", indices=range(depth_of(config)), child=layer, of="part"),
        tensor("norm_out.linear", Role.NORM, width * 2, width),
        tensor("proj_out", Role.OUT_PROJ, mel, width),
    )


def speaker_encoder(config: Config) -> Component:
    """A vector of a voice (ECAPA-TDNN, arXiv 2005.07143).

    Raises:
        ConfigError: lists of other lengths than each other.
    """
    channels, kernels = sizes(config, "enc_channels"), sizes(config, "enc_kernel_sizes")
    if len(channels) != len(kernels) or len(channels) < 2:
        raise config.error(
            f"{config.prefix}enc_channels lists {len(channels)} layers and enc_kernel_sizes {len(kernels)}"
        )
    last, middle = channels[-1], config["enc_attention_channels"]
    inside = (
        _residual(config, f"blocks.{i}", channels[i - 1], channels[i], kernels[i]) for i in range(1, len(channels) - 1)
    )
    return module(
        "input_embed.spk_encoder",
        tensor("blocks.0.conv", CONVOLUTION, channels[0], config["mel_dim"], kernels[0]),
        *inside,
        tensor("mfa.conv", CONVOLUTION, last, last, kernels[-1]),
        tensor("asp.tdnn.conv", CONVOLUTION, middle, last * 3, ONE),
        tensor("asp.conv", CONVOLUTION, last, middle, ONE),
        tensor("fc", Role.OUT_PROJ, config["enc_dim"], last * 2, ONE),
    )


def _residual(config: Config, name: str, inputs: Size, outputs: Size, kernel: Size) -> Component:
    """Convolutions of parts of the channels, and a factor for each channel."""
    scale, inner = config["enc_res2net_scale"], config["enc_se_channels"]
    few = outputs // scale
    return module(
        name,
        tensor("tdnn1.conv", CONVOLUTION, outputs, inputs, ONE),
        Repeat(
            name="res2net_block.blocks",
            indices=range(scale - 1),
            child=tensor("conv", CONVOLUTION, few, few, kernel),
            of="part",
        ),
        tensor("tdnn2.conv", CONVOLUTION, outputs, outputs, ONE),
        tensor("se_block.conv1", CONVOLUTION, inner, outputs, ONE),
        tensor("se_block.conv2", CONVOLUTION, outputs, inner, ONE),
    )
