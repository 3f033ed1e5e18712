"""Diffusers' pipelines, laid out as `DiffusionPipeline.save_pretrained` does: every part is counted as what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from transformers import CLIPTextConfig, CLIPTextModel

import weightscope

SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 30}
INDEX = {
    "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.35.0", "feature_extractor": [None, None],
    "scheduler": ["diffusers", "PNDMScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"], "requires_safety_checker": False,
}  # fmt: skip
UNET = {"conv_in.weight": (8, 4, 3, 3), "conv_in.bias": (8,), "mid_block.attentions.0.proj_in.weight": (8, 8)}
VAE = {"decoder.conv_out.weight": (3, 8, 3, 3)}


@pytest.fixture
def pipeline(tmp_path: Path) -> tuple[Path, int]:
    """A pipeline, and the weights of its text encoder."""
    encoder = CLIPTextModel(CLIPTextConfig(**SIZES))
    encoder.save_pretrained(tmp_path / "text_encoder")
    for name, kind, shapes in (("unet", "UNet2DConditionModel", UNET), ("vae", "AutoencoderKL", VAE)):
        (tmp_path / name).mkdir()
        made = {tensor: np.ones(shape, np.float16) for tensor, shape in shapes.items()}
        save_file(made, tmp_path / name / "diffusion_pytorch_model.safetensors")
        (tmp_path / name / "config.json").write_text(json.dumps({"_class_name": kind, "_diffusers_version": "0.35.0"}))
    for name in ("scheduler", "tokenizer"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}_config.json").write_text("{}")
    (tmp_path / "model_index.json").write_text(json.dumps(INDEX))
    return tmp_path, sum(weight.numel() for weight in encoder.parameters())


def test_every_part_is_counted_and_their_sum(pipeline: tuple[Path, int], run: Any) -> None:
    folder, encoder = pipeline
    unet = sum(int(np.prod(shape)) for shape in UNET.values())
    vae = sum(int(np.prod(shape)) for shape in VAE.values())
    code, out, err = run("inspect", folder, "--format", "json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert {part["name"]: part["parameters"] for part in said["parts"]} == {
        "text_encoder": encoder, "unet": unet, "vae": vae,
    }  # fmt: skip
    assert said["parameters"]["total"] == encoder + unet + vae
    assert [(part["architecture"], part["family"]) for part in said["parts"]] == [
        ("CLIPTextModel", "clip"), ("UNet2DConditionModel", None), ("AutoencoderKL", None),
    ]  # fmt: skip
    code, out, _ = run("inspect", folder)
    assert "unet: UNet2DConditionModel" in out
    model = weightscope.open(folder)
    assert model.tensors["unet.conv_in.bias"].shape == (8,)
    assert model.tensors["unet.conv_in.bias"].numpy().sum() == 8


def test_each_part_is_checked_under_its_name(pipeline: tuple[Path, int], run: Any) -> None:
    folder, _ = pipeline
    made = {"a.weight": np.full((2, 2), np.nan, np.float32)}
    save_file(made, folder / "vae" / "diffusion_pytorch_model.safetensors")
    code, out, _ = run("check", folder, "--values", "--format", "json")
    assert code == 1
    findings = json.loads(out)["findings"]
    assert any(f["code"] == "non-finite" and f["message"].startswith("vae: ") for f in findings)
    assert any(f["message"].startswith("vae: 'AutoencoderKL' of diffusers is not declared") for f in findings)


def test_a_part_that_is_not_here(pipeline: tuple[Path, int], run: Any) -> None:
    folder, _ = pipeline
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    for path in folder.joinpath("vae").iterdir():
        path.unlink()
    (folder / "vae").rmdir()
    code, out, _ = run("check", folder)
    assert code == 1
    assert "1 of 3 shards that model_index.json names are missing: vae/" in " ".join(out.split())


@pytest.mark.parametrize("index", [b"", b"[]", b"{", b'{"a": [1, 2]}', b"[" * 100_000])
def test_an_index_that_is_none(index: bytes, pipeline: tuple[Path, int], run: Any) -> None:
    folder, _ = pipeline
    (folder / "model_index.json").write_bytes(index)
    code, _, err = run("inspect", folder)
    assert code == 2
    assert err.count("\n") == 1


def test_dense_layers_of_sentence_transformers_are_counted_beside_the_encoder(tmp_path: Path, run: Any) -> None:
    """The folder that sentence-transformers 5 writes: modules.json, a folder a module."""
    from transformers import BertConfig, BertModel

    encoder = BertModel(BertConfig(**SIZES, max_position_embeddings=20))
    encoder.save_pretrained(tmp_path)
    kinds = ("Transformer", "Pooling", "Dense", "Normalize")
    modules = [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    for i, kind in enumerate(kinds):
        (tmp_path / f"{i}_{kind}").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    dense = {
        "in_features": 16,
        "out_features": 8,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    }
    (tmp_path / "2_Dense" / "config.json").write_text(json.dumps(dense))
    made = {"linear.weight": np.ones((8, 16), np.float32), "linear.bias": np.ones(8, np.float32)}
    save_file(made, tmp_path / "2_Dense" / "model.safetensors")
    code, out, err = run("inspect", tmp_path, "--format", "json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert said["parameters"]["total"] == sum(weight.numel() for weight in encoder.parameters())
    assert said["sentence_vectors"] == "mean, dense, length 1"
    assert [(part["name"], part["parameters"]) for part in said["parts"]] == [("2_Dense", 8 * 16 + 8)]
    assert "mean, dense, length 1" in run("inspect", tmp_path)[1]
    assert not [finding for finding in weightscope.open(tmp_path).check() if finding.message.startswith("2_Dense")]
    save_file(
        made | {"linear.weight": np.full((8, 15), np.nan, np.float32)}, tmp_path / "2_Dense" / "model.safetensors"
    )
    code, out, _ = run("check", tmp_path, "--values", "--format", "json")
    found = [(f["code"], f["message"]) for f in json.loads(out)["findings"] if f["message"].startswith("2_Dense")]
    assert code == 1
    assert [code for code, _ in found] == ["non-finite", "shape-mismatch"]
    assert found[1][1] == "2_Dense: linear.weight has shape [8, 15], but the config.json there says [8, 16]"
    (tmp_path / "2_Dense" / "model.safetensors").unlink()
    code, out, _ = run("check", tmp_path)
    assert code == 1
    assert "2_Dense: " in out
