"""MiniCPM-V 4.6 (OpenBMB 2026): SigLIP's layers with a merger among them, before Qwen 3.5.

Source: `MiniCPMV4_6Config` of transformers.
"""

from __future__ import annotations

from typing import Any

from weightscope.components.base import Group
from weightscope.components.decoder import CausalLM
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.slice_row import SliceRowEye
from weightscope.config import Config, Nullable
from weightscope.families.common.multimodal import decided_text_config, part
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import component_of, family
from weightscope.families.siblings.minicpmv4_6_eye import VISION, mergers, tower

MINICPM: dict[str, Any] = {
    "insert_layer_id": 6, "image_token_id": Nullable(int), "video_token_id": Nullable(int),
    "tie_word_embeddings": False, "downsample_mode": "16x", "merge_kernel_size": [2, 2], "merger_times": 1,
    "architectures": Nullable(list),
}  # fmt: skip


@family("minicpmv4_6", roots=("as published",), defaults=MINICPM, needs=("text_config", "vision_config"))
def minicpmv4_6(config: Config, root: str) -> VisionLanguage:
    """The whole says after which layer of the tower patches are merged; with a `downsample_mode` of 4x they are not."""
    del root
    vision, insert, times = part(config, "vision_config", VISION), config["insert_layer_id"], config["merger_times"]
    model = component_of(CausalLM, decided_text_config(config), "model.language_model", "qwen3_5_text")
    if not 0 < times < 10:
        raise config.error(f"merger_times is {times:,}, not 1 to 9")
    skips, depth = config["downsample_mode"] == "4x", vision["num_hidden_layers"]
    encoder = tower(vision, "model.vision_tower", int(insert), skips=skips)
    image, video = config["image_token_id"], config["video_token_id"]
    refused = (
        "" if skips or 0 <= insert < depth else f"MiniCPM-V 4.6 with insert_layer_id {insert} of {depth:,} layers"
    ) or (
        not_computed(vision, "MiniCPM-V 4.6", {"window_kernel_size": [2, 2]})
        or not_computed(config, "MiniCPM-V 4.6", {"merge_kernel_size": [2, 2]})
    )
    return VisionLanguage(
        eye=SliceRowEye(
            tower=encoder,
            mergers=mergers("model.merger.mlp", int(times), encoder.patches.width, model.decoder.embedding.width),
        ),
        language=Group(name="", parts=(model,)),
        # Without a token nothing stands for an image.
        image_token=-1 if image is None else int(image),
        other_tokens=() if video is None else ((int(video), "a video"),),
        refused=refused,
    )
