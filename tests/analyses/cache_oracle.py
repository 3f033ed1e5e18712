"""What transformers keeps of a sequence: every tensor in its cache, or in its modules where it has no cache."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import torch
import transformers

# What a cache holds beside the state.
NO_STATE = ("_sliding_window_tensor",)
# Where the part that writes is called otherwise than language_model.
WRITERS = {"blip": "text_decoder", "kosmos-2": "text_model"}
IN_MODULES = ("recurrent_states", "conv1d_state")


def tensors(held: object, seen: set[int]) -> Iterator[torch.Tensor]:
    """All tensors below an object of transformers, each once; values that are the keys themselves are the keys."""
    if id(held) in seen:
        return
    seen.add(id(held))
    if isinstance(held, torch.Tensor):
        yield held
    elif isinstance(held, dict):
        for value in held.values():
            yield from tensors(value, seen)
    elif isinstance(held, (list, tuple)):
        for value in held:
            yield from tensors(value, seen)
    elif type(held).__module__.startswith("transformers"):
        parts = vars(held)
        keys, values = parts.get("keys"), parts.get("values")
        same = isinstance(keys, torch.Tensor) and isinstance(values, torch.Tensor) and torch.equal(keys, values)
        for name, value in parts.items():
            if name not in NO_STATE and not (same and name == "values"):
                yield from tensors(value, seen)


def prepared(model: transformers.PreTrainedModel) -> Any:
    """The model in bfloat16, so that states with a type of their own show; without images, the language model."""
    if model.config.model_type in WRITERS:
        model = getattr(model, WRITERS[model.config.model_type])
    elif "pixel_values" in _required(model):
        model = model.language_model
    if model.config.model_type == "shieldgemma2":
        # It looks for the words yes and no in a vocabulary that is too small for them.
        model = model.model
    if hasattr(model, "set_experts_implementation"):
        # The grouped product wants larger rows than these.
        model.set_experts_implementation("eager")
    with warnings.catch_warnings():
        # Llama 4's tower has a table of complex numbers, which no text needs.
        warnings.simplefilter("ignore")
        return model.to(torch.bfloat16)


def cached_bytes(model: Any, tokens: int, batch: int, source: int = 0) -> int:
    """Bytes of what is kept after a batch of sequences of so many tokens; an encoder reads `source` tokens."""
    ids = (torch.arange(batch * tokens).reshape(batch, tokens) % 50) + 3
    inputs: dict[str, Any] = {"input_ids": ids}
    if model.config.is_encoder_decoder:
        inputs = {"input_ids": torch.full((batch, source), 7), "decoder_input_ids": ids}
        if model.main_input_name != "input_ids":
            own = model.config if hasattr(model.config, "d_model") else model.config.vision_config
            read = torch.ones(batch, source, getattr(own, "d_model", own.hidden_size), dtype=torch.bfloat16)
            inputs = {"encoder_outputs": (read,), "decoder_input_ids": ids}
    if "position_ids" in inspect.signature(model.forward).parameters:
        inputs["position_ids"] = torch.arange(tokens).repeat(batch, 1)
    if model.config.model_type == "recurrent_gemma":
        # It makes a cache, and does not give it back.
        inputs["past_key_values"] = transformers.DynamicCache(config=model.config)
    if model.config.model_type == "idefics":
        inputs["image_encoder_embeddings"] = torch.zeros(batch, 1, 2, model.config.vision_config.embed_dim).bfloat16()
        inputs["image_attention_mask"] = torch.zeros(batch, tokens, 1)
    with torch.no_grad():
        out = model(**inputs, use_cache=True)
    names = ("past_key_values", "cache_params", "state")
    held: list[Any] = [inputs.get("past_key_values"), *(out.get(name) for name in names)]
    held += [getattr(module, name, None) for module in model.modules() for name in IN_MODULES]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors(held, set()))


def _required(model: Any) -> set[str]:
    parameters = inspect.signature(model.forward).parameters.values()
    return {p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD}
