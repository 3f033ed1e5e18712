"""The same tokens through an installed transformers, stage by stage beside ours."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.analyses.forward.golden import Tolerance
from weightscope.analyses.forward.result import Result
from weightscope.components.vision.pooled_eye import writing
from weightscope.errors import UsageError, WeightscopeError, one_line
from weightscope.findings import Finding

if TYPE_CHECKING:
    import torch

# Stages whose last is what enters the first layer.
ENTERING = (
    "embeddings", "token embedding", "position embedding", "embedding norm", "patch embedding", "image in place",
    "audio clip in place",
)  # fmt: skip
# What comes out last, where that is neither logits nor class scores.
OUTPUT = "output"
# What stages of a tower begin with.
TOWER = "vision "
Outputs = dict[str, "torch.Tensor"]
# What has a number or a box for each token, which transformers wants in a batch of one: how many dimensions it has.
ONE_SEQUENCE = {
    "decoder_input_ids": 1, "token_type_ids": 1, "attention_mask": 1, "global_attention_mask": 1, "bbox": 2,
}  # fmt: skip
# The name by which a type's class wants to know which tokens are an image's, and their number; PaliGemma's kind of
# token is 0 for all of a prompt.
KINDS = {"gemma3": ("token_type_ids", 1), "paligemma": ("token_type_ids", 0)}
KINDS |= dict.fromkeys(("gemma4", "gemma4_unified"), ("mm_token_type_ids", 1))
# Types whose classes place images by row and column only where a mask says that no token is padding.
MASKED = ("qwen2_5_omni", "qwen2_5_omni_thinker", "qwen3_omni_moe", "qwen3_omni_moe_thinker")


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """How far a stage is from transformers' own: the largest difference, and it relative to theirs' size."""

    stage: str
    max_abs_diff: float
    relative: float


class Kept:
    """The outputs of our pass that transformers has too: before the layers, after each, after the head."""

    def __init__(self) -> None:
        self.outputs: Outputs = {}

    def __call__(self, name: str, x: torch.Tensor) -> None:
        """Keep what a stage put out; of a layer's stages the last stays."""
        self.outputs[key_of(name)] = x.float().cpu()


def key_of(stage: str) -> str:
    """What a stage is, or is a part of, that transformers has too: embedding, layer N, logits.

    Of an encoder-decoder it is what the decoder has, which comes last, or an encoder alone.
    """
    stage = stage.removeprefix("encoder ").removeprefix("decoder ")
    first, _, rest = stage.partition(" ")
    return f"layer {rest.partition(' ')[0]}" if first == "layer" else "embedding" if stage in ENTERING else stage


def compare_with_transformers(
    directory: Path, result: Result, kept: Kept, *, depth: int, inputs: Mapping[str, Any]
) -> tuple[Comparison, ...]:
    """Run transformers in the same compute type on the CPU, the whole model in memory, and hold ours beside it.

    `depth` is the number of the language model's layers.

    Raises:
        UsageError: MODEL is no directory that transformers can load.
        WeightscopeError: transformers is not installed, or fails, with its own words; there is nothing to compare.
    """
    try:
        import transformers
    except ImportError:
        raise WeightscopeError(
            "transformers is not installed", hint="pip install transformers, or leave out --compare"
        ) from None
    if not (directory / "config.json").is_file():
        raise UsageError("--compare needs a directory with config.json and weights", where=directory)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = _run(transformers, directory, result, inputs, depth)
    except Exception as error:  # noqa: BLE001 - whatever another library raises is its failure, not ours
        said = one_line(str(error), 200) or type(error).__name__
        raise WeightscopeError(f"transformers {transformers.__version__} fails ({said})", where=directory) from None
    ours = kept.outputs if result.tokens else _alone(kept.outputs)
    compared = tuple(_compared(ours if result.output is None else ours | {OUTPUT: result.output}, theirs))
    if not compared:
        raise WeightscopeError(
            f"transformers {transformers.__version__} puts out nothing that this pass could be compared with",
            where=directory,
            hint="leave out --compare",
        )
    return compared


