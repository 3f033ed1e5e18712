"""Gemma 3n: transformers builds it around a stand-in for its tower, of which timm's names and shapes are a fixture."""

from __future__ import annotations

import copy
import json
import struct
import warnings
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers.models.gemma3n import modeling_gemma3n

import weightscope
from tests.families.tiny import TINY
from tests.forward import seeing
from weightscope.errors import UsageError, WeightscopeError

TOWER: dict[str, list[int]] = json.loads(
    (Path(__file__).parents[2] / "fixtures" / "timm" / "mobilenetv5_300m_enc.json").read_text()
)["tensors"]
TEXT = next(tiny.keys for tiny in TINY if tiny.name == "gemma3n_text") | {
    "vocab_size": 120,
    "vocab_size_per_layer_input": 101,
}
AUDIO: dict[str, Any] = {
    "hidden_size": 16, "conf_num_attention_heads": 2, "conf_num_hidden_layers": 2, "vocab_size": 10,
    "sscp_conv_channel_size": [6, 4], "input_feat_size": 20, "vocab_offset": 110,
}  # fmt: skip
KEYS: dict[str, Any] = {
    "text_config": TEXT,
    "vision_config": {"vocab_size": 9, "vocab_offset": 101},
    "audio_config": AUDIO,
    "image_token_id": 102, "audio_token_id": 111, "audio_soft_tokens_per_image": 9, "boa_token_id": 98,
    "eoa_token_id": 110,
}  # fmt: skip


class StandIn(torch.nn.Module):
    """In the tower's place."""


@pytest.fixture(scope="module")
def built() -> Any:
    """transformers' own model, but for the tower."""
    return build(KEYS)


def build(keys: dict[str, Any]) -> Any:
    """A model of that config, its weights drawn."""
    real = modeling_gemma3n.AutoModel.from_config
    patch = pytest.MonkeyPatch()
    patch.setattr(
        modeling_gemma3n.AutoModel,
        "from_config",
        lambda config: StandIn() if isinstance(config, transformers.Gemma3nVisionConfig) else real(config),
    )
    torch.manual_seed(0)
    model = transformers.Gemma3nForConditionalGeneration(transformers.Gemma3nConfig(**copy.deepcopy(keys))).eval()
    patch.undo()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.5, 0.5, generator=generator)
    return model


