"""What a step that trains a part keeps, against torch's profiler: adapters as PEFT's compute, and frozen parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import weightscope
from tests.analyses.configs import config_of
from tests.analyses.scaled_tiny import scaled
from tests.analyses.training_peaks import BATCH, TOKENS, assert_peaks
from weightscope.analyses.memory.training import Training

LLAMA = Path(__file__).parents[2] / "fixtures" / "llama"
RANK = 8
# The words of a plan for parts, and what the names of their weights hold.
PARTS = {"attention": "attn", "embedding": "embed_tokens", "head": "lm_head", "mlp": "mlp", "norm": "norm"}


class Adapted(torch.nn.Module):
    """A frozen matrix with LoRA beside it, as PEFT's `Linear.forward` computes without dropout."""

    def __init__(self, base: torch.nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.base: torch.nn.Module = base
        self.a = torch.nn.Linear(base.in_features, RANK, bias=False, dtype=dtype)
        self.b = torch.nn.Linear(RANK, base.out_features, bias=False, dtype=dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.base(x)
        dtype = result.dtype
        x = x.to(self.a.weight.dtype)
        # As PEFT writes it: a name more would keep what the second matrix gives.
        result = result + self.b(self.a(x)) * 1.0
        return result.to(dtype)


class Times(torch.autograd.Function):
    """A product with a matrix that is made plain again for the backward pass, as bitsandbytes' `MatMul4Bit`."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        ctx.codes = codes
        return x @ codes.to(x.dtype).T

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        (gradient,) = gradients
        return gradient @ ctx.codes.to(gradient.dtype), None


class Quantized(torch.nn.Module):
    """A matrix in codes of one byte."""

    codes: torch.Tensor

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.register_buffer("codes", base.weight.sign().to(torch.int8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return Times.apply(x, self.codes)  # type: ignore[no-any-return, no-untyped-call]


def adapt(model: Any, targets: list[str], dtype: torch.dtype) -> None:
    for name, module in list(model.named_modules()):
        parent, _, own = name.rpartition(".")
        wanted = own in targets or (targets == ["all-linear"] and own != "lm_head")
        if isinstance(module, torch.nn.Linear) and wanted:
            setattr(model.get_submodule(parent), own, Adapted(module, dtype))


def prepared(model: Any, plan: str, precision: str) -> Any:
    """The model in the types and with the weights frozen that the plan says."""
    model.train().to(torch.float32 if precision == "float32" else torch.bfloat16)
    model.requires_grad_(False)
    if plan.startswith("lora:"):
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        adapt(model, plan.partition("targets=")[2].split(","), dtype)
    elif plan == "projector":
        # What the projector gives has a gradient, as the embeddings have then.
        model.enable_input_require_grads()
    else:
        words = [PARTS[part] for part in plan.split("+")]
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(any(word in name and ("norm" not in name or word == "norm") for word in words))
    return model


@pytest.mark.parametrize(
    ("name", "plan", "precision"),
    [
        ("llama", f"lora:r={RANK},targets=all-linear", "mixed"),
        ("llama", f"lora:r={RANK},targets=o_proj,down_proj", "bfloat16"),
        ("llama", "head", "float32"),
        ("phi3", f"lora:r={RANK},targets=all-linear", "mixed"),
        ("gpt_neox", f"lora:r={RANK},targets=all-linear", "bfloat16"),
        ("minicpm3", f"lora:r={RANK},targets=all-linear", "mixed"),
        ("qwen3_moe", f"lora:r={RANK},targets=q_proj,v_proj", "bfloat16"),
        ("laguna", f"lora:r={RANK},targets=q_proj,g_proj", "bfloat16"),
        ("lfm3", f"lora:r={RANK},targets=all-linear", "bfloat16"),
        ("granitemoeshared", "attention", "float32"),
        ("cohere", f"lora:r={RANK},targets=q_proj,v_proj", "bfloat16"),
        ("llava", "projector", "bfloat16"),
    ],
)
def test_a_part_is_within_a_tenth(name: str, plan: str, precision: str, tmp_path: Path) -> None:
    model = scaled(name).build()
    asked: dict[str, Any] = {"trainable": plan, "precision": precision}
    training = weightscope.open(config_of(model, tmp_path)).memory(context=TOKENS, batch=BATCH, **asked).training
    assert training
    assert_peaks(prepared(model, plan, precision), training)


def trained(plan: str, **asked: Any) -> Training:
    training = weightscope.open(LLAMA).memory(context=1000, batch=2, trainable=plan, **asked).training
    assert training
    return training


def test_adapters_by_hand() -> None:
    """fixtures/llama with LoRA of rank 2 beside q_proj, in float32: 3 layers, 256 logits, of 4 bytes an element."""
    estimate = trained("lora:r=2,targets=q_proj", precision="float32").activations
    assert estimate
    # What enters q_proj, and A's answer; 2 · 24 of queries, 8 keys, 8 values, 6 of the softmax; 24 of a norm; 3 · 52.
    first = 24 + 2 + 2 * 24 + 8 + 8 + 6 + 24 + 3 * 52
    # The first norm of the layers after the first keeps what enters it; the last one, too.
    assert estimate.kept == 2000 * 4 * (3 * first + 2 * 24 + 24 + 3 * 256)


def test_quantized_weights_are_made_plain_one_at_a_time(tmp_path: Path) -> None:
    model = scaled("llama").build()
    path, plan = config_of(model, tmp_path), f"lora:r={RANK},targets=all-linear"
    asked: dict[str, Any] = {"trainable": plan, "quantize": "bitsandbytes"}
    training = weightscope.open(path).memory(context=TOKENS, batch=BATCH, **asked).training
    assert training
    adapted = prepared(model, plan, "mixed")
    for module in adapted.modules():
        if isinstance(module, Adapted):
            module.base = Quantized(module.base)
    assert_peaks(adapted, training)


@pytest.mark.parametrize(
    ("targets", "why"), [("lm_head", "LoRA beside lm_head"), ("embed_tokens", "LoRA beside token_embedding")]
)
def test_adapters_elsewhere_are_refused(targets: str, why: str) -> None:
    training = trained(f"lora:r=2,targets={targets}")
    assert training.activations is None
    assert f"Activations are not estimated: a training step with {why} was not measured." in training.notes


def test_other_quantized_weights_are_refused() -> None:
    training = trained("lora:r=2,targets=q_proj", quantize="gptq")
    assert training.activations is None
    assert any("4 bits of bitsandbytes alone" in note for note in training.notes)


def test_one_device_needs_both_together() -> None:
    training = trained("full")
    live, whole = training.activations, training.with_activations
    assert live
    assert whole
    assert (whole.kept, whole.checkpointed) == (
        training.per_device + live.kept,
        training.per_device + live.checkpointed,
    )
    saving = training.savings[-1]
    assert (saving.change, saving.saved) == ("activation checkpointing", live.kept - live.checkpointed)
    assert trained("full", gpus=2).with_activations is None


@pytest.mark.parametrize(
    ("gpu", "found", "hint"),
    [
        ("100MB", [], ""),
        ("10MB", ["warning"], "activation checkpointing is enough"),
        ("5MB", ["warning"], "choose a smaller --batch or --context"),
        ("100kB", ["error"], "the table says what saves how much"),
    ],
)
def test_a_device_that_is_too_small_for_activations(gpu: str, found: list[str], hint: str) -> None:
    findings = weightscope.open(LLAMA).memory(context=1000, batch=2, trainable="full", gpu=gpu).findings
    assert [finding.severity for finding in findings] == found
    assert not hint or findings[0].hint == hint
