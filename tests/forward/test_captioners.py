"""BLIP, GIT, Kosmos-2, Pix2Struct and Florence-2 by transformers' own models: images, and text alone."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.tiny import Tiny
from tests.families.tiny_captioners import TINY_CAPTIONERS
from tests.forward import seeing
from tests.forward.test_patched_image import photograph
from weightscope.analyses.forward.images import read_images
from weightscope.components.vision.florence_tasks import question
from weightscope.config import read_config
from weightscope.errors import NotImplementedByWeightscope, UsageError
from weightscope.families.declaration import declare

BY_NAME = {tiny.name: tiny for tiny in TINY_CAPTIONERS}
NOISE = torch.Generator().manual_seed(1)
IMAGE, IMAGES = torch.randn(1, 3, 28, 28, generator=NOISE), torch.randn(2, 3, 28, 28, generator=NOISE)
# Of no square's shape, and in neither stage a whole number of windows.
WIDE = torch.randn(2, 3, 32, 40, generator=NOISE)
TEXT = [98, 7, 3, 42, 61]
# What begins and what ends an image for Kosmos-2; what stands between does not matter.
BEGIN, END = 1100 - 1034, 1100 - 1033
RUNS = [0, BEGIN, 4, 5, 6, 7, 8, END, 20, 1, BEGIN, *[BEGIN] * 5, END, 30, 31]
PLACES = torch.tensor([[0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0]])
MARKS = [*[99] * 21, 0, *[99] * 21, 7, 9, 33, 2]
WRITTEN = torch.tensor([[2, 0, 5, 77]])
Inputs = dict[str, Any]
# Six patches in two rows, and two that are padding.
PATCHES: Inputs = {
    "flattened_patches": torch.cat(
        (
            torch.tensor([[1.0, 1], [1, 2], [1, 3], [2, 1], [2, 2], [2, 3], [0, 0], [0, 0]])[None],
            torch.randn(1, 8, 27, generator=NOISE),
        ),
        dim=-1,
    ),
    "attention_mask": torch.tensor([[1.0, 1, 1, 1, 1, 1, 0, 0]]),
    "decoder_input_ids": torch.tensor([[0, 5, 77]]),
}


@pytest.fixture
def lively(tmp_path: Path) -> Callable[[str], Path]:
    """A tiny model with weights under which its every part shows."""

    def save(name: str) -> Path:
        tiny = BY_NAME[name]
        config = getattr(transformers, f"{tiny.kind}Config")(**copy.deepcopy(tiny.keys))
        seeing.enlivened(getattr(transformers, f"{tiny.kind}{tiny.model}")(config)).save_pretrained(tmp_path / name)
        return tmp_path / name

    return save


def whole(directory: Path, tiny: Tiny) -> Any:
    """transformers' own model."""
    cls = getattr(transformers, f"{tiny.kind}{tiny.model}")
    return cls.from_pretrained(directory, attn_implementation="eager").eval()