@pytest.fixture(scope="module")
def saved(built: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As transformers saves it, without a tower."""
    directory = tmp_path_factory.mktemp("gemma3n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        built.save_pretrained(directory)
    config = json.loads((directory / "config.json").read_text())
    assert config["vision_config"]["architecture"] == "mobilenetv5_300m_enc"
    return directory


def whole(saved: Path, target: Path) -> Path:
    """The header of a file with the tower in it, and a hole for the values."""
    with (saved / "model.safetensors").open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    shapes = {name: entry["shape"] for name, entry in header.items()}
    shapes |= {f"model.vision_tower.timm_model.{name}": shape for name, shape in TOWER.items()}
    found, end = {}, 0
    for name, shape in shapes.items():
        size = 4 * prod(shape)
        found[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    raw = json.dumps(found).encode()
    with (target / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        file.truncate(8 + len(raw) + end)
    (target / "config.json").write_bytes((saved / "config.json").read_bytes())
    return target


def test_names_shapes_and_counts(built: Any, saved: Path, tmp_path: Path) -> None:
    model = weightscope.open(whole(saved, tmp_path))
    assert [finding.code for finding in model.check() if finding.severity != "info"] == []
    assert model.summary().tensors.unrecognized == ()
    tower = sum(map(prod, TOWER.values()))
    assert tower == 294_126_912
    assert model.parameters.total == built.num_parameters() + tower
    assert weightscope.open(tmp_path / "config.json").parameters.total == model.parameters.total
    counted = {c.component: c.parameters for c in model.components}
    own = {name: p.numel() for name, p in built.named_parameters()}
    assert counted["vision"] == tower
    assert counted["audio"] == sum(count for name, count in own.items() if "audio_tower" in name)
    bridges = ("model.embed_vision.", "model.embed_audio.")
    assert counted["projector"] == sum(count for name, count in own.items() if name.startswith(bridges))


def test_names_as_mlx_has_them(saved: Path, tmp_path: Path) -> None:
    whole(saved, tmp_path)
    path = tmp_path / "model.safetensors"
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    renamed = {
        name.replace("model.language_model.", "language_model.model.").removeprefix("model."): entry
        for name, entry in header.items()
    }
    size = path.stat().st_size - 8 - length
    raw = json.dumps(renamed).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        file.truncate(8 + len(raw) + size)
    assert [f.code for f in weightscope.open(tmp_path).check() if f.severity != "info"] == []


def test_text_alone(built: Any, saved: Path) -> None:
    tokens = [1, 7, 43, 99, 5, 88, 2, 100]
    with torch.no_grad():
        expected = built(input_ids=torch.tensor([tokens])).logits[0]
    assert seeing.off(seeing.ours(saved, tokens), expected) < 1e-4


def test_an_image_token_without_an_image(saved: Path) -> None:
    with pytest.raises(UsageError, match="token 102 stands for an image"):
        weightscope.open(saved).forward([1, 102])


def test_tokens_with_tables_of_their_own(built: Any, saved: Path) -> None:
    """From 101 on those of images, from 110 on those of audio."""
    tokens = [1, 101, 7, 105, 110, 109, 119, 5]
    with torch.no_grad():
        expected = built(input_ids=torch.tensor([tokens])).logits[0]
    assert seeing.off(seeing.ours(saved, tokens), expected) < 1e-4


def clips(frames: int = 90) -> dict[str, Any]:
    """Two, the shorter one filled up with what is no silence."""
    features = torch.randn(2, frames, 20, generator=torch.Generator().manual_seed(3))
    return {"input_features": features, "input_features_mask": torch.arange(frames) < torch.tensor([[frames], [50]])}


SPOKEN = [1, 98, *[111] * 9, 110, 7, 105, 98, *[111] * 9, 110, 5]


def test_two_clips(built: Any, saved: Path) -> None:
    with torch.no_grad():
        expected = built(input_ids=torch.tensor([SPOKEN]), **clips()).logits[0]
    assert seeing.off(seeing.ours(saved, SPOKEN, clips()), expected) < 1e-4


def test_layers_get_the_mark_itself(tmp_path: Path) -> None:
    """Where the table of what layers get has a row for the token that stands for audio."""
    model = build(KEYS | {"text_config": TEXT | {"vocab_size_per_layer_input": 120}})
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([SPOKEN]), **clips()).logits[0]
    assert seeing.off(seeing.ours(tmp_path, SPOKEN, clips()), expected) < 1e-4


def test_another_conformer(tmp_path: Path) -> None:
    """Frames see later ones; convolutions over other sizes; no frame is left out."""
    keys = KEYS | {"audio_soft_tokens_per_image": 40, "audio_config": AUDIO | {
        "conf_attention_chunk_size": 3, "conf_attention_context_left": 4, "conf_attention_context_right": 2,
        "conf_attention_logit_cap": 2.0, "conf_residual_weight": 0.8, "conf_reduction_factor": 1,
        "conf_conv_kernel_size": 3, "gradient_clipping": 2.0, "sscp_conv_kernel_size": [[4, 3], [2, 5]],
        "sscp_conv_stride_size": [[1, 2], [3, 1]], "sscp_conv_group_norm_eps": 0.1,
    }}  # fmt: skip
    model = build(keys)
    model.save_pretrained(tmp_path)
    tokens = [1, 98, *[111] * 40, 110, 7, *[111] * 40, 5]
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([tokens]), **clips()).logits[0]
    assert seeing.off(seeing.ours(tmp_path, tokens, clips()), expected) < 1e-4


def test_every_tensor_of_the_ear_moves_the_logits(saved: Path, tmp_path: Path) -> None:
    for file in saved.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    names = [name for name in load_file(tmp_path / "model.safetensors") if "audio" in name]
    assert len(names) > 45
    assert seeing.unmoving(tmp_path, SPOKEN, clips(), names) == set()


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (clips(150), "150 frames make 10 vectors, and a clip has 9"),
        (clips() | {"input_features": torch.zeros(2, 90, 26)}, "the convolutions leave 7 of 26 bins, and 5 are taken"),
        (clips() | {"input_features_mask": torch.ones(1, 90)}, "the clips need"),
    ],
)
def test_clips_that_do_not_fit_are_said(inputs: dict[str, torch.Tensor], said: str, saved: Path) -> None:
    with pytest.raises(UsageError, match=said):
        seeing.ours(saved, SPOKEN, inputs)


def test_a_clip_at_the_command_line(run: Callable[..., tuple[int, str, str]], saved: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "clips.npz", **{name: value.numpy() for name, value in clips().items()})
    tokens = ",".join(map(str, SPOKEN))
    status, out, error = run("forward", saved, "--inputs", tmp_path / "clips.npz", "--tokens", tokens, "--json")
    assert (status, error) == (0, "")
    assert json.loads(out)["token_ids"] == SPOKEN
    status, _, error = run("forward", saved, "--inputs", tmp_path / "clips.npz", "--tokens", "1,111,7,111")
    assert (status, "it is needed for '\\n\\n' beside an image" in error) == (2, True)


def test_another_tower_is_refused_by_name(saved: Path, tmp_path: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    config["vision_config"]["architecture"] = "resnet50"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightscopeError, match="architecture 'resnet50' is not declared"):
        weightscope.open(tmp_path / "config.json").check()
