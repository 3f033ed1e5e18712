"""Bad input through the command line: exit code 2, and nothing but one line on standard error that names the file."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.helpers import F32, FOUR_BYTES, safetensors_bytes, write_index, write_safetensors
from weightscope import cli
from weightscope.api.opening import open_model
from weightscope.errors import WeightscopeError
from weightscope.families.registry import all_families
from weightscope.output.inspect import inspect_document
from weightscope.output.write import Format, render

SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
INDEX = "model.safetensors.index.json"
LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 16,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}

Outcome = tuple[int, str, str]
Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """The command line within this process: (exit code, standard output, standard error)."""

    def called(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["weightscope", *map(str, arguments)])
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        assert isinstance(code, int)
        return code, out, err

    yield called
    gc.enable()


def assert_refused(outcome: Outcome, *words: str) -> None:
    code, out, err = outcome
    assert (code, out) == (2, ""), err
    assert err.startswith("weightscope: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert len(err) < 700
    assert "Traceback" not in err
    for word in words:
        assert word in err


def weights(content: bytes, name: str = "model.safetensors") -> Callable[[Path], None]:
    def build(directory: Path) -> None:
        (directory / name).write_bytes(content)

    return build


def header(text: str, data: bytes = b"") -> Callable[[Path], None]:
    return weights(safetensors_bytes(text.replace("@", json.dumps(F32)), data))


def index(content: str | dict[str, Any]) -> Callable[[Path], None]:
    def build(directory: Path) -> None:
        write_safetensors(directory / SHARDS[0], "a")
        text = content if isinstance(content, str) else json.dumps(content)
        (directory / INDEX).write_text(text)

    return build


def special(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def build(directory: Path) -> None:
        make(directory / name)

    return build


def oversized(path: Path) -> None:
    path.write_bytes((100_000_001).to_bytes(8, "little") + b"{")
    os.truncate(path, 150_000_000)


def cut_zip(path: Path) -> None:
    torch.save({"a": torch.ones(1000)}, path)
    os.truncate(path, path.stat().st_size // 2)


def evil_pickle(path: Path) -> None:
    torch.save({"a": os.system}, path)


# What is wrong, how it is made, which file the line must name, words of it.
FILES: list[tuple[str, Callable[[Path], object], str, str]] = [
    ("empty file", weights(b""), "model.safetensors", "an empty file"),
    ("too short", weights(b"abc"), "model.safetensors", "3 bytes are too few"),
    ("longer header than file", weights(b"\x09\0\0\0\0\0\0\0{}"), "model.safetensors", "claims a header of 9 bytes"),
    ("header over the limit", special("model.safetensors", oversized), "model.safetensors", "100,000,001 bytes"),
    ("not JSON", header('{"a"'), "model.safetensors", "not JSON"),
    ("not UTF-8", weights(safetensors_bytes(b'{"\xff":0}')), "model.safetensors", "not UTF-8"),
    ("array", header("[]"), "model.safetensors", "not a JSON object"),
    ("NaN", header('{"a":NaN}'), "model.safetensors", "not JSON"),
    ("deep nesting", header('{"a":' * 100_000), "model.safetensors", "nested too deeply"),
    ("unknown dtype", header(json.dumps({"bad name": F32 | {"dtype": "F3"}})), "model.safetensors", "'bad name' has"),
    ("negative shape", header('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}'), "model.safetensors", "'a'"),
    ("overlap", header('{"a":@,"b":@}', FOUR_BYTES), "model.safetensors", "'a' and 'b' overlap"),
    ("trailing bytes", header('{"a":@}', FOUR_BYTES * 2), "model.safetensors", "4 bytes after the last tensor"),
    ("data cut short", header('{"a":@}', FOUR_BYTES[:2]), "model.safetensors", "the file holds 2"),
    ("a tensor twice", header('{"a":@,"a":@}', FOUR_BYTES), "model.safetensors", "'a' appears twice"),
    ("a name that forges lines", header('{"a\\n\\u001b[2Jok":1}'), "model.safetensors", "is not described by"),
    ("Git LFS pointer", weights(b"version https://git-lfs.github.com/spec/v1\n"), "model.safetensors", "git lfs pull"),
    ("HTML page", weights(b"<!DOCTYPE html><p>", "pytorch_model.bin"), "pytorch_model.bin", "an HTML page"),
    ("error message", weights(b"Entry not found"), "model.safetensors", "text, not weights"),
    ("GGUF called safetensors", weights(b"GGUF" + bytes(99)), "model.safetensors", "a GGUF file"),
    ("noise in .bin", weights(b"\0\1\2\3" * 9, "pytorch_model.bin"), "pytorch_model.bin", "not written by torch.save"),
    ("half a zip", special("pytorch_model.bin", cut_zip), "pytorch_model.bin", ""),
    ("a pickle that runs", special("pytorch_model.bin", evil_pickle), "pytorch_model.bin", "system"),
    ("FIFO", special("model.safetensors", os.mkfifo), "model.safetensors", "not a regular file"),
    ("device", special("model.safetensors", lambda p: p.symlink_to("/dev/zero")), "model.safetensors", "not a regular"),
    ("broken link", special("model.safetensors", lambda p: p.symlink_to("x")), "model.safetensors", "a broken"),
    ("directory as file", special("model.safetensors", Path.mkdir), "model.safetensors", "not a regular file"),
    ("index an array", index("[]"), INDEX, "not a usable index"),
    ("index cut short", index('{"weight_map": {"a"'), INDEX, "not a usable index"),
    ("index of numbers", index({"weight_map": {"a": 1}}), INDEX, "not a usable index"),
    ("index without map", index({"metadata": {}}), INDEX, "weight_map"),
    ("index nested", index('{"weight_map":{"a":"b"},"metadata":{"a":' + "[" * 100_000), INDEX, "not a usable index"),
    ("index out of its directory", index({"weight_map": {"a": "../x"}}), INDEX, "'../x', which lies outside"),
    ("index with a root", index({"weight_map": {"a": "/etc/passwd"}}), INDEX, "'/etc/passwd', which lies outside"),
    ("index FIFO", special(INDEX, os.mkfifo), INDEX, "not a regular file"),
    ("several files", lambda d: [write_safetensors(d / f"{n}.safetensors", n) for n in "ab"], "", "give the path"),
    ("only variants", special("model.fp16.safetensors", lambda p: write_safetensors(p, "a")), "", "--variant fp16"),
    ("empty directory", lambda _: None, "", "an empty directory"),
    ("tokenizer only", weights(b"{}", "tokenizer.json"), "", "no weights and no config.json"),
    ("pipeline", weights(b"{}", "model_index.json"), "", "a diffusers pipeline"),
    ("GGUF cut short", weights(b"GGUF", "m.gguf"), "m.gguf", "ends after 4 bytes, within its header"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "name", "words"), [case[1:] for case in FILES], ids=[case[0] for case in FILES])
def test_bad_files(tmp_path: Path, run: Run, build: Callable[[Path], object], name: str, words: str) -> None:
    build(tmp_path)
    assert_refused(run("inspect", tmp_path), f"weightscope: {tmp_path / name}: ", words)


@pytest.mark.parametrize("name", ["absent", "model.gguf", "fifo.safetensors", "noise.json", "a\nb"])
def test_bad_paths(tmp_path: Path, run: Run, name: str) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    (tmp_path / "noise.json").write_bytes(b"\0\1")
    os.mkfifo(tmp_path / "fifo.safetensors")
    assert_refused(run("inspect", tmp_path / name), str(tmp_path / name).replace("\n", "\\x0a"))


@pytest.mark.parametrize("command", [["inspect"], ["params"], ["tensors"], ["inspect", "--format", "json"]])
def test_every_command_refuses_alike(tmp_path: Path, run: Run, command: list[str]) -> None:
    header("[]")(tmp_path)
    assert_refused(run(*command, tmp_path), "model.safetensors: the header is not a JSON object")


def test_an_output_file_is_not_made_of_bad_input(tmp_path: Path, run: Run) -> None:
    header("[]")(tmp_path)
    assert_refused(run("inspect", tmp_path, "--output", tmp_path / "out.txt"))
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize("format", ["table", "json"])
def test_a_missing_shard_shows_what_is_there(tmp_path: Path, run: Run, format: str) -> None:
    write_safetensors(tmp_path / SHARDS[0], "model.norm.weight")
    write_index(tmp_path / INDEX, {"model.norm.weight": SHARDS[0], "b": SHARDS[1]})
    code, out, err = run("inspect", tmp_path, "--format", format)
    assert code == 2
    assert err.count("\n") == 1
    assert err.startswith(f"weightscope: {tmp_path}: 1 of 2 shards that {INDEX} names are missing: {SHARDS[1]}")
    if format == "json":
        shown = json.loads(out)
        assert [file["name"] for file in shown["files"]] == [SHARDS[0]]
        assert "missing-shard" in [finding["code"] for finding in shown["findings"]]
    else:
        assert SHARDS[1] in out


def changed(**keys: Any) -> str:
    return json.dumps(LLAMA | keys)


def without(key: str) -> str:
    return json.dumps({k: v for k, v in LLAMA.items() if k != key})


# What is wrong, the text of config.json, words of the line.
CONFIGS: list[tuple[str, str | bytes, str]] = [
    ("empty", "", "empty"),
    ("white space", "  \n", "not JSON"),
    ("not JSON", '{"model_type": "llama"', "not JSON"),
    ("text after", changed() + "\nx", "the JSON ends at line 2, column 1, and 1 more characters follow"),
    ("two objects", changed() * 2, "has text after its end: the JSON ends at line 1"),
    ("array", "[]", "not a JSON object"),
    ("null", "null", "not a JSON object"),
    ("text", '"llama"', "not a JSON object"),
    ("not UTF-8", b'{"model_type": "\xff"}', "not UTF-8 at byte 16"),
    ("UTF-16", changed().encode("utf-16"), "not UTF-8"),
    ("arrays nested", '{"a":' + "[" * 100_000, "nested too deeply"),
    ("objects nested", '{"a":' * 100_000, "nested too deeply"),
    ("5,000 digits", '{"hidden_size": ' + "9" * 5000 + "}", "not JSON"),
    ("no hidden_size", without("hidden_size"), "lacks 'hidden_size'"),
    ("no vocab_size", without("vocab_size"), "lacks 'vocab_size'"),
    ("no layers", without("num_hidden_layers"), "lacks 'num_hidden_layers'"),
    ("hidden_size text", changed(hidden_size="4096"), "'hidden_size' is '4096', not a whole number"),
    ("hidden_size a float", changed(hidden_size=8.0), "'hidden_size' is 8.0, not a whole number"),
    ("hidden_size a list", changed(hidden_size=[8]), "'hidden_size' is [8], not a whole number"),
    ("hidden_size true", changed(hidden_size=True), "'hidden_size' is True, not a whole number"),
    ("hidden_size null", changed(hidden_size=None), "'hidden_size' is null"),
    ("hidden_size negative", changed(hidden_size=-8), "'hidden_size' is -8, and cannot be negative"),
    ("hidden_size huge", changed(hidden_size=10**30), "'hidden_size' has 31 digits"),
    ("hidden_size of 4,000 digits", changed(hidden_size=10**4000), "'hidden_size' has 4001 digits"),
    ("heads zero", changed(num_attention_heads=0), "is 0"),
    ("heads negative", changed(num_attention_heads=-2), "'num_attention_heads' is -2"),
    ("heads null", changed(num_attention_heads=None), "'num_attention_heads' is null"),
    ("key/value heads text", changed(num_key_value_heads="2"), "'num_key_value_heads' is '2'"),
    ("key/value heads a list", changed(num_key_value_heads=[2]), "'num_key_value_heads' is [2]"),
    ("key/value heads negative", changed(num_key_value_heads=-2), "'num_key_value_heads' is -2"),
    ("head_dim text", changed(head_dim="4"), "'head_dim' is '4'"),
    ("layers without end", changed(num_hidden_layers=10**12), "num_hidden_layers is 1,000,000,000,000"),
    ("layers null", changed(num_hidden_layers=None), "'num_hidden_layers' is null"),
    ("layers negative", changed(num_hidden_layers=-1), "'num_hidden_layers' is -1"),
    (
        "layer_types too short",
        changed(model_type="qwen2", layer_types=["full_attention"]),
        "layer_types has 1 entry, but num_hidden_layers is 2",
    ),
    ("layer_types a number", changed(model_type="qwen2", layer_types=2), "'layer_types' is 2, not a list"),
    ("vocab_size null", changed(vocab_size=None), "'vocab_size' is null"),
    ("inner null", changed(intermediate_size=None), "'intermediate_size' is null"),
    ("tie a word", changed(tie_word_embeddings="yes"), "'tie_word_embeddings' is 'yes', not true or false"),
    ("rope a word", changed(rope_scaling="yarn"), "'rope_scaling' is 'yarn', not an object"),
    ("rope theta a word", changed(rope_parameters={"rope_theta": "x"}), "'rope_theta' is 'x'"),
    ("rope share a word", changed(model_type="phi3", partial_rotary_factor="x"), "'partial_rotary_factor' is 'x'"),
    ("quantization a word", changed(quantization_config="fp8"), "'quantization_config' is 'fp8', not an object"),
    ("quantization a list", changed(quantization_config=[]), "'quantization_config' is [], not an object"),
    (
        "quantization leaves out a number",
        changed(
            quantization_config={
                "quant_method": "fp8",
                "weight_block_size": [128, 128],
                "modules_to_not_convert": 5,
            }
        ),
        "modules_to_not_convert is not a list",
    ),
    (
        "blocks of zero",
        changed(quantization_config={"quant_method": "fp8", "weight_block_size": [0, 0]}),
        "weight_block_size is [0, 0]",
    ),
]


@pytest.mark.parametrize("beside", ["weights", "nothing"])
@pytest.mark.parametrize(("content", "words"), [case[1:] for case in CONFIGS], ids=[case[0] for case in CONFIGS])
def test_bad_configs(tmp_path: Path, run: Run, content: str | bytes, words: str, beside: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if beside == "weights":
        write_safetensors(tmp_path / "model.safetensors", "model.norm.weight")
    assert_refused(run("inspect", tmp_path), f"weightscope: {path}: ", words)


def test_the_config_that_the_others_differ_from_is_sound(tmp_path: Path, run: Run) -> None:
    (tmp_path / "config.json").write_text(changed())
    code, out, err = run("inspect", tmp_path, "--format", "json")
    assert (code, err) == (0, "")
    # Embedding and head 2·16·8; per layer four 8×8, three 8×12 and two norms; the last norm.
    assert json.loads(out)["parameters"]["total"] == 2 * 16 * 8 + 2 * (4 * 64 + 3 * 96 + 2 * 8) + 8


def test_a_config_that_is_a_fifo_is_not_waited_for(tmp_path: Path, run: Run) -> None:
    os.mkfifo(tmp_path / "config.json")
    write_safetensors(tmp_path / "model.safetensors", "a")
    assert_refused(run("inspect", tmp_path), "config.json: not a regular file")


FAMILIES = all_families()
KEYS = sorted(
    {key for family in FAMILIES.values() for key in family.defaults}
    | {"architectures", "dtype", "layer_types", "model_type", "partial_rotary_factor", "quantization_config"}
    | {"query_pre_attn_scalar", "rope_parameters", "rope_scaling", "sliding_window", "text_config", "vision_config"}
    | {"final_logit_softcapping", "vision_feature_layer"}
)
SMALL = {key: value for key, value in LLAMA.items() if key != "model_type"} | {"n_embd": 8, "n_layer": 2, "n_head": 2}
NESTED = {
    "text_config": SMALL | {"model_type": "llama"},
    "vision_config": SMALL | {"model_type": "clip_vision_model", "image_size": 28, "patch_size": 14},
}
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, "x", "", [], {}, -1, 0, 1, 10**12, 10**30, 1.5, 1e308, float("inf"), float("nan"), True, [1], [None, None],
     {"a": 1}, {"rope_type": 5}, {"rope_theta": []}, {"type": "linear", "factor": "x"}, {"quant_method": 5},
     ["full_attention", "sliding_attention"], {"bits": "x", "group_size": 0}, {"full_attention": {}}]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(sorted(FAMILIES)), keys=st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=2)
)
@example(kind="gemma2", keys={"num_key_value_heads": None})
@example(kind="gemma2", keys={"query_pre_attn_scalar": -1})
@example(kind="clip_vision_model", keys={"patch_size": 0})
@example(kind="phi3", keys={"sliding_window": "x"})
def test_any_value_of_any_key_is_shown_or_refused(tmp_path: Path, kind: str, keys: dict[str, Any]) -> None:
    nested = NESTED if kind == "llava" else {}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": kind, **SMALL, **nested, **keys}))
    try:
        shown = render(inspect_document(open_model(path).summary()), Format.TABLE)
    except WeightscopeError as error:
        shown = str(error)
    assert shown


@pytest.mark.parametrize(
    ("content", "words"),
    [(safetensors_bytes("[]"), "not a JSON object"), (b"", "an empty file"), (b"<html>      ", "an HTML page")],
)
def test_a_process_of_its_own(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "weightscope", "inspect", str(path)], capture_output=True, text=True, check=False
    )
    assert_refused((done.returncode, done.stdout, done.stderr), f"weightscope: {path}: ", words)


def test_a_process_of_its_own_under_a_plain_locale(tmp_path: Path) -> None:
    path = tmp_path / "模型.safetensors"
    done = subprocess.run(
        [sys.executable, "-m", "weightscope", "inspect", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
    )
    assert_refused((done.returncode, done.stdout, done.stderr), "no such file or directory")
