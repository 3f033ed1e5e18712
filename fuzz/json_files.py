"""The JSON files of a model with values that should not be there; most begin as real ones."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from fuzz.values import anything, dumped, mutated, text

FIXTURES = Path(__file__).parents[1] / "fixtures"
TOKENIZER: dict[str, Any] = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [{"id": 3, "content": "<s>", "single_word": False, "lstrip": False, "rstrip": False,
                      "normalized": False, "special": True}],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace", "pattern": {"String": "e"},
                                                                         "content": "ee"}]},
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
                       "special_tokens": {"<s>": {"id": "<s>", "ids": [3], "tokens": ["<s>"]}}},
    "decoder": {"type": "Sequence", "decoders": [{"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "unk_token": "a", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
}  # fmt: skip
PADDING = {"strategy": {"Fixed": 10}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
           "pad_token": "a"}  # fmt: skip
TRUNCATION = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 4}
PREPROCESSOR = {
    "image_processor_type": "CLIPImageProcessor", "do_pad": False, "do_resize": True, "size": {"shortest_edge": 28},
    "resample": 3, "do_center_crop": True, "crop_size": {"height": 28, "width": 28}, "do_rescale": True,
    "rescale_factor": 0.0039, "do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.2, 0.2, 0.2],
}  # fmt: skip
MODULES: list[Any] = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    {"idx": 3, "name": "3", "path": "3_Normalize", "type": "sentence_transformers.models.Normalize"},
]
PATCHES = {
    "image_processor_type": "Qwen2VLImageProcessor", "do_resize": True,
    "size": {"shortest_edge": 64, "longest_edge": 512},
    "min_pixels": 64, "max_pixels": 4096, "patch_size": 4, "temporal_patch_size": 2, "merge_size": 2, "resample": 3,
    "do_rescale": True, "rescale_factor": 0.0039, "do_normalize": True, "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.2, 0.2, 0.2],
}  # fmt: skip
GOLDEN = {
    "schema_version": 1, "kind": "weightscope forward", "model_type": "llama", "compute_dtype": "float32",
    "tokens": [1, 2], "image": None,
    "stages": [{"stage": "embedding", "shape": [1, 2, 8], "rms": 1.0, "absmax": 2.0, "fingerprint": [0.5] * 8}],
    "top": [[{"token_id": 1, "logit": 0.5, "probability": 0.5}]],
}  # fmt: skip
PATTERNS = (
    ".*",
    r".*layers\.[01]\..*",
    "(a+)+$",
    ".*.*.*.*.*x",
    "[",
    "(?:q|v)_proj",
    "all-linear",
    "a|" * 99,
    "(?<=x)*",
)
ADAPTER = {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "target_modules": ["q_proj"], "base_model_name_or_path": "x"}
GENERATION = {"bos_token_id": 1, "eos_token_id": [2, 3], "pad_token_id": 0, "temperature": 0.6, "top_p": 0.9}


@cache
def configs() -> tuple[dict[str, Any], ...]:
    """Published configs and those of the fixtures."""
    published = [json.loads(path.read_text())["config"] for path in sorted((FIXTURES / "published").glob("*.json"))]
    return (*published, *(json.loads(path.read_text()) for path in sorted(FIXTURES.glob("*/config.json"))))


@cache
def adapters() -> tuple[dict[str, Any], ...]:
    """The settings of adapters, as PEFT and mlx-lm wrote them."""
    return tuple(json.loads(path.read_text()) for path in sorted(FIXTURES.glob("adapters/*/*/adapter_config.json")))


@cache
def index() -> dict[str, Any]:
    """A real index."""
    found: dict[str, Any] = json.loads((FIXTURES / "llama" / "model.safetensors.index.json").read_text())
    return found


def config_file(random: Random) -> bytes:
    """A config with a few values changed."""
    return dumped(random, mutated(random, random.choice(configs()), random.choice((1, 1, 2, 4))))


def adapter_file(random: Random) -> bytes:
    """An adapter_config.json with a few values changed, at times to patterns of module names."""
    changed = mutated(random, random.choice(adapters()), random.choice((1, 1, 2, 4)))
    if isinstance(changed, dict) and random.random() < 0.3:
        key = random.choice(("target_modules", "exclude_modules", "rank_pattern", "alpha_pattern"))
        pattern = random.choice(PATTERNS)
        changed[key] = {pattern: random.choice((1, 2, -1, text(random)))} if key.endswith("pattern") else pattern
    return dumped(random, changed)


def index_file(random: Random) -> bytes:
    """An index, short or real, with a few values changed."""
    names = {f"model.layers.{layer}.x": f"model-0000{layer}-of-00003.safetensors" for layer in range(1, 4)}
    whole = index() if random.random() < 0.1 else {"metadata": {"total_size": 99}, "weight_map": names}
    changed = mutated(random, whole, random.choice((1, 1, 2)))
    if isinstance(changed, dict) and isinstance(changed.get("weight_map"), dict) and random.random() < 0.5:
        changed["weight_map"][text(random)] = text(random)
    return dumped(random, changed)


def tokenizer_file(random: Random) -> bytes:
    """A tokenizer.json, its padding and truncation included."""
    whole = TOKENIZER
    if random.random() < 0.3:
        whole = whole | {"padding": mutated(random, PADDING)}
    if random.random() < 0.3:
        whole = whole | {"truncation": mutated(random, TRUNCATION)}
    return dumped(random, mutated(random, whole, random.choice((0, 1, 1, 2))))


def preprocessor_file(random: Random) -> bytes:
    """A preprocessor_config.json."""
    return dumped(random, mutated(random, PREPROCESSOR, random.choice((1, 1, 2, 3))))


def patches_file(random: Random) -> bytes:
    """A preprocessor_config.json of images of any size."""
    return dumped(random, mutated(random, PATCHES, random.choice((1, 1, 2, 3))))


def modules_file(random: Random) -> bytes:
    """A modules.json of sentence-transformers."""
    return dumped(random, mutated(random, MODULES, random.choice((1, 1, 2, 3))))


def golden_file(random: Random) -> bytes:
    """A golden file of `forward --record`."""
    return dumped(random, mutated(random, GOLDEN, random.choice((1, 1, 2, 3))))


def settings_file(random: Random) -> bytes:
    """A generation_config.json, an adapter_config.json, or anything."""
    base = random.choice((GENERATION, ADAPTER, anything(random)))
    return dumped(random, mutated(random, base, random.choice((1, 2))))
