"""Locks survive other shards, containers and names, and name what changed; digests are hashlib's of the same bytes."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from safetensors.torch import load_file, save_file
from torch.distributed.checkpoint.state_dict_saver import save as save_sharded
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

import weightscope
from tests.families.tiny import TINY
from weightscope.analyses.lock.record import Lock, lock_text, read_lock

ROOT = Path(__file__).parents[2]
FIXTURES, DATA = ROOT / "fixtures", ROOT / "tests" / "data"
SMALL: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 64, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SMALL)).to(torch.bfloat16)


@pytest.fixture(scope="module")
def llama(model: LlamaForCausalLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llama")
    model.save_pretrained(folder)
    return folder


def digest(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()


def changed(source: Path, folder: Path, **values: torch.Tensor | None) -> Path:
    """A copy with these tensors changed; None takes one away."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    tensors = load_file(source / "model.safetensors") | values
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, folder / "model.safetensors")
    return folder


def messages(folder: Path, lock: Lock) -> list[str]:
    findings = weightscope.open(folder).check_lock(lock)
    assert all((finding.code, finding.severity) == ("lock-mismatch", "error") for finding in findings)
    return [finding.message for finding in findings]


def test_a_digest_is_that_of_the_bytes(llama: Path) -> None:
    tensors, lock = load_file(llama / "model.safetensors"), weightscope.open(llama).lock()
    assert len(lock.weights) == len(tensors)
    weight = lock.weights["layers.1.attention.q_proj"]
    assert weight.digest == digest(tensors["model.layers.1.self_attn.q_proj.weight"])
    assert (weight.names, weight.dtype, weight.shape) == (("model.layers.1.self_attn.q_proj.weight",), "BF16", (32, 32))
    lines = "".join(f"{address} {lock.weights[address].digest}\n" for address in sorted(lock.weights))
    assert lock.root == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_fused_rows_are_digested_by_role(tmp_path: Path) -> None:
    """Phi-3: 32 rows of queries, 16 of keys, 16 of values; gate above up."""
    torch.manual_seed(0)
    Phi3ForCausalLM(Phi3Config(**SMALL)).to(torch.float16).save_pretrained(tmp_path)
    tensors, weights = load_file(tmp_path / "model.safetensors"), weightscope.open(tmp_path).lock().weights
    qkv = tensors["model.layers.2.self_attn.qkv_proj.weight"]
    gate_up = tensors["model.layers.2.mlp.gate_up_proj.weight"]
    parts = {
        "attention.q_proj": qkv[:32],
        "attention.k_proj": qkv[32:48],
        "attention.v_proj": qkv[48:],
        "mlp.gate_proj": gate_up[:48],
        "mlp.up_proj": gate_up[48:],
    }
    for name, part in parts.items():
        assert weights[f"layers.2.{name}"].digest == digest(part)
        assert weights[f"layers.2.{name}"].shape == tuple(part.shape)
    # As a distributed checkpoint each tensor is an archive of its own, which says its dtype.
    save_sharded(dict(tensors), checkpoint_id=tmp_path / "sharded")
    shutil.copy(tmp_path / "config.json", tmp_path / "sharded")
    assert weightscope.open(tmp_path / "sharded").lock().weights == weights


def test_turned_matrices_are_digested_upright(tmp_path: Path) -> None:
    """GPT-2 stores (in, out), queries, keys and values side by side, and ties its head."""
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=64, n_positions=16)).save_pretrained(tmp_path)
    tensors, weights = load_file(tmp_path / "model.safetensors"), weightscope.open(tmp_path).lock().weights
    fused = tensors["transformer.h.1.attn.c_attn.weight"]
    assert weights["layers.1.attention.k_proj"].digest == digest(fused[:, 32:64].T)
    assert weights["layers.1.attention.k_proj.bias"].shape == (32,)
    assert weights["layers.0.mlp.down_proj"].digest == digest(tensors["transformer.h.0.mlp.c_proj.weight"].T)


def test_quantized_weights_are_digested_as_they_are_stored() -> None:
    model = weightscope.open(FIXTURES / "deepseek-v3")
    weights = model.lock().weights
    for name in ("weight", "weight_scale_inv"):
        tensor = model.tensors[f"model.layers.0.self_attn.o_proj.{name}"]
        assert weights[f"layers.0.attention.o_proj:{name}"].digest == digest(tensor.torch())


