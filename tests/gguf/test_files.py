"""Which files are one model, what is missing of it, and what a file says that is no model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter

import weightscope
from weightscope.checkpoint.locate import locate
from weightscope.errors import CheckpointError, UsageError

FIXTURES = Path(__file__).parents[2] / "fixtures" / "gguf"


def laid(folder: Path, *names: str) -> Path:
    for name in names:
        shutil.copy(FIXTURES / "llama.gguf", folder / name)
    return folder


def copied(
    source: Path,
    target: Path,
    *,
    without: str = "",
    keys: dict[str, Any] | None = None,
    renamed: dict[str, str] | None = None,
    more: dict[str, Any] | None = None,
    values: dict[str, Any] | None = None,
) -> Path:
    """The same file as the gguf library writes it again, less some tensor, with other keys and `more` tensors."""
    reader = GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer, changed = GGUFWriter(target, architecture), dict(keys or {})
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = changed.pop(name, field.contents())
        sub = field.types[1] if len(field.types) > 1 else None
        writer.add_key_value(name, value, field.types[0], sub)
    for name, value in changed.items():
        writer.add_uint32(name, value)
    for tensor in reader.tensors:
        if tensor.name in (values or {}):
            writer.add_tensor(tensor.name, (values or {})[tensor.name].astype("f4"))
        elif tensor.name != without:
            writer.add_tensor((renamed or {}).get(tensor.name, tensor.name), tensor.data, raw_dtype=tensor.tensor_type)
    for name, data in (more or {}).items():
        writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def split(source: Path, folder: Path, parts: int) -> list[Path]:
    """The file in parts, as llama.cpp's gguf-split makes them: the metadata is in the first."""
    reader = GGUFReader(source)
    writer = GGUFWriter(
        folder / "model.gguf",
        reader.fields["general.architecture"].contents(),
        split_max_tensors=-(-len(reader.tensors) // parts),
    )
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            sub = field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), field.types[0], sub)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sorted(folder.glob("*.gguf"))


def test_a_split_model_is_whole_by_any_of_its_parts(tmp_path: Path) -> None:
    parts = split(FIXTURES / "llama.gguf", tmp_path, 3)
    assert len(parts) == 3
    whole = weightscope.open(FIXTURES / "llama.gguf")
    expected = whole.forward([1, 2, 3]).output
    assert expected is not None
    for path in (tmp_path, *parts):
        model = weightscope.open(path)
        assert model.parameters == whole.parameters
        assert list(model.check()) == list(whole.check())
        output = model.forward([1, 2, 3]).output
        assert output is not None
        np.testing.assert_array_equal(output.numpy(), expected.numpy())


def test_a_missing_part_is_said(tmp_path: Path) -> None:
    parts = split(FIXTURES / "llama.gguf", tmp_path, 3)
    parts[1].unlink()
    finding = next(f for f in weightscope.open(tmp_path).check() if f.code == "missing-shard")
    assert parts[1].name in finding.message
    parts[0].unlink()
    notices = [f.code for f in weightscope.open(parts[2], tolerant=True).check()]
    assert "missing-shard" in notices
    assert "unknown-architecture" in notices


