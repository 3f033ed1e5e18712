"""From what a user names to the files that are meant: every layout that people publish, and what is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import weightscope
from tests.helpers import write_index, write_safetensors
from weightscope.checkpoint.locate import locate
from weightscope.checkpoint.location import Location
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, UsageError, WeightscopeError

SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
INDEX = "model.safetensors.index.json"
INFIX = ["model.fp16-00001-of-00002.safetensors", "model.fp16-00002-of-00002.safetensors"]
SUFFIX = ["model-00001-of-00002.fp16.safetensors", "model-00002-of-00002.fp16.safetensors"]
DIFFUSERS = [
    "diffusion_pytorch_model-00001-of-00002.fp16.safetensors",
    "diffusion_pytorch_model-00002-of-00002.fp16.safetensors",
]
LEFTOVERS = ["optimizer.pt", "training_args.bin", "rng_state.pth", "rng_state_0.pth", "scheduler.pt", "scaler.pt"]


def laid_out(directory: Path, files: list[str], indexes: dict[str, list[str]] | None = None) -> Path:
    """Empty files of these names, since only names are looked at, and indexes of these shards."""
    for name in files:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).touch()
    for name, shards in (indexes or {}).items():
        write_index(directory / name, {f"t{i}": shard for i, shard in enumerate(shards)})
    return directory


def chosen(location: Location, directory: Path) -> list[str]:
    return [str(path.relative_to(directory)) for path in location.weights]


@pytest.mark.parametrize(
    ("files", "indexes", "variant", "expected"),
    [
        (["model.safetensors"], {}, None, ["model.safetensors"]),
        (["pytorch_model.bin"], {}, None, ["pytorch_model.bin"]),
        (["diffusion_pytorch_model.safetensors"], {}, None, ["diffusion_pytorch_model.safetensors"]),
        (["my.safetensors"], {}, None, ["my.safetensors"]),
        (["my.pth"], {}, None, ["my.pth"]),
        (SHARDS, {INDEX: SHARDS}, None, SHARDS),
        (SHARDS, {}, None, SHARDS),
        (SHARDS, {"other.safetensors.index.json": SHARDS}, None, SHARDS),
        (["sub/x.safetensors"], {INDEX: ["sub/x.safetensors"]}, None, ["sub/x.safetensors"]),
        # The usual file beside others.
        (["model.safetensors", "pytorch_model.bin"], {}, None, ["model.safetensors"]),
        (["model.safetensors", "consolidated.safetensors"], {}, None, ["model.safetensors"]),
        ([*SHARDS, "consolidated.safetensors"], {}, None, SHARDS),
        (["consolidated.safetensors"], {}, None, ["consolidated.safetensors"]),
        (["adapter_model.safetensors", "adapter_config.json"], {}, None, ["adapter_model.safetensors"]),
        (["adapter_model.bin"], {}, None, ["adapter_model.bin"]),
        (["model.safetensors", "adapter_model.safetensors"], {}, None, ["model.safetensors"]),
        (["model.safetensors", *LEFTOVERS], {}, None, ["model.safetensors"]),
        (["pytorch_model.bin", *LEFTOVERS], {}, None, ["pytorch_model.bin"]),
        (["my.bin", *LEFTOVERS], {}, None, ["my.bin"]),
        # A whole file and an index of other shards: transformers loads the file.
        (["model.safetensors"], {INDEX: SHARDS}, None, ["model.safetensors"]),
        (["model.safetensors"], {INDEX: ["model.safetensors"]}, None, ["model.safetensors"]),
        # Variants in all spellings.
        (["model.safetensors", "model.fp16.safetensors"], {}, None, ["model.safetensors"]),
        (["model.safetensors", "model.fp16.safetensors"], {}, "fp16", ["model.fp16.safetensors"]),
        (["pytorch_model.fp16.bin"], {}, "fp16", ["pytorch_model.fp16.bin"]),
        (INFIX, {"model.safetensors.index.fp16.json": INFIX}, "fp16", INFIX),
        (SUFFIX, {"model.safetensors.index.fp16.json": SUFFIX}, "fp16", SUFFIX),
        (DIFFUSERS, {"diffusion_pytorch_model.safetensors.index.fp16.json": DIFFUSERS}, "fp16", DIFFUSERS),
        (DIFFUSERS, {"diffusion_pytorch_model.fp16.safetensors.index.json": DIFFUSERS}, "fp16", DIFFUSERS),
        (INFIX, {}, "fp16", INFIX),
        (SUFFIX, {}, "fp16", SUFFIX),
        ([*SHARDS, *SUFFIX], {INDEX: SHARDS, "model.safetensors.index.fp16.json": SUFFIX}, "fp16", SUFFIX),
        ([*SHARDS, *SUFFIX], {INDEX: SHARDS, "model.safetensors.index.fp16.json": SUFFIX}, None, SHARDS),
        ([*SHARDS, *SUFFIX], {}, None, SHARDS),
        ([*SHARDS, *SUFFIX], {}, "fp16", SUFFIX),
    ],
)
def test_which_files_are_meant(
    tmp_path: Path, files: list[str], indexes: dict[str, list[str]], variant: str | None, expected: list[str]
) -> None:
    location = locate(laid_out(tmp_path, files, indexes), variant)
    assert chosen(location, tmp_path) == expected
    assert location.missing == ()
    assert location.format == ("safetensors" if expected[0].endswith(".safetensors") else "pytorch")


@pytest.mark.parametrize(
    ("files", "indexes", "variant", "kind", "words"),
    [
        ([], {}, None, UsageError, "empty directory"),
        (["tokenizer.json", "README.md"], {}, None, UsageError, "no weights and no config.json here"),
        (LEFTOVERS, {}, None, UsageError, "no weights and no config.json here"),
        (["a.safetensors", "b.safetensors"], {}, None, CheckpointError, "2 weight files and no index that says which"),
        (
            ["a.pt", "b.bin"],
            {},
            None,
            CheckpointError,
            "2 weight files and no index that says which to read (a.pt, b.bin)",
        ),
        (["model.fp16.safetensors", "model.ema.safetensors"], {}, None, CheckpointError, "only variants (ema, fp16)"),
        (["pytorch_model.fp16.bin"], {}, None, CheckpointError, "only variants (fp16); choose with --variant fp16"),
        (INFIX, {"model.safetensors.index.fp16.json": INFIX}, None, CheckpointError, "only variants (fp16)"),
        (SUFFIX, {"model.safetensors.index.fp16.json": SUFFIX}, None, CheckpointError, "only variants (fp16)"),
        (
            DIFFUSERS,
            {"diffusion_pytorch_model.fp16.safetensors.index.json": DIFFUSERS},
            None,
            CheckpointError,
            "only variants (fp16)",
        ),
        (
            ["model.safetensors", "model.fp16.safetensors"],
            {},
            "bf16",
            UsageError,
            "no variant 'bf16'; the variants here are fp16",
        ),
        (["model.safetensors"], {}, "fp16", UsageError, "no variant 'fp16'; there are no variants here"),
        (SHARDS, {INDEX: SHARDS}, "fp16", UsageError, "no variant 'fp16'"),
        (["m.onnx"], {}, None, NotImplementedByWeightscope, "no weights in a supported format: m.onnx (ONNX"),
        (["tf_model.h5"], {}, None, NotImplementedByWeightscope, "tf_model.h5 (Keras or TensorFlow weights)"),
        (["params_shard_0.bin", "params_shard_1.bin"], {}, None, NotImplementedByWeightscope, "and 1 more (MLC)"),
        (["group1-shard1of1.bin", "model.json"], {}, None, NotImplementedByWeightscope, "of1.bin (TensorFlow.js)"),
        (["0_StaticEmbedding/model.safetensors"], {}, None, UsageError, "there are weights in 0_StaticEmbedding: give"),
        (["snapshots/0a/model.bin", "run/optimizer.pt"], {}, None, UsageError, "there are weights in snapshots/0a"),
        (
            ["a-00001-of-00002.bin", "a-00001-of-00003.bin"],
            {},
            None,
            CheckpointError,
            "no index that says which to read",
        ),
    ],
)
def test_which_directories_are_refused(
    tmp_path: Path,
    files: list[str],
    indexes: dict[str, list[str]],
    variant: str | None,
    kind: type[WeightscopeError],
    words: str,
) -> None:
    with pytest.raises(kind) as caught:
        locate(laid_out(tmp_path, files, indexes), variant)
    assert str(caught.value).startswith(f"{tmp_path}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("files", "indexes", "note"),
    [
        (["model.safetensors", "pytorch_model.bin"], {}, "pytorch_model.bin is here too; safetensors is read"),
        (
            ["model.safetensors", "pytorch_model-00001-of-00001.bin"],
            {"pytorch_model.bin.index.json": ["pytorch_model-00001-of-00001.bin"]},
            "pytorch_model.bin.index.json is here too; safetensors is read",
        ),
        (SHARDS, {}, "no index file: shards were found by their numbers"),
        (["model.safetensors"], {INDEX: SHARDS}, f"{INDEX} is here too; model.safetensors is read"),
    ],
)
def test_what_was_chosen_over_what_is_said(
    tmp_path: Path, files: list[str], indexes: dict[str, list[str]], note: str
) -> None:
    assert any(note in said for said in locate(laid_out(tmp_path, files, indexes)).notes)


@pytest.mark.parametrize(
    ("files", "indexes", "missing"),
    [
        (SHARDS[:1], {INDEX: SHARDS}, SHARDS[1:]),
        ([], {INDEX: SHARDS}, SHARDS),
        (SHARDS[1:], {}, SHARDS[:1]),
        (["m-00003-of-00004.bin"], {}, ["m-00001-of-00004.bin", "m-00002-of-00004.bin", "m-00004-of-00004.bin"]),
        (["m-00000-of-00002.bin"], {}, ["m-00001-of-00002.bin"]),
        (SUFFIX[1:], {}, SUFFIX[:1]),
    ],
)
def test_missing_shards(tmp_path: Path, files: list[str], indexes: dict[str, list[str]], missing: list[str]) -> None:
    variant = "fp16" if files == SUFFIX[1:] else None
    location = locate(laid_out(tmp_path, files, indexes), variant)
    assert list(location.missing) == missing
    assert chosen(location, tmp_path) == files


def test_an_index_alone_is_names_only(tmp_path: Path) -> None:
    laid_out(tmp_path, [], {INDEX: SHARDS})
    assert locate(tmp_path / INDEX).format == "index"
    (tmp_path / SHARDS[0]).touch()
    location = locate(tmp_path / INDEX)
    assert (location.format, location.missing) == ("safetensors", (SHARDS[1],))


@pytest.mark.parametrize("name", [INDEX, "model.safetensors.index.fp16.json"])
def test_an_index_by_name(tmp_path: Path, name: str) -> None:
    laid_out(tmp_path, [*SHARDS, "config.json"], {name: SHARDS})
    location = locate(tmp_path / name)
    assert chosen(location, tmp_path) == SHARDS
    assert location.config == tmp_path / "config.json"


def test_one_file_by_name_with_its_config(tmp_path: Path) -> None:
    laid_out(tmp_path, [*SHARDS, "config.json"], {INDEX: SHARDS})
    location = locate(tmp_path / SHARDS[0])
    assert chosen(location, tmp_path) == SHARDS[:1]
    assert (location.missing, location.config) == ((), tmp_path / "config.json")


def test_a_config_alone(tmp_path: Path) -> None:
    laid_out(tmp_path, ["config.json", "tokenizer.json"])
    assert locate(tmp_path).config == locate(tmp_path / "config.json").config == tmp_path / "config.json"
    assert locate(tmp_path).format == "config"


def test_a_layout_of_the_hub_cache(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0123"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    write_index(blobs / "i", {"a": SHARDS[0], "b": SHARDS[1]})
    for blob, name in (("i", INDEX), ("s1", SHARDS[0]), ("s2", SHARDS[1])):
        (snapshot / name).symlink_to(f"../../blobs/{blob}")
    write_safetensors(blobs / "s1", "a")
    location = locate(snapshot)
    assert chosen(location, snapshot) == SHARDS[:1]
    assert location.missing == (SHARDS[1],)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("absent", UsageError, "no such file or directory"),
        ("absent/model", UsageError, "no such file or directory"),
        ("dangling", UsageError, "no such file or directory"),
        ("a\0b", UsageError, "no such file or directory"),
        ("fifo.safetensors", UsageError, "neither a file nor a directory"),
        ("null.bin", UsageError, "neither a file nor a directory"),
        (
            "model.onnx",
            NotImplementedByWeightscope,
            "unsupported file type .onnx (ONNX); find the model",
        ),
        ("model.h5", NotImplementedByWeightscope, "unsupported file type .h5"),
        ("README", NotImplementedByWeightscope, "unsupported file type (no suffix)"),
    ],
)
def test_which_paths_are_refused(tmp_path: Path, name: str, kind: type[WeightscopeError], words: str) -> None:
    laid_out(tmp_path, ["model.onnx", "model.h5", "README"])
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "null.bin").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "fifo.safetensors")
    with pytest.raises(kind) as caught:
        locate(tmp_path / name)
    assert words in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_variant_of_a_file_makes_no_sense(tmp_path: Path) -> None:
    laid_out(tmp_path, ["model.safetensors"])
    with pytest.raises(UsageError, match="--variant"):
        locate(tmp_path / "model.safetensors", "fp16")


def test_a_lone_name_gets_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UsageError, match="no such file or directory; a model on the Hugging Face Hub is named org/name"
    ):
        weightscope.open("gpt2")


def test_many_shards_are_not_counted_up(tmp_path: Path) -> None:
    name = "m-1-of-99999999999.bin"
    location = locate(laid_out(tmp_path, [name]))
    assert (chosen(location, tmp_path), location.missing) == ([name], ())