def test_other_shards_containers_and_names_are_the_same(llama: Path, model: LlamaForCausalLM, tmp_path: Path) -> None:
    lock = weightscope.open(llama).lock()
    forms = {name: tmp_path / name for name in ("sharded", "pickled", "renamed", "base")}
    model.save_pretrained(forms["sharded"], max_shard_size="20KB")
    assert len(list(forms["sharded"].glob("*.safetensors"))) > 2
    shutil.copytree(llama, forms["pickled"])
    (forms["pickled"] / "model.safetensors").unlink()
    torch.save(model.state_dict(), forms["pickled"] / "pytorch_model.bin")
    shutil.copytree(llama, forms["renamed"])
    (forms["renamed"] / "model.safetensors").rename(forms["renamed"] / "weights.safetensors")
    wrapped = {f"_orig_mod.{name}": tensor for name, tensor in load_file(llama / "model.safetensors").items()}
    shutil.copytree(llama, forms["base"])
    save_file(wrapped, forms["base"] / "model.safetensors")
    for folder in forms.values():
        assert weightscope.open(folder).lock().root == lock.root
        assert messages(folder, lock) == []


def test_a_tied_head_that_is_stored_as_well(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SMALL, tie_word_embeddings=True))
    model.save_pretrained(tmp_path / "without")
    shutil.copytree(tmp_path / "without", tmp_path / "with")
    (tmp_path / "with" / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "with" / "pytorch_model.bin")
    with_head, without = (weightscope.open(tmp_path / name) for name in ("with", "without"))
    assert "lm_head.weight" in with_head.tensors
    assert "lm_head.weight" not in without.tensors
    assert with_head.lock().root == without.lock().root
    assert messages(tmp_path / "with", without.lock()) == []


def test_a_flipped_bit_is_named(llama: Path, tmp_path: Path) -> None:
    lock = weightscope.open(llama).lock()
    file = tmp_path / "copy" / "model.safetensors"
    shutil.copytree(llama, tmp_path / "copy")
    entry = weightscope.open(llama).tensors["model.layers.2.mlp.down_proj.weight"]
    content = bytearray(file.read_bytes())
    content[-1 - (len(content) - int.from_bytes(content[:8], "little") - 8 - entry.entry.data_offsets[1])] ^= 1
    file.write_bytes(content)
    (finding,) = weightscope.open(tmp_path / "copy").check_lock(lock)
    assert finding.message == "1 weight with other values than in the lock: layers.2.mlp.down_proj"
    assert finding.tensors == ("model.layers.2.mlp.down_proj.weight",)


@pytest.mark.parametrize(
    ("name", "tensor", "address"),
    [
        ("deepseek_v3", "model.layers.1.mlp.gate.e_score_correction_bias", "layers.1.moe.router_bias"),
        ("bert", "cls.predictions.bias", "head.lm_head.bias"),
        ("bart", "final_logits_bias", "head.logit_bias"),
        ("gemma4-clipped", "model.vision_tower.encoder.layers.0.mlp.up_proj.output_max",
         "vision.layers.0.up_proj.bounds"),
    ],
)  # fmt: skip
def test_what_a_pass_reads_beside_weights(name: str, tensor: str, address: str, tmp_path: Path) -> None:
    """Corrections of routers, the bias of a tied head, biases of logits, bounds: changed, they are named."""
    next(tiny for tiny in TINY if tiny.name == name).build().save_pretrained(tmp_path / "model")
    was = load_file(tmp_path / "model" / "model.safetensors")[tensor]
    changed(tmp_path / "model", tmp_path / "copy", **{tensor: torch.full_like(was, 3)})
    lock = weightscope.open(tmp_path / "model").lock()
    assert messages(tmp_path / "copy", lock) == [f"1 weight with other values than in the lock: {address}"]
    values = weightscope.diff(tmp_path / "model", tmp_path / "copy", values=True).values or ()
    assert [value.address for value in values if not value.equal] == [address]


