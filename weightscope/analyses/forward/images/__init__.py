"""Image files as a model's own image processor prepares them: one file a processor, found by its class's name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.images.settings import Said, find_settings
from weightscope.errors import NotImplementedByWeightscope, UsageError

if TYPE_CHECKING:
    import numpy as np

# By the class's name in transformers, without Fast and Pil.
PROCESSORS = {
    "AriaImageProcessor": "aria",
    "BeitFeatureExtractor": "siglip",
    "BeitImageProcessor": "siglip",
    "BitImageProcessor": "clip",
    "BlipImageProcessor": "blip",
    "CLIPFeatureExtractor": "clip",
    "CLIPImageProcessor": "clip",
    "Cohere2VisionImageProcessor": "cohere2_vision",
    "ConvNextFeatureExtractor": "convnext",
    "ConvNextImageProcessor": "convnext",
    "DeepseekVLHybridImageProcessor": "deepseek_vl_hybrid",
    "DeepseekVLImageProcessor": "deepseek_vl",
    "DeiTFeatureExtractor": "siglip",
    "DeiTImageProcessor": "siglip",
    "Ernie4_5_VLMoeImageProcessor": "ernie4_5_vl_moe",
    "FuyuImageProcessor": "fuyu",
    "Gemma3ImageProcessor": "siglip",
    "Gemma4ImageProcessor": "gemma4",
    "Gemma4UnifiedImageProcessor": "gemma4",
    "Glm46VImageProcessor": "glm4v",
    "Glm4vImageProcessor": "glm4v",
    "GotOcr2ImageProcessor": "got_ocr2",
    "HunYuanVLImageProcessor": "hunyuan_vl",
    "Idefics2ImageProcessor": "idefics2",
    "Idefics3ImageProcessor": "idefics3",
    "InternVLChat": "internvl_chat",
    "InternVLImageProcessor": "got_ocr2",
    "KimiVLImageProcessor": "kimi_vl",
    "Kimi_K25ImageProcessor": "kimi_k25",
    "Lfm2VlImageProcessor": "lfm2_vl",
    "Llama4ImageProcessor": "llama4",
    "LlavaImageProcessor": "clip",
    "LlavaNextImageProcessor": "llava_next",
    "LlavaOnevisionImageProcessor": "llava_onevision",
    "MiniCPMVImageProcessor": "minicpmv",
    "MiniCPMV4_6ImageProcessor": "minicpmv4_6",
    "MiniMaxM3VLImageProcessor": "minimax_m3_vl",
    "MllamaImageProcessor": "mllama",
    "Molmo2ImageProcessor": "molmo2",
    "Ovis2ImageProcessor": "ovis2",
    "PaddleOCRVLImageProcessor": "paddleocr_vl",
    "PerceptionLMImageProcessor": "perception_lm",
    "Phi4MMImageProcessor": "phi4mm",
    "Phi4MultimodalImageProcessor": "phi4_multimodal",
    "Pix2StructImageProcessor": "pix2struct",
    "PixtralImageProcessor": "pixtral",
    "Qwen2VLImageProcessor": "qwen2_vl",
    "Qwen3VLImageProcessor": "qwen2_vl",
    "SamImageProcessor": "sam",
    "Siglip2ImageProcessor": "siglip2",
    "SiglipImageProcessor": "siglip",
    "SmolVLMImageProcessor": "idefics3",
    "ViTFeatureExtractor": "siglip",
    "ViTImageProcessor": "siglip",
    "Step3p7ImageProcessor": "step3p7",
    "VideoLlavaImageProcessor": "clip",
}


def read_images(
    paths: Sequence[Path], directory: Path, usual: str, said: Said | None = None
) -> dict[str, np.ndarray[Any, Any]]:
    """What the processor makes of image files, by its names.

    Args:
        paths: the files.
        directory: where the settings of the model's processor lie.
        usual: the processor's class where the settings do not name it.
        said: the settings, where they do not lie there.

    Raises:
        UsageError: a file cannot be read as an image; the model takes none.
        CheckpointError: there are no settings, or they say nothing that can be done.
        NotImplementedByWeightscope: an image processor that is not implemented, by name.
        WeightscopeError: Pillow is not installed, or no process for it can be started.
    """
    if not usual:
        raise UsageError("this model does not take images")
    said = said or find_settings(directory, usual)
    if said.processor not in PROCESSORS:
        raise NotImplementedByWeightscope(
            f"the image processor {said.processor!r:.80} is not implemented",
            where=said.source,
            hint="give what it makes with --inputs FILE.npz",
        )
    module = import_module(f"weightscope.analyses.forward.images.{PROCESSORS[said.processor]}")
    try:
        found: dict[str, np.ndarray[Any, Any]] = module.read(paths, said)
    except ValueError as error:
        raise said.unusable(error) from None
    return found