def _alone(outputs: Outputs) -> Outputs:
    """The same of a pass without tokens, in which a tower's stages are the model's own."""
    return {key_of(name.removeprefix(TOWER)): x for name, x in outputs.items()}


def _run(transformers: Any, directory: Path, result: Result, given: Mapping[str, Any], depth: int) -> Outputs:
    import torch

    dtype = getattr(torch, result.compute_dtype)
    config = transformers.AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    model = (
        _loader(transformers, config)
        .from_pretrained(directory, dtype=dtype, local_files_only=True, trust_remote_code=False)
        .eval()
    )
    # A whole omni model only generates; the thinker within it has a pass.
    model = getattr(model, "thinker", model)
    for part in (model.config, getattr(model.config, "text_config", None)):
        # Fused kernels for experts want sizes that small models do not have.
        if part is not None:
            part._experts_implementation = "eager"  # noqa: SLF001
    inputs = _fed(model, config, result, given, dtype)
    theirs: Outputs = {}
    hooks = _watch(_layers(model, depth, tokens=bool(result.tokens)), theirs)
    with torch.no_grad():
        out = model(**inputs, **({"use_cache": False} if hasattr(model.config, "use_cache") else {}))
    for hook in hooks:
        hook.remove()
    pooled = getattr(out, "pooler_output", None)
    if pooled is not None:
        theirs["pooled"] = pooled.flatten(0, -2).float()
    if (given_out := _given_out(out)) is not None:
        theirs[OUTPUT] = given_out
    if (masks := getattr(out, "pred_masks", None)) is not None:
        theirs["masks"] = masks.flatten(0, 2).flatten(1).float()
        theirs["iou scores"] = out.iou_scores.flatten(0, 1).float()
    scores = getattr(out, "logits", getattr(out, "prediction_logits", None))
    if scores is None:
        return theirs
    return theirs | {"logits" if result.has_logits else "class scores": scores.reshape(-1, scores.shape[-1]).float()}


def _fed(
    model: Any, config: Any, result: Result, given: Mapping[str, Any], dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    """The tokens and arrays of our pass as transformers' class wants them."""
    import torch

    # An image that has no token comes first in transformers' own pass.
    ids = [token for token in result.tokens if token >= 0]
    inputs: dict[str, torch.Tensor] = {"input_ids": torch.tensor([ids])} if ids else {}
    for name, value in given.items():
        tensor = torch.as_tensor(value)
        tensor = tensor.to(dtype) if tensor.is_floating_point() else tensor
        inputs[name] = tensor[None] if tensor.ndim == ONE_SEQUENCE.get(name) else tensor
    if "decoder_input_ids" in signature(model.forward).parameters:
        inputs["decoder_input_ids"] = torch.tensor([result.scored])
    name, kind = KINDS.get(config.model_type, ("mm_token_type_ids" if "image_grid_thw" in given else "", 1))
    if name:
        # Positions by row and column, and what else an image's tokens have of their own, come of this alone.
        inputs[name] = (inputs["input_ids"] == result.marks[0]).int() * kind
    if config.model_type == "ernie4_5_vl_moe" and "image_grid_thw" in given:
        # The tokens around an image go to its experts, too.
        own = (result.marks[0], config.image_start_token_id, config.image_end_token_id)
        inputs["moe_mm_token_type_ids"] = torch.isin(inputs["input_ids"], torch.tensor(own)).int()
    if config.model_type == "molmo2":
        begins = config.image_start_token_id, config.low_res_image_start_token_id
        writes = writing(ids, result.marks[0], begins, (config.image_end_token_id,))
        inputs["mm_token_type_ids"] = torch.tensor([writes]).int()
    if config.model_type in MASKED:
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    if type(model).__name__.endswith("ForMultipleChoice"):
        # One choice.
        inputs = {name: value[:, None] for name, value in inputs.items()}
    return inputs


def _given_out(out: Any) -> torch.Tensor | None:
    """What a model without logits gives: the places of an answer, a vector to compare, the last hidden states."""
    import torch

    if getattr(out, "start_logits", None) is not None:
        return torch.stack((out.start_logits[0], out.end_logits[0]), dim=-1).float()
    if getattr(out, "logits", None) is not None:
        return None
    for name in ("text_embeds", "image_embeds", "audio_embeds", "last_hidden_state"):
        found: torch.Tensor | None = getattr(out, name, None)
        if found is not None and found.ndim > 1:
            return found.reshape(-1, found.shape[-1]).float()
    return None


def _loader(transformers: Any, config: Any) -> Any:
    """The class that the config was saved from, or the one that loads models of its kind."""
    named = getattr(transformers, (config.architectures or [""])[0], None)
    pictured = type(config) in transformers.AutoModelForImageTextToText._model_mapping  # noqa: SLF001 - no public way to ask
    if pictured:
        return transformers.AutoModelForImageTextToText
    paired = type(config) in transformers.AutoModelForSeq2SeqLM._model_mapping  # noqa: SLF001
    if paired and named is None:
        return transformers.AutoModelForSeq2SeqLM
    causal = type(config) in transformers.AutoModelForCausalLM._model_mapping  # noqa: SLF001
    if named is not None and (not causal or not named.__name__.endswith(("ForCausalLM", "LMHeadModel"))):
        return named
    return transformers.AutoModelForCausalLM if causal else transformers.AutoModel


def _layers(model: Any, depth: int, *, tokens: bool) -> Any:
    """The list of the layers that a pass goes through: of all lists that long, the one with the most weights.

    Where there are `tokens`, those of towers are left out.
    """
    import torch

    lists = [
        module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList)
        and len(module) == depth
        and not (tokens and any(tower in name for tower in ("vision", "visual", "audio")))
    ]
    return max(lists, key=lambda module: sum(p.numel() for p in module.parameters()), default=())