def test_one_bit_of_what_a_weight_is_computed_from(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """The kernel of wav2vec 2.0 is a length and a direction: rounding hides the last bit of a direction."""
    name = "encoder.pos_conv_embed.conv.parametrizations.weight.original1"
    direction = load_file(saved("wav2vec2") / "model.safetensors")[name]
    direction.view(torch.int32)[0, 0, 0] ^= 1
    changed(saved("wav2vec2"), tmp_path, **{name: direction})
    lock = weightscope.open(saved("wav2vec2")).lock()
    assert messages(tmp_path, lock) == ["1 weight with other values than in the lock: audio.convolution:1"]
    assert weightscope.diff(saved("wav2vec2"), tmp_path, values=True).verdict.kind != "identical"


def test_what_else_changes(llama: Path, tmp_path: Path) -> None:
    lock = weightscope.open(llama).lock()
    name = "model.layers.0.mlp.up_proj.weight"
    weight = load_file(llama / "model.safetensors")[name]
    assert messages(changed(llama, tmp_path / "dtype", **{name: weight.float()}), lock) == [
        "1 weight with another dtype than in the lock: layers.0.mlp.up_proj"
    ]
    assert messages(changed(llama, tmp_path / "more", extra=torch.ones(3)), lock) == [
        "1 weight is not in the lock: extra"
    ]
    assert messages(changed(llama, tmp_path / "less", **{name: None}), lock) == [
        "1 weight is missing from the model: layers.0.mlp.up_proj"
    ]
    config = json.loads((llama / "config.json").read_text())
    (changed(llama, tmp_path / "eps") / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-5}))
    assert messages(tmp_path / "eps", lock) == ["config.json: rms_norm_eps is 1e-05, in the lock 1e-06"]
    del config["rms_norm_eps"]
    (changed(llama, tmp_path / "default") / "config.json").write_text(json.dumps(config | {"use_cache": False}))
    assert messages(tmp_path / "default", lock) == []


def test_all_layers_are_said_at_once(llama: Path, tmp_path: Path) -> None:
    lock = weightscope.open(llama).lock()
    tensors = load_file(llama / "model.safetensors")
    twice = {name: 2 * tensor for name, tensor in tensors.items() if "q_proj" in name}
    assert messages(changed(llama, tmp_path, **twice), lock) == [
        "3 weights with other values than in the lock: layers.{0–2}.attention.q_proj"
    ]


def test_headers_alone(llama: Path, tmp_path: Path) -> None:
    quick = weightscope.open(llama).lock(algorithm=None)
    assert (quick.root, quick.algorithm) == (None, None)
    assert {weight.digest for weight in quick.weights.values()} == {None}
    name = "model.layers.0.mlp.up_proj.weight"
    weight = load_file(llama / "model.safetensors")[name]
    assert messages(changed(llama, tmp_path / "values", **{name: 2 * weight}), quick) == []
    assert len(messages(changed(llama, tmp_path / "dtype", **{name: weight.float()}), quick)) == 1


def test_it_is_written_and_read_back(llama: Path, tmp_path: Path) -> None:
    lock = weightscope.open(llama).lock(files=True)
    text = "".join(lock_text(lock))
    (tmp_path / "lock.json").write_text(text)
    assert read_lock(tmp_path / "lock.json") == lock
    assert json.loads(text)["weights"].keys() == lock.weights.keys()
    lines = [line for line in text.splitlines() if '"digest"' in line]
    assert len(lines) == len(lock.weights)
    assert lines == sorted(lines)


def test_files(llama: Path, tmp_path: Path) -> None:
    shutil.copytree(llama, tmp_path / "copy")
    lock = weightscope.open(llama).lock(files=True)
    assert lock.files
    assert (
        lock.files["model.safetensors"].sha256 == hashlib.sha256((llama / "model.safetensors").read_bytes()).hexdigest()
    )
    with (tmp_path / "copy" / "generation_config.json").open("a") as file:
        file.write(" ")
    assert messages(tmp_path / "copy", lock) == ["generation_config.json has other content, says the lock"]


def test_files_below_the_folder_count_and_hidden_ones_do_not(llama: Path, tmp_path: Path) -> None:
    shutil.copytree(llama, tmp_path / "copy")
    for name in ("sub/tokenizer.txt", "sub/.cache/x", ".git/config", ".hidden"):
        path = tmp_path / "copy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    files = weightscope.open(tmp_path / "copy").lock(files=True).files
    assert files
    assert files.keys() == {*(path.name for path in llama.iterdir()), "sub/tokenizer.txt"}


WHOLE = "195c0fea6717bb79fa0776264865341436bcdc29c64b6e3e8a919ff9942efed8"
SIGNED = {
    "config.json": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    "model.safetensors": "de98b79c716986ccd684a7fbbd2705d1ed633be0239adf04fbd2f4daa2bc541f",
    "sub/notes.txt": "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
}


def test_the_statement_that_model_signing_signs(tmp_path: Path) -> None:
    """The literals are those of model_signing 1.1.1 (`hashing.Config().hash(folder)`) for the same three files."""
    folder = tmp_path / "tiny"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "notes.txt").write_text("hello\n")
    header = b'{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}   '
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\x00\x01\x02\x03")
    done = run("lock", str(folder), "--format", "oms")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert said["subject"] == [{"name": "tiny", "digest": {"sha256": WHOLE}}]
    assert [(r["name"], r["digest"]) for r in said["predicate"]["resources"]] == list(SIGNED.items())