def answered(model: Any, tokens: list[int], answer: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """BLIP's own pass for questions gives a loss alone: its parts, joined as it joins them."""
    features = model.vision_model(pixels).last_hidden_state
    question = model.text_encoder(torch.tensor([tokens]), encoder_hidden_states=features)[0]
    logits: torch.Tensor = model.text_decoder(answer, encoder_hidden_states=question).logits[0]
    return logits


@pytest.mark.parametrize("name", ["blip", "blip-untied"])
def test_blip_writes_about_an_image(name: str, lively: Callable[[str], Path]) -> None:
    directory = lively(name)
    expected = seeing.theirs(directory, TEXT, {"pixel_values": IMAGE})
    assert seeing.off(seeing.ours(directory, TEXT, {"pixel_values": IMAGE}), expected) < 1e-4
    assert seeing.off(seeing.ours(directory, TEXT, {"pixel_values": IMAGE + 1}), expected) > 1e-2
    with torch.no_grad():
        alone = whole(directory, BY_NAME[name]).text_decoder(torch.tensor([TEXT])).logits[0]
    assert seeing.off(seeing.ours(directory, TEXT), alone) < 1e-4


def test_blip_answers_a_question(lively: Callable[[str], Path]) -> None:
    directory, answer = lively("blip-answers"), torch.tensor([[98, 5, 77]])
    inputs: Inputs = {"pixel_values": IMAGE, "decoder_input_ids": answer}
    with torch.no_grad():
        model = whole(directory, BY_NAME["blip-answers"])
        expected = answered(model, TEXT, answer, IMAGE)
        first = answered(model, TEXT, torch.tensor([[98]]), IMAGE)
    assert seeing.off(seeing.ours(directory, TEXT, inputs), expected) < 1e-4
    assert seeing.off(seeing.ours(directory, TEXT, {"pixel_values": IMAGE}), first) < 1e-4
    assert seeing.off(seeing.ours(directory, TEXT, inputs | {"pixel_values": IMAGE + 1}), expected) > 1e-3
    assert seeing.off(seeing.ours(directory, TEXT[::-1], inputs), expected) > 1e-3


def test_blip_matches_a_text_with_an_image(lively: Callable[[str], Path]) -> None:
    directory = lively("blip-matches")
    with torch.no_grad():
        model = whole(directory, BY_NAME["blip-matches"])
        expected = model(input_ids=torch.tensor([TEXT]), pixel_values=IMAGE).itm_score
    ours = weightscope.open(directory).forward(TEXT, pixel_values=IMAGE).output
    assert seeing.off(torch.as_tensor(ours), expected) < 1e-4


@pytest.mark.parametrize("name", ["git", "git-tied-frames"])
def test_git_has_an_image_before_the_text(name: str, lively: Callable[[str], Path]) -> None:
    """transformers takes the text alone, and its logits are of both."""
    directory, tokens = lively(name), [*[-1] * 17, *TEXT]
    expected = seeing.theirs(directory, TEXT, {"pixel_values": IMAGE})
    assert seeing.off(seeing.ours(directory, tokens, {"pixel_values": IMAGE}), expected) < 1e-4
    assert seeing.off(seeing.ours(directory, tokens, {"pixel_values": IMAGE + 1})[17:], expected[17:]) > 1e-2
    assert seeing.off(seeing.ours(directory, TEXT), seeing.theirs(directory, TEXT)) < 1e-4


@pytest.mark.parametrize("name", ["kosmos-2", "kosmos-2-untied"])
def test_kosmos_sees_two_images(name: str, lively: Callable[[str], Path]) -> None:
    directory, inputs = lively(name), {"pixel_values": IMAGES}
    expected = seeing.theirs(directory, RUNS, inputs | {"image_embeds_position_mask": PLACES})
    assert seeing.off(seeing.ours(directory, RUNS, inputs), expected) < 1e-4
    assert seeing.off(seeing.ours(directory, RUNS, inputs | {"image_embeds_position_mask": PLACES}), expected) < 1e-4
    assert seeing.off(seeing.ours(directory, RUNS, {"pixel_values": IMAGES.flip(0)}), expected) > 1e-2
    with torch.no_grad():
        alone = whole(directory, BY_NAME[name]).text_model(torch.tensor([TEXT])).logits[0]
    assert seeing.off(seeing.ours(directory, TEXT), alone) < 1e-4


@pytest.mark.parametrize("name", ["pix2struct", "pix2struct-tied"])
def test_pix2struct_reads_patches(name: str, lively: Callable[[str], Path]) -> None:
    """The last patches are padding, which nothing looks at."""
    directory = lively(name)
    with torch.no_grad():
        expected = whole(directory, BY_NAME[name])(**PATCHES).logits[0]
    assert seeing.off(seeing.ours(directory, (), PATCHES), expected) < 1e-4
    other = PATCHES["flattened_patches"].clone()
    other[0, 6:, 2:] += 1
    assert seeing.off(seeing.ours(directory, (), PATCHES | {"flattened_patches": other}), expected) < 1e-4
    other[0, :, 2:] += 1
    assert seeing.off(seeing.ours(directory, (), PATCHES | {"flattened_patches": other}), expected) > 1e-2


@pytest.mark.parametrize("size", [(97, 61), (20, 130), (300, 5)])
@pytest.mark.parametrize("settings", [{}, {"max_patches": 60, "patch_size": {"height": 8, "width": 6}}])
def test_pix2struct_patches_are_those_of_transformers(
    size: tuple[int, int], settings: dict[str, Any], tmp_path: Path
) -> None:
    said = {"image_processor_type": "Pix2StructImageProcessor"} | settings
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    path = photograph(tmp_path / "a.png", size)
    theirs = transformers.Pix2StructImageProcessorPil(**settings)(Image.open(path), return_tensors="np")
    ours = read_images([path], tmp_path, "Pix2StructImageProcessor")
    for name in ("flattened_patches", "attention_mask"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5)


def test_pix2struct_takes_an_image_at_the_command_line(lively: Callable[[str], Path], tmp_path: Path, run: Any) -> None:
    directory, path = lively("pix2struct"), photograph(tmp_path / "a.png", (97, 61))
    said = {"image_processor_type": "Pix2StructImageProcessor", "max_patches": 8}
    said |= {"patch_size": {"height": 3, "width": 3}}
    (directory / "preprocessor_config.json").write_text(json.dumps(said))
    status, out, error = run("forward", str(directory), "--image", str(path), "--compare", "transformers")
    assert (status, error) == (0, "")
    assert "magnitudes, transformers" in out


def test_a_question_on_an_image_is_refused(tmp_path: Path) -> None:
    said = {"image_processor_type": "Pix2StructImageProcessor", "is_vqa": True}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    with pytest.raises(NotImplementedByWeightscope, match="is_vqa"):
        read_images([photograph(tmp_path / "a.png", (9, 9))], tmp_path, "Pix2StructImageProcessor")


@pytest.mark.parametrize("name", ["florence2", "florence2-untied-no-bias"])
def test_florence_sees_two_images(name: str, lively: Callable[[str], Path]) -> None:
    directory, inputs = lively(name), {"pixel_values": WIDE, "decoder_input_ids": WRITTEN}
    expected = seeing.theirs(directory, MARKS, inputs)
    assert seeing.off(seeing.ours(directory, MARKS, inputs), expected) < 1e-4
    assert seeing.off(seeing.ours(directory, MARKS, inputs | {"pixel_values": WIDE.flip(0)}), expected) > 1e-3
    first = seeing.theirs(directory, TEXT)
    assert seeing.off(seeing.ours(directory, TEXT), first) < 1e-4


CASES: dict[str, tuple[list[int], Inputs]] = {
    "blip": (TEXT, {"pixel_values": IMAGE}),
    "blip-answers": (TEXT, {"pixel_values": IMAGE, "decoder_input_ids": torch.tensor([[98, 5]])}),
    "git": ([*[-1] * 17, *TEXT], {"pixel_values": IMAGE}),
    "kosmos-2": (RUNS, {"pixel_values": IMAGES}),
    "pix2struct": ([], PATCHES),
    "florence2": (MARKS, {"pixel_values": WIDE, "decoder_input_ids": WRITTEN}),
}
# A bias on keys shifts all scores of a query alike, which softmax does not see: q, k and v may have one together.
UNSEEN = re.compile(r"(\.key|k_proj)\.bias$")
OWN = {
    "blip": "",
    "blip-answers": "text_encoder",
    "git": r"git\.(visual_projection|embeddings)",
    "kosmos-2": "(vision|image)",
    "pix2struct": "encoder",
    "florence2": r"model\.(vision|multi)",
}


@pytest.mark.parametrize("name", CASES)
def test_every_tensor_moves_the_logits(name: str, lively: Callable[[str], Path]) -> None:
    directory, (tokens, inputs) = lively(name), CASES[name]
    names = load_file(directory / "model.safetensors")
    # Of equal layers one.
    own = {n for n in names if re.match(OWN[name], n) and not re.search(r"layers?\.1\.|blocks\.(0|1\.1)\.", n)}
    assert seeing.unmoving(directory, tokens, inputs, own) == {n for n in own if UNSEEN.search(n)}


@pytest.mark.parametrize(
    ("name", "tokens", "inputs", "said"),
    [
        ("blip", TEXT, {"pixel_values": IMAGES}, "give one image only"),
        ("blip-matches", TEXT, {}, "matches a text with an image, and no image was given"),
        ("blip-answers", TEXT, {}, "answers questions about an image, and no image was given"),
        ("blip-answers", TEXT, {"pixel_values": IMAGE, "decoder_input_ids": torch.tensor([[101]])}, "token 101 is out"),
        ("blip-answers", TEXT, {"pixel_values": IMAGE, "decoder_input_ids": torch.ones(1, 38).long()}, "38 decoder_"),
        ("git", [*[-1] * 17, *TEXT], {"pixel_values": IMAGES}, "17 image tokens"),
        ("git", [*[-1] * 34, *TEXT], {"pixel_values": IMAGES}, "give one image only"),
        ("git", [*TEXT, *[-1] * 17], {"pixel_values": IMAGE}, "the image comes before the text"),
        ("git", [*[-1] * 17, *[5] * 38], {"pixel_values": IMAGE}, "38 tokens exceed the 37 learned positions"),
        ("kosmos-2", RUNS, {"pixel_values": IMAGE}, "10 image tokens .* but the images need 5"),
        ("kosmos-2", TEXT, {"pixel_values": IMAGE, "image_embeds_position_mask": PLACES}, "for 5 tokens"),
        ("pix2struct", [], {}, "flattened_patches is missing"),
        (
            "pix2struct",
            [],
            PATCHES | {"flattened_patches": torch.ones(2, 8, 29)},
            r"not \[1, patches, 29\] of one image",
        ),
        ("pix2struct", [], PATCHES | {"attention_mask": torch.ones(1, 7)}, "for 8 patches"),
        ("pix2struct", [], PATCHES | {"flattened_patches": torch.full((1, 8, 29), 13.0)}, "outside the tables of 13"),
        ("florence2", MARKS, {"pixel_values": IMAGES}, "42 image tokens"),
        ("florence2", MARKS, {"pixel_values": torch.ones(1, 1, 9, 9)}, r"not \[images, 3, height, width\]"),
        ("florence2", MARKS, {"pixel_values": torch.ones(1, 3, 200, 20)}, "are too large: there are 9 rows and 9 col"),
        ("florence2", TEXT, {"decoder_input_ids": torch.tensor([[101]])}, "token 101 is outside"),
    ],
)
def test_what_does_not_fit_is_said(
    name: str, tokens: list[int], inputs: Inputs, said: str, saved: Callable[[str], Path]
) -> None:
    with pytest.raises(UsageError, match=said):
        weightscope.open(saved(name)).forward(tokens, **inputs)


def as_microsoft_has_it(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Florence-2 under the names of its first code."""
    found = {}
    for old, tensor in tensors.items():
        name = re.sub(r"^model\.language_model\.", "language_model.model.", old)
        name = re.sub(r"^lm_head", "language_model.lm_head", name)
        name = re.sub(r"^model\.(multi_modal_projector\.)?", "", name)
        name = name.replace("image_position_embed", "image_pos_embed").replace(".conv.", ".proj.")
        name = re.sub(r"\.(conv[12])\.", r".\1.fn.dw.", name)
        name = re.sub(r"\.(\w+)_block\.norm1\.", r".\1_block.ATTENTION.norm.", name)
        name = name.replace("spatial_block.ATTENTION", "spatial_block.window_attn")
        name = name.replace("channel_block.ATTENTION", "channel_block.channel_attn")
        name = re.sub(r"\.norm2\.", ".ffn.norm.", name)
        name = re.sub(r"_attn\.(qkv|proj)\.", r"_attn.fn.\1.", name)
        name = re.sub(r"\.ffn\.(fc[12])\.", r".ffn.fn.net.\1.", name)
        found[name] = tensor.contiguous()
    found["image_projection"] = found.pop("image_projection.weight").T.contiguous()
    return found


def test_florence_as_published(lively: Callable[[str], Path], tmp_path: Path) -> None:
    """The config's keys too are those of the first code."""
    directory, target = lively("florence2"), tmp_path / "published"
    target.mkdir()
    tensors = as_microsoft_has_it(load_file(directory / "model.safetensors"))
    tensors["language_model.final_logits_bias"] = torch.zeros(1, 101)
    save_file(tensors, target / "model.safetensors")
    said = json.loads((directory / "config.json").read_text())
    vision, text = said.pop("vision_config"), said.pop("text_config")
    said.pop("image_token_id")
    frames, places = vision.pop("max_temporal_embeddings"), vision.pop("max_position_embeddings")
    vision |= {
        "model_type": "davit", "dim_embed": vision.pop("embed_dim"),
        "visual_temporal_embedding": {"type": "COSINE", "max_temporal_embeddings": frames},
        "image_pos_embed": {"type": "learned_abs_2d", "max_pos_embeddings": places},
        "image_feature_source": ["spatial_avg_pool", "temporal_avg_pool"],
    }  # fmt: skip
    config = said | {"vision_config": vision, "text_config": text | {"model_type": "florence2_language"}}
    (target / "config.json").write_text(json.dumps(config))
    alone = declare(read_config(target / "config.json"))
    assert alone is not None
    assert {n for slot in alone.slots if not slot.stored.optional for n in slot.names()} == {
        name for name in tensors if name != "language_model.final_logits_bias"
    }
    model, before = weightscope.open(target), weightscope.open(directory)
    assert model.parameters.total == before.parameters.total
    assert model.summary().tensors.unrecognized == ()
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    tokens, inputs = CASES["florence2"]
    published = [51289 if token == 99 else token for token in tokens]
    assert torch.equal(model.forward(published, **inputs).logits, before.forward(tokens, **inputs).logits)


def write_tokenizer(directory: Path, words: list[str], special: list[str]) -> transformers.PreTrainedTokenizerFast:
    """A tokenizer of whole words; the special ones stand in any text."""
    model = tokenizers.models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(directory / "tokenizer.json"))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def test_kosmos_prompt_is_written_as_the_processor_does(
    lively: Callable[[str], Path], tmp_path: Path, run: Any
) -> None:
    """But for the ids where an image's vectors stand, which nothing looks up."""
    directory, path = lively("kosmos-2"), photograph(tmp_path / "a.png", (97, 61))
    settings = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    said = {"image_processor_type": "CLIPImageProcessor"} | settings
    (directory / "preprocessor_config.json").write_text(json.dumps(said))
    words = [*SPECIAL, *(f"w{number}" for number in range(4, 65))]
    tokenizer = write_tokenizer(directory, words, SPECIAL)
    processor = transformers.Kosmos2Processor(transformers.CLIPImageProcessorPil(**settings), tokenizer)
    processor.tokenizer.backend_tokenizer.save(str(directory / "tokenizer.json"))
    theirs = processor(Image.open(path), "w9 w8", num_image_tokens=5)
    options = ["--prompt", "w9 w8", "--image", str(path), "--compare", "transformers", "--format", "json"]
    status, out, error = run("forward", str(directory), *options)
    assert (status, error) == (0, "")
    ids, places = json.loads(out)["token_ids"], theirs["image_embeds_position_mask"]
    assert ids == [BEGIN if place else token for token, place in zip(theirs["input_ids"], places, strict=True)]
    assert sum(places) == 5


@pytest.mark.parametrize("known", [True, False], ids=["with an image token", "without one"])
def test_florence_task_is_asked_as_the_processor_does(
    known: bool, lively: Callable[[str], Path], tmp_path: Path, run: Any
) -> None:
    """Microsoft's tokenizer has no image token."""
    directory, path = lively("florence2"), photograph(tmp_path / "a.png", (97, 61))
    settings = {"size": {"height": 32, "width": 40}, "do_center_crop": False}
    said = {"image_processor_type": "CLIPImageProcessor"} | settings
    (directory / "preprocessor_config.json").write_text(json.dumps(said))
    asked = ["What", "does", "the", "image", "describe?"]
    words = [*SPECIAL, *asked, *(f"w{number}" for number in range(9, 99)), *(["<image>"] if known else [])]
    tokenizer = write_tokenizer(directory, words, [*SPECIAL, *(["<image>"] if known else [])])
    options = ["--prompt", "<CAPTION>", "--image", str(path), "--compare", "transformers", "--format", "json"]
    status, out, error = run("forward", str(directory), *options)
    assert (status, error) == (0, "")
    expected = [*[99] * 21, 0, *range(4, 9), 2]
    assert json.loads(out)["token_ids"] == expected
    if known:
        tokenizer.image_token, tokenizer.image_token_id = "<image>", 99
        images = transformers.CLIPImageProcessorPil(**settings)
        images.image_seq_length = 21
        processor = transformers.Florence2Processor(images, tokenizer)
        assert processor(Image.open(path), "<CAPTION>")["input_ids"] == [expected]


def test_git_prompt_comes_after_the_image(lively: Callable[[str], Path], tmp_path: Path, run: Any) -> None:
    directory, path = lively("git"), photograph(tmp_path / "a.png", (97, 61))
    settings = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    said = {"image_processor_type": "CLIPImageProcessor"} | settings
    (directory / "preprocessor_config.json").write_text(json.dumps(said))
    tokenizer = write_tokenizer(directory, [*SPECIAL, *(f"w{number}" for number in range(4, 99))], SPECIAL)
    processor = transformers.GitProcessor(transformers.CLIPImageProcessorPil(**settings), tokenizer)
    theirs = processor(images=Image.open(path), text="w9 w8")["input_ids"]
    options = ["--prompt", "w9 w8", "--image", str(path), "--compare", "transformers", "--format", "json"]
    status, out, error = run("forward", str(directory), *options)
    assert (status, error) == (0, "")
    assert json.loads(out)["token_ids"] == [*[-1] * 17, *theirs]


def test_blip_takes_an_image_at_the_command_line(lively: Callable[[str], Path], tmp_path: Path, run: Any) -> None:
    directory, path = lively("blip"), photograph(tmp_path / "a.png", (97, 61))
    settings = {"image_processor_type": "BlipImageProcessor", "size": {"height": 28, "width": 28}}
    (directory / "preprocessor_config.json").write_text(json.dumps(settings))
    options = ["--tokens", "98,7,3", "--image", str(path), "--compare", "transformers", "--format", "json"]
    status, out, error = run("forward", str(directory), *options)
    assert (status, error, json.loads(out)["checked"][-1]) == (0, "", "transformers")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<s><OD></s>", "<s>Locate the objects with category name in the image.</s>"),
        ("<s><REGION_TO_OCR><loc_1><loc_2> </s>", "<s>What text is in the region <loc_1><loc_2>?</s>"),
        ("<s>Describe it.</s>", "<s>Describe it.</s>"),
    ],
)
def test_florence_tasks(text: str, expected: str) -> None:
    assert question(text, "</s>") == expected


def test_a_task_by_itself_takes_no_text() -> None:
    with pytest.raises(UsageError, match="<OD> is a task by itself"):
        question("<s><OD> a cat</s>", "</s>")


def test_a_config_alone_stores_no_head(saved: Callable[[str], Path], run: Any) -> None:
    _, out, _ = run("inspect", str(saved("blip") / "config.json"))
    assert "Embeddings  tied (config.json)\n" in out
