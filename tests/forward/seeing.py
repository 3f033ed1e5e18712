"""What the tests of vision-language models share: weights under which an image matters, and both passes over it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

import weightscope
from tests.altered import altered
from weightscope.ranges import template_of

Inputs = Mapping[str, Any]


def one_of_each_kind(names: Iterable[str]) -> set[str]:
    """Of the tensors whose names differ in numbers alone, one: the last."""
    return set({template_of(name)[0]: name for name in sorted(names)}.values())


def lively(config_of: Path, target: Path, *, seed: int = 2) -> Path:
    """A model of that folder's config with weights under which its every part shows, saved by transformers.

    Matrices are drawn by their width; what is a vector moves away from where its class begins, 1 or 0.
    """
    torch.manual_seed(seed)
    config = transformers.AutoConfig.from_pretrained(config_of)
    model = enlivened(transformers.AutoModelForImageTextToText.from_config(config, dtype=torch.float32), seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(target)
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (config_of / name).is_file():
            (target / name).write_bytes((config_of / name).read_bytes())
    return target


def enlivened(model: Any, seed: int = 2) -> Any:
    """The same model, its weights drawn as `lively` says."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            matrix = parameter.ndim > 1 and min(parameter.shape) > 1
            parameter.copy_(drawn / parameter[0].numel() ** 0.5 if matrix else parameter + 0.3 * drawn)
    return model


def byte_tokenizer(directory: Path, special: Iterable[str]) -> transformers.PreTrainedTokenizerFast:
    """Single bytes, and the special tokens after them; saved to the folder."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={byte: i for i, byte in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.add_special_tokens([AddedToken(name, special=True) for name in special])
    made.save(str(directory / "tokenizer.json"))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made)


def as_held(directory: Path) -> dict[str, torch.Tensor]:
    """That folder's weights as transformers holds them in memory; the file has them so from now on."""
    model = transformers.AutoModelForImageTextToText.from_pretrained(directory)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if model.lm_head.weight is model.get_input_embeddings().weight:
        state.pop("lm_head.weight")
    save_file(state, directory / "model.safetensors", metadata={"format": "pt"})
    return state


def theirs(
    directory: Path,
    tokens: Sequence[int],
    inputs: Mapping[str, Any] | None = None,
    *,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """The logits [T, vocabulary] of transformers' own model; `inputs` may hold what it wants besides ours."""
    model = transformers.AutoModelForImageTextToText.from_pretrained(
        directory, dtype=dtype, attn_implementation="eager", experts_implementation="eager"
    ).eval()
    given = {
        name: value.to(dtype) if torch.is_tensor(value) and value.is_floating_point() else value
        for name, value in (inputs or {}).items()
    }
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=torch.tensor([list(tokens)]), **given).logits[0]
    return logits


def ours(directory: Path, tokens: Sequence[int], inputs: Inputs | None = None, **options: Any) -> torch.Tensor:
    """The logits of our own pass."""
    return torch.as_tensor(weightscope.open(directory).forward(tokens, **(inputs or {}), **options).logits)


def off(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, as a share of the expected root mean square."""
    return float((found - expected).abs().max() / expected.square().mean().sqrt())


def unmoving(
    directory: Path, tokens: Sequence[int], inputs: Inputs, names: Iterable[str], *, least: float = 1e-3
) -> set[str]:
    """Those of the tensors whose change moves the logits by less than `least` of their root mean square."""
    tensors, model = load_file(directory / "model.safetensors"), weightscope.open(directory)
    before = model.forward(tokens, **inputs).logits
    generator = torch.Generator().manual_seed(5)
    found = set()
    for name in names:
        tensor = tensors[name]
        drawn = torch.randn(tensor.shape, generator=generator)
        other = tensor + drawn * (tensor.float().square().mean().sqrt() + 0.1)
        with altered(directory, {name: other.to(tensor.dtype)}):
            if off(model.forward(tokens, **inputs).logits, before) < least:
                found.add(name)
    return found