def test_a_file_of_the_hub_s_cache_has_the_name_of_its_digest(llama: Path, tmp_path: Path) -> None:
    repo = tmp_path / "models--org--llama"
    (repo / "blobs").mkdir(parents=True)
    snapshot = repo / "snapshots" / ("1" * 40)
    snapshot.mkdir(parents=True)
    shutil.copy(llama / "config.json", snapshot)
    content = (llama / "model.safetensors").read_bytes()
    blob = repo / "blobs" / hashlib.sha256(content).hexdigest()
    blob.write_bytes(content)
    (snapshot / "model.safetensors").symlink_to(blob)
    lock = weightscope.open(snapshot).lock(files=True)
    assert (lock.repository, lock.revision) == ("org/llama", "1" * 40)
    blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(weightscope.WeightscopeError, match="but the Hub says"):
        weightscope.open(snapshot).lock(files=True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("", "not a lock"),
        ("[" * 100_000, "not a lock"),
        ('{"lock_version": 2}', "lock_version 2 is not known"),
        ('{"lock_version": 1}', "not a lock"),
        ('{"lock_version": 1, "algorithm": "md5", "weights": {}}', "not a lock"),
    ],
)
def test_what_is_no_lock(content: str | None, said: str, llama: Path, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "lock.json").write_text(content)
    done = run("check", str(llama), "--lock", str(tmp_path / "lock.json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "weightscope", *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )


def test_the_commands(llama: Path, tmp_path: Path) -> None:
    lock = tmp_path / "lock.json"
    assert run("lock", str(llama), "-o", str(lock)).returncode == 0
    assert run("check", str(llama), "--lock", str(lock), "-q").stdout == "ok\n"
    name = "model.norm.weight"
    other = changed(llama, tmp_path / "other", **{name: torch.full((32,), 2.0, dtype=torch.bfloat16)})
    failed = run("check", str(other), "--lock", str(lock), "--json")
    assert failed.returncode == 1
    assert [f["code"] for f in json.loads(failed.stdout)["findings"] if f["severity"] == "error"] == ["lock-mismatch"]
    assert run("lock", str(llama), "--quick", "--files").returncode == 2
    assert run("check", str(llama), str(other), "--lock", str(lock)).returncode == 2


def test_cyclonedx_is_valid(llama: Path) -> None:
    names = {"bom-1.6": "bom-1.6.SNAPSHOT", "spdx": "spdx.SNAPSHOT", "jsf-0.82": "jsf-0.82.SNAPSHOT"}
    schemas = {name: json.loads((DATA / f"cyclonedx-{name}.schema.json").read_text()) for name in names}
    registry: Registry[Any] = Registry().with_resources(
        (f"http://cyclonedx.org/schema/{file}.schema.json", Resource.from_contents(schemas[name]))
        for name, file in names.items()
    )
    document = json.loads(run("lock", str(llama), "--format", "cyclonedx").stdout)
    Draft7Validator(schemas["bom-1.6"], registry=registry).validate(document)
    component = document["metadata"]["component"]
    assert component["type"] == "machine-learning-model"
    assert component["modelCard"]["modelParameters"] == {
        "architectureFamily": "llama",
        "modelArchitecture": "LlamaForCausalLM",
    }
    (weights,) = (file for file in document["components"] if file["name"] == "model.safetensors")
    content = hashlib.sha256((llama / "model.safetensors").read_bytes()).hexdigest()
    assert weights["hashes"] == [{"alg": "SHA-256", "content": content}]
    with pytest.raises(Exception, match="is not one of"):
        Draft7Validator(schemas["bom-1.6"], registry=registry).validate(document | {"bomFormat": "other"})


def test_blake3(llama: Path) -> None:
    blake3 = pytest.importorskip("blake3")
    tensors, lock = load_file(llama / "model.safetensors"), weightscope.open(llama).lock(algorithm="blake3")
    raw = tensors["model.norm.weight"].view(torch.uint8).numpy().tobytes()
    assert lock.weights["norm.final_norm"].digest == blake3.blake3(raw).hexdigest()


def test_blake3_that_is_not_installed(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "blake3", None)
    with pytest.raises(weightscope.WeightscopeError, match=r"install weightscope-cli\[lock\]"):
        weightscope.open(llama).lock(algorithm="blake3")


def test_locks_compare_by_value(llama: Path) -> None:
    lock = weightscope.open(llama).lock()
    assert weightscope.open(llama).lock() == lock
    assert msgspec.json.decode(msgspec.json.encode(lock), type=Lock) == lock