def test_a_file_that_cannot_be_read_is_one_finding(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes((FIXTURES / "llama.gguf").read_bytes()[:200])
    assert [finding.code for finding in weightscope.open(path, tolerant=True).check()] == ["truncated-file"]


def test_of_several_models_one_is_asked_for(tmp_path: Path) -> None:
    laid(tmp_path, "tiny-Q4_K_M.gguf", "tiny-Q8_0.gguf", "mmproj-tiny-F16.gguf")
    with pytest.raises(CheckpointError, match=r"2 GGUF models \(tiny-Q4_K_M.gguf, tiny-Q8_0.gguf\).*--variant Q4_K_M"):
        locate(tmp_path)
    assert [path.name for path in locate(tmp_path, "q8_0").weights] == ["tiny-Q8_0.gguf"]
    with pytest.raises(UsageError, match="no variant 'Q8'; the files here are tiny-Q4_K_M"):
        locate(tmp_path, "Q8")


def test_what_lies_beside_a_model_is_not_it(tmp_path: Path) -> None:
    laid(tmp_path, "model.gguf", "mmproj-model-f16.gguf", "model.imatrix.gguf")
    assert [path.name for path in locate(tmp_path).weights] == ["model.gguf"]
    (tmp_path / "model.gguf").unlink()
    (tmp_path / "model.imatrix.gguf").unlink()
    assert [path.name for path in locate(tmp_path).weights] == ["mmproj-model-f16.gguf"]


def test_safetensors_come_first(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES.parent / "mini", tmp_path / "both")
    laid(tmp_path / "both", "model.gguf")
    assert weightscope.open(tmp_path / "both").checkpoint.format == "safetensors"


def test_a_tensor_that_is_missing_misshapen_or_unknown_is_found(tmp_path: Path) -> None:
    source = FIXTURES / "llama.gguf"
    missing = weightscope.open(copied(source, tmp_path / "a.gguf", without="blk.1.ffn_up.weight")).check()
    assert [(f.code, f.tensors) for f in missing if f.severity == "error"] == [
        ("missing-tensor", ("blk.1.ffn_up.weight",))
    ]
    key = {"llama.feed_forward_length": 41}
    wrong = [
        f for f in weightscope.open(copied(source, tmp_path / "b.gguf", keys=key)).check() if f.severity == "error"
    ]
    assert {f.code for f in wrong} == {"shape-mismatch"}
    other = copied(source, tmp_path / "c.gguf", renamed={"blk.0.attn_q.weight": "blk.0.attn_query.weight"})
    assert {f.code for f in weightscope.open(other).check() if f.severity != "info"} == {
        "missing-tensor", "unexpected-tensor",
    }  # fmt: skip


def test_matrices_after_a_model_are_counted(tmp_path: Path) -> None:
    source = FIXTURES / "gemma-embedding.gguf"
    more = {"dense_2.weight": np.ones((40, 24), "f4"), "dense_3.weight": np.ones((24, 40), "f4")}
    model = weightscope.open(copied(source, tmp_path / "a.gguf", more=more))
    assert model.inventory.unrecognized == ()
    before = weightscope.open(source).parameters.total or 0
    assert model.parameters.total == before + 2 * 24 * 40
    assert model.tensors["dense_2.weight"].component == "pooler"


def test_a_missing_tensor_is_found_beside_one_that_is_of_all_layers(tmp_path: Path) -> None:
    """Apertus' numbers."""
    path = copied(FIXTURES / "apertus.gguf", tmp_path / "a.gguf", without="output_norm.weight")
    assert [f.tensors for f in weightscope.open(path).check() if f.severity == "error"] == [("output_norm.weight",)]


def test_values_of_another_shape_are_a_finding(tmp_path: Path) -> None:
    path = copied(FIXTURES / "gemma3.gguf", tmp_path / "a.gguf", values={"blk.0.attn_q.weight": np.ones(96)})
    assert {f.code for f in weightscope.open(path).check(values=True) if f.severity == "error"} == {"shape-mismatch"}


def test_findings_speak_of_the_metadata(tmp_path: Path) -> None:
    path = copied(FIXTURES / "llama.gguf", tmp_path / "a.gguf", keys={"llama.feed_forward_length": 41})
    findings = list(weightscope.open(path).check())
    for finding in findings:
        assert "config.json" not in f"{finding.message} {finding.hint}"
    # What the file should say follows from the shapes.
    assert "llama.feed_forward_length" in findings[0].config
    assert "llama.feed_forward_length = 40" in f"{findings[0].message} {findings[0].hint}"


def test_an_unknown_architecture_is_counted_by_what_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    writer = GGUFWriter(path, "nova")
    writer.add_tensor("token_embd.weight", np.zeros((3, 18), np.uint8), raw_dtype=GGMLQuantizationType.Q4_0)
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((4, 3, 36), np.uint8), raw_dtype=GGMLQuantizationType.IQ4_NL)
    writer.add_tensor("blk.0.ffn_down_exps.weight", np.zeros((2, 2, 34), np.uint8), raw_dtype=GGMLQuantizationType.Q8_0)
    writer.add_tensor("output_norm.weight", np.zeros(32, np.float32))
    writer.add_tensor("output.weight", np.zeros((3, 32), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model = weightscope.open(path)
    assert model.parameters.total == 3 * 32 + 4 * 3 * 64 + 2 * 2 * 32 + 32 + 3 * 32
    roles = {tensor.name: (tensor.role, tensor.component) for tensor in model.tensors.values()}
    assert roles == {
        "token_embd.weight": ("token_embedding", "embedding"),
        "blk.0.attn_q.weight": ("q_proj", "attention"),
        "blk.0.ffn_down_exps.weight": ("down_proj", "moe"),
        "output_norm.weight": ("final_norm", "norm"),
        "output.weight": ("lm_head", "head"),
    }
    assert [f.message for f in model.check()] == [
        "architecture 'nova' is not declared: roles are guessed from names, and parameters are counted as stored"
    ]


def test_a_scale_beside_a_tensor_multiplies_it(tmp_path: Path) -> None:
    """As llama.cpp's converter stores NVFP4: a number for a matrix, or one for each expert of a stack."""
    source = FIXTURES / "qwen3moe.gguf"
    names = ("blk.{}.attn_q", "blk.{}.ffn_up_exps")
    more: dict[str, Any] = {}
    for layer in (0, 1):
        matrix, stack = (name.format(layer) for name in names)
        more |= {f"{matrix}.scale": np.array([0.5], "f4"), f"{stack}.scale": np.array([0.5, 1.0, 2.0, 0.25], "f4")}
        more |= {f"{matrix}.input_scale": np.array([7.0], "f4")}
    scaled = copied(source, tmp_path / "a.gguf", more=more)
    tensors = {tensor.name: tensor.data for tensor in GGUFReader(source).tensors}
    same = {
        f"{name}.weight": tensors[f"{name}.weight"] * more[f"{name}.scale"].reshape(-1, *(1,) * dimensions)
        for dimensions, template in zip((1, 2), names, strict=True)
        for name in map(template.format, (0, 1))
    }
    done = copied(source, tmp_path / "b.gguf", values=same)
    model, expected = weightscope.open(scaled), weightscope.open(done).forward([1, 2, 3, 4]).output
    output = model.forward([1, 2, 3, 4]).output
    assert output is not None
    assert expected is not None
    np.testing.assert_allclose(output.numpy(), expected.numpy(), atol=1e-6)
    assert model.inventory.unrecognized == ()
    assert model.parameters.total == weightscope.open(source).parameters.total


@pytest.mark.parametrize(
    ("name", "role", "component"),
    [
        ("v.blk.0.attn_q.weight", "q_proj", "vision"),
        ("mm.0.weight", "unknown", "projector"),
        ("blk.0.attn_q.weight.lora_a", "lora_a", "adapter"),
    ],
)
def test_parts_and_adapters_are_told_by_their_names(name: str, role: str, component: str, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    writer = GGUFWriter(path, "llama" if "lora" in name else "clip")
    writer.add_type("adapter" if "lora" in name else "mmproj")
    writer.add_tensor(name, np.zeros((2, 3), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model = weightscope.open(path)
    tensor = model.tensors[name]
    assert (tensor.role, tensor.component) == (role, component)
    assert [finding.code for finding in model.check()] == ["unknown-architecture"]


def test_inspect_says_bits_and_types(run: Any) -> None:
    status, out, _ = run("inspect", FIXTURES / "llama.gguf", "--format", "json")
    said = json.loads(out)
    assert (status, said["model"]["format"], said["model"]["model_type"]) == (0, "gguf", "llama")
    assert {row["dtype"] for row in said["dtypes"]} == {"F16", "F32"}
    assert said["parameters"]["bits_per_parameter"] == pytest.approx(
        8 * said["bytes"] / said["parameters"]["total"], 1e-3
    )


def test_layers_that_predict_ahead_are_counted_apart(tmp_path: Path) -> None:
    reader = GGUFReader(FIXTURES / "glm4moe.gguf")
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    # A third layer like the second, with what stands around one that predicts, as GLM-4.5 is converted.
    more = {name.replace("blk.1.", "blk.2."): tensor.data for name, tensor in tensors.items() if "blk.1." in name}
    norm = tensors["output_norm.weight"].data
    around = {"enorm": norm, "hnorm": norm, "shared_head_norm": norm, "eh_proj": np.zeros((24, 48), np.float16)}
    more |= {f"blk.2.nextn.{name}.weight": data for name, data in around.items()}
    keys = {"glm4moe.block_count": 3, "glm4moe.nextn_predict_layers": 1}
    path = copied(FIXTURES / "glm4moe.gguf", tmp_path / "a.gguf", keys=keys, more=more)
    model, before = weightscope.open(path), weightscope.open(FIXTURES / "glm4moe.gguf")
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert model.inventory.unrecognized == ()
    assert model.parameters.total == before.parameters.total
    assert model.parameters.auxiliary == sum(data.size for data in more.values()) - 4  # the router's correction
