"""MiniCPM-V 2.6 on slices that are not alike: Idefics 2's tower, torch's own attention and Qwen2 are its parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, models
from torch import nn
from transformers import Idefics2VisionConfig, Qwen2Config, Qwen2ForCausalLM
from transformers.models.idefics2.modeling_idefics2 import Idefics2VisionTransformer
from transformers.models.omdet_turbo.modeling_omdet_turbo import OmDetTurboHybridEncoder
from transformers.vision_utils import get_vision_nearest_position_ids

from tests.forward import seeing
from tests.forward.test_patched_image import photograph
from weightscope.analyses.forward.images import read_images
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.strip_eye import places_of
from weightscope.config import read_config
from weightscope.errors import CheckpointError, UsageError
from weightscope.families.declaration import declare

Run = Callable[..., tuple[int, str, str]]
PATCH, QUERIES, WIDTH, UNK = 4, 5, 256, 128244
GRIDS = [(3, 5), (7, 2), (4, 6)]
TOWER = {
    "hidden_size": 16, "image_size": 28, "intermediate_size": 22, "num_attention_heads": 2, "num_hidden_layers": 2,
    "patch_size": PATCH,
}  # fmt: skip
TEXT = {
    "vocab_size": 101, "hidden_size": WIDTH, "intermediate_size": 32, "num_attention_heads": 4,
    "num_hidden_layers": 2, "num_key_value_heads": 2, "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
}  # fmt: skip


class Resampler(nn.Module):
    """What the published class of that name does, of torch's parts."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.proj = nn.Parameter(torch.zeros(QUERIES, WIDTH)), nn.Parameter(torch.zeros(WIDTH, WIDTH))
        self.kv_proj = nn.Linear(TOWER["hidden_size"], WIDTH, bias=False)
        self.attn = nn.MultiheadAttention(WIDTH, WIDTH // 128)
        self.ln_q, self.ln_kv, self.ln_post = (nn.LayerNorm(WIDTH, eps=1e-6) for _ in range(3))

    def forward(self, x: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        waves = OmDetTurboHybridEncoder.build_2d_sincos_position_embedding(columns, rows, WIDTH)[0]
        places = waves.reshape(columns, rows, WIDTH).transpose(0, 1).flatten(0, 1)
        x = self.ln_kv(self.kv_proj(x))
        return self.ln_post(self.attn(self.ln_q(self.query), x + places, x)[0]) @ self.proj  # type: ignore[no-any-return]


class Whole(nn.Module):
    """The parts under their published names; each slice goes through the tower alone, as a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.vpm = Idefics2VisionTransformer(Idefics2VisionConfig(**TOWER, attn_implementation="eager"))
        self.resampler = Resampler()
        self.llm = Qwen2ForCausalLM(Qwen2Config(**TEXT, rope_parameters={"rope_type": "default", "rope_theta": 1e6}))

    @torch.no_grad()
    def logits(self, tokens: list[int], pictures: list[torch.Tensor]) -> torch.Tensor:
        ids = torch.tensor([tokens])
        embedded = self.llm.get_input_embeddings()(ids.masked_fill(ids == UNK, 0))
        vectors = []
        for picture in pictures:
            rows, columns = (side // PATCH for side in picture.shape[1:])
            mask = torch.ones(1, rows, columns, dtype=torch.bool)
            seen = self.vpm(pixel_values=picture[None], patch_attention_mask=mask).last_hidden_state[0]
            vectors.append(self.resampler(seen, rows, columns))
        if vectors:
            embedded[ids == UNK] = torch.cat(vectors)
        return self.llm(inputs_embeds=embedded).logits[0]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def oracle() -> Whole:
    return seeing.enlivened(Whole().eval())  # type: ignore[no-any-return]


@pytest.fixture
def folder(oracle: Whole, tmp_path: Path) -> Path:
    state = {name: tensor.contiguous() for name, tensor in oracle.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    config: dict[str, Any] = TEXT | {
        "model_type": "minicpmv", "version": 2.6, "architectures": ["MiniCPMV"], "drop_vision_last_layer": False,
        "query_num": QUERIES, "rope_theta": 1e6, "hidden_act": "silu",
        "vision_config": TOWER | {"model_type": "siglip_vision_model"},
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


@pytest.fixture(scope="module")
def pictures() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(3, rows * PATCH, columns * PATCH, generator=generator) for rows, columns in GRIDS]


def strip(picture: torch.Tensor) -> torch.Tensor:
    """Its patches in a row, [3, patch, patches · patch]: `reshape_by_patch` of the published processor."""
    patches = nn.functional.unfold(picture, (PATCH, PATCH), stride=(PATCH, PATCH))
    return patches.reshape(3, PATCH, PATCH, -1).permute(0, 1, 3, 2).reshape(3, PATCH, -1)


def inputs(pictures: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    strips = [strip(picture) for picture in pictures]
    longest = max(part.shape[-1] for part in strips)
    padded = [nn.functional.pad(part, (0, longest - part.shape[-1])) for part in strips]
    return {"pixel_values": torch.stack(padded), "tgt_sizes": torch.tensor(GRIDS[: len(pictures)])}


def tokens(count: int) -> list[int]:
    return [3, 7, *[token for _ in range(count) for token in (90, *[UNK] * QUERIES, 91)], 8, 9]


def bounds(count: int) -> torch.Tensor:
    starts = torch.arange(count) * (QUERIES + 2) + 3
    return torch.stack((starts, starts + QUERIES), dim=1)


@pytest.mark.parametrize("count", [1, 3])
def test_slices_give_the_logits_of_their_parts(
    oracle: Whole, folder: Path, pictures: list[torch.Tensor], count: int
) -> None:
    expected = oracle.logits(tokens(count), pictures[:count])
    given = inputs(pictures[:count])
    assert seeing.off(seeing.ours(folder, tokens(count), given), expected) < 1e-4
    assert seeing.off(seeing.ours(folder, tokens(count), given | {"image_bound": bounds(count)}), expected) < 1e-4
    assert seeing.off(oracle.logits(tokens(count), pictures[:count][::-1]), expected) > 1e-2 or count == 1


def test_text_alone_gives_the_logits_of_qwen2(oracle: Whole, folder: Path) -> None:
    text = [7, 3, 98, 42, 42, 17]
    assert seeing.off(seeing.ours(folder, text), oracle.logits(text, [])) < 1e-4


def test_every_tensor_of_tower_and_resampler_matters(folder: Path, pictures: list[torch.Tensor], oracle: Whole) -> None:
    names = {name for name in oracle.state_dict() if not name.startswith("llm.")}
    found = seeing.unmoving(folder, tokens(3), inputs(pictures), names)
    # What is added to all keys alike changes no share.
    assert found == {name for name in names if name.endswith("k_proj.bias")}


@pytest.mark.parametrize("grid", [(3, 5), (70, 70), (64, 9), (31, 33), (1, 80)])
def test_positions_are_those_of_the_later_versions_code(grid: tuple[int, int]) -> None:
    expected = get_vision_nearest_position_ids(torch.tensor([grid]), 70)
    assert torch.equal(places_of(grid, 70), expected)


def test_patches_at_an_edge_fall_where_the_published_steps_put_them() -> None:
    """`SiglipVisionEmbeddings` of openbmb/MiniCPM-V-2_6 divides by a tensor: of 49 or 58 rows, later code differs."""
    boundaries = torch.arange(1 / 70, 1.0, 1 / 70)
    for nb_patches in torch.arange(1, 200, dtype=torch.int32):
        expected = torch.bucketize(torch.arange(0, 1 - 1e-6, 1 / nb_patches), boundaries, right=True)
        assert torch.equal(places_of((1, int(nb_patches)), 70), expected), nb_patches


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tgt_sizes": torch.tensor(GRIDS[:2])}, "tgt_sizes has shape"),
        ({"tgt_sizes": torch.tensor([(0, 5), *GRIDS[1:]])}, "a slice has 1 to 24 patches"),
        ({"tgt_sizes": torch.tensor([(5, 5), *GRIDS[1:]])}, "a slice has 1 to 24 patches"),
        ({"tgt_sizes": torch.tensor(GRIDS).float()}, "not whole numbers"),
        ({"pixel_values": torch.zeros(3, 3, 28, 28)}, "pixel_values has shape"),
        ({"image_bound": bounds(2)}, "image_bound does not tell"),
        ({"image_bound": bounds(3) + 1}, "image_bound does not tell"),
        ({"image_bound": bounds(3)[[1, 0, 2]]}, "image_bound does not tell"),
        ({"image_bound": bounds(3).flatten()[:5]}, "image_bound does not tell"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    folder: Path, pictures: list[torch.Tensor], changes: dict[str, torch.Tensor], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        seeing.ours(folder, tokens(3), inputs(pictures) | changes)


def test_the_command_takes_what_the_processor_makes_and_writes_no_prompt_itself(
    oracle: Whole, folder: Path, pictures: list[torch.Tensor], run: Run
) -> None:
    given: dict[str, Any] = {name: value.numpy() for name, value in inputs(pictures).items()}
    np.savez(folder / "ready.npz", **given, image_bound=bounds(3).numpy(), input_ids=np.array([tokens(3)]))
    np.savez(folder / "without.npz", **given)
    status, out, _ = run("forward", folder, "--inputs", folder / "ready.npz", "--format", "json")
    expected = oracle.logits(tokens(3), pictures).argmax(-1).tolist()
    assert (status, [row[0]["token_id"] for row in json.loads(out)["top"]]) == (0, expected)
    status, _, error = run("forward", folder, "--inputs", folder / "without.npz", "--tokens", "3,7")
    assert (status, "how a prompt of MiniCPM-V writes its images is not implemented without grids" in error) == (
        2,
        True,
    )


class Published(transformers.MiniCPMV4_6ImageProcessorPil):  # type: ignore[misc]
    """The later version's processor, whose sides are multiples of four patches: 2.6 has them of one."""

    def find_best_resize(self, image_size: Any, scale_resolution: int, patch_size: int, **others: Any) -> Any:
        sizes = super().find_best_resize(image_size, scale_resolution, patch_size / 4, **others)
        return tuple(map(int, sizes))


SETTINGS = {
    "image_processor_type": "MiniCPMVImageProcessor", "patch_size": PATCH, "scale_resolution": 30, "max_slice_nums": 6,
    "use_image_id": True, "slice_mode": True, "norm_mean": [0.5, 0.4, 0.3], "norm_std": [0.5, 0.6, 0.7], "unk": "<unk>",
}  # fmt: skip


@pytest.mark.parametrize("size", [(97, 61), (20, 20), (8, 130), (300, 290), (30, 31), (31, 60), (640, 33)])
def test_slices_are_those_of_transformers(size: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(SETTINGS))
    path = photograph(tmp_path / "a.png", size)
    shared = {key: SETTINGS[key] for key in ("patch_size", "scale_resolution", "max_slice_nums")}
    theirs = Published(**shared, image_mean=SETTINGS["norm_mean"], image_std=SETTINGS["norm_std"])(
        [Image.open(path)], return_tensors="np"
    )
    ours = read_images([path], tmp_path, "MiniCPMVImageProcessor")
    assert ours["tgt_sizes"].tolist() == theirs["target_sizes"].tolist()
    assert ours["grids"].tolist() == [list(grid) for grid in theirs["grids"]]
    lengths = [PATCH * rows * columns for rows, columns in ours["tgt_sizes"].tolist()]
    packed = np.concatenate(
        [part[..., :length] for part, length in zip(ours["pixel_values"], lengths, strict=True)], -1
    )
    np.testing.assert_allclose(packed, theirs["pixel_values"][0], atol=1e-5)


def test_settings_that_write_images_otherwise_are_refused(tmp_path: Path) -> None:
    path = photograph(tmp_path / "a.png", (20, 20))
    for changes in ({"use_image_id": False}, {"slice_mode": False}, {"im_start": "<img>"}, {"patch_size": 0}):
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(SETTINGS | changes))
        with pytest.raises(CheckpointError, match="settings that cannot be used"):
            read_images([path], tmp_path, "MiniCPMVImageProcessor")


def test_two_images_and_a_prompt_at_the_command_line(folder: Path, run: Run) -> None:
    """`get_slice_image_placeholder` of the published processor, written out by hand."""
    (folder / "preprocessor_config.json").write_text(json.dumps(SETTINGS))
    words = ["<image>", "</image>", "<slice>", "</slice>", "<image_id>", "</image_id>", "\n", "0", "1", "a", "b"]
    vocabulary = {word: number for number, word in enumerate(words)} | {"<unk>": UNK}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="b"))
    made.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in vocabulary])
    made.save(str(folder / "tokenizer.json"))
    paths = [photograph(folder / "a.png", (60, 28)), photograph(folder / "b.png", (20, 20))]
    given = ("--image", paths[0], "--image", paths[1])
    place = "(<image>./</image>)"
    _, out, error = run("forward", folder, *given, "--prompt", f"{place}a{place}", "--format", "json")
    shown = json.loads(out)
    # The weights are random.
    assert (error, [finding["code"] for finding in shown["findings"]]) == ("", ["uniform-loss"])
    unk = "<unk>" * QUERIES
    first = f"<image_id>0</image_id><image>{unk}</image><slice>{unk}</slice><slice>{unk}</slice>"
    whole = f"{first}a<image_id>1</image_id><image>{unk}</image>"
    assert shown["token_ids"] == made.encode(whole).ids


def test_rows_of_slices_stand_on_lines_of_their_own(folder: Path) -> None:
    declaration = declare(read_config(folder / "config.json"))
    assert declaration
    assert isinstance(declaration.tree, VisionLanguage)
    eye = declaration.tree.eye
    given = {"pixel_values": torch.zeros(5, 3, PATCH, PATCH), "tgt_sizes": torch.ones(5, 2, dtype=torch.int64)}
    (layout,) = eye.layouts(given | {"grids": torch.tensor([[2, 2]])})
    slices = ("<slice>", QUERIES, "</slice>") * 2
    assert layout == ("<image_id>0</image_id><image>", QUERIES, "</image>", *slices, "\n", *slices)
    for wrong in ([[2, 1]], [[1 << 60, 0]], [[4, 1, 0]], [[-2, -2]]):
        with pytest.raises(UsageError, match="another number of slices"):
            eye.layouts(given | {"grids": torch.tensor(wrong)})