def _watch(layers: Any, theirs: Outputs) -> list[Any]:
    """Keep what enters the first layer, and what leaves each; hooks to be removed."""
    import torch

    def keep(key: str, values: Any) -> None:
        found = values if isinstance(values, tuple) else (values,)
        tensor = next((value for value in found if isinstance(value, torch.Tensor)), None)
        # A batch of one: [tokens, width], or of an image [rows, columns, width].
        if tensor is not None and tensor.is_floating_point() and tensor.ndim in (2, 3, 4):
            theirs[key] = tensor.reshape(-1, tensor.shape[-1]).float()

    hooks = []
    for number, layer in enumerate(layers):
        if number == 0:
            hooks.append(
                layer.register_forward_pre_hook(
                    lambda _, args, kwargs: keep("embedding", args or (kwargs.get("hidden_states"),)), with_kwargs=True
                )
            )
        hooks.append(layer.register_forward_hook(lambda _, __, out, n=number: keep(f"layer {n}", out)))
    return hooks


def _compared(ours: Outputs, theirs: Outputs) -> Iterator[Comparison]:
    for name, x in ours.items():
        other = theirs.get(name)
        if other is None or other.shape != x.shape:
            continue
        difference = float((x - other).abs().max())
        size = float(other.square().mean().sqrt())
        yield Comparison(stage=name, max_abs_diff=difference, relative=difference / size if size else difference)


def differing(comparisons: tuple[Comparison, ...], tolerance: Tolerance) -> tuple[Finding, ...]:
    """A finding on the first stage from which on none agrees with transformers'.

    Where a later stage agrees, an earlier one differs in where the two draw the line between layers, not in what they
    compute: RWKV's rescaling, a norm that belongs to the embedding or to the first layer.
    """
    first = None
    for item in comparisons:
        size = item.max_abs_diff / item.relative if item.relative else 0.0
        if tolerance.allows(item.max_abs_diff, size):
            first = None
        elif first is None:
            first = item
    if first is None:
        return ()
    return (
        Finding(
            code="output-mismatch",
            severity="error",
            message=f"{first.stage} is the first stage that differs from transformers, by up to"
            f" {first.max_abs_diff:.3g}, {first.relative * 100:.3g} % of its RMS",
            actual=first.max_abs_diff,
            hint="one of the two is wrong; please report it with the config.json",
        ),
    )
