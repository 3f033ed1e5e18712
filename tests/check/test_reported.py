"""Faults that people reported in public, each planted into a tiny model: what is said, word for word."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import weightscope
from tests.check.planting import Plant, Tensors
from weightscope.analyses.rules.padding import PADDED
from weightscope.analyses.rules.unread import NEUTRAL, is_idle
from weightscope.families.registry import all_families
from weightscope.findings import Finding

FIXTURES = Path(__file__).parents[2] / "fixtures"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "ab" * 32 + "\nsize 1842767\n"


@pytest.fixture
def plant(saved: Any, tmp_path: Path) -> Callable[..., Plant]:
    """A tiny model of a name, ready to be damaged."""
    return lambda name, suffix="safetensors", shards=1: Plant.of(saved(name), tmp_path, suffix, shards)


def alone(findings: list[Finding]) -> Finding:
    """The one finding there is."""
    (finding,) = findings
    return finding


def test_zero_3_gathered_nothing(plant: Any) -> None:
    """OpenRLHF/OpenRLHF#839: matrices of the last layer have shape [0]."""
    model = plant("qwen2")
    for part in "kvo":
        model.tensors[f"model.layers.2.self_attn.{part}_proj.weight"] = torch.empty(0)
    finding = alone(model.findings())
    assert (finding.code, finding.severity) == ("shape-mismatch", "error")
    assert finding.tensors == tuple(f"model.layers.2.self_attn.{part}_proj.weight" for part in "kvo")
    assert finding.hint.startswith("saved before the weights were gathered")


def test_fsdp_flattened(plant: Any) -> None:
    model = plant("llama")
    model.tensors = {n: t.flatten() if "mlp" in n else t for n, t in model.tensors.items()}
    finding = alone(model.findings())
    assert finding.message.startswith("9 tensors are flattened: model.layers.{0–2}.mlp.gate_proj.weight is [1248]")
    assert "saved before the weights were gathered" in finding.hint
    model.tensors = {"_fsdp_wrapped_module._flat_param": torch.ones(100)}
    assert "before the weights were gathered" in alone(model.findings()).hint


def test_lightning(plant: Any, tmp_path: Path) -> None:
    """huggingface/transformers#9209: a state dict under a key, `model.` before every name, optimizer states beside."""
    model = plant("llama")
    model.write()
    (tmp_path / "model.safetensors").unlink()
    weights = {f"model.{name}": tensor for name, tensor in model.tensors.items()}
    moments = {i: {"exp_avg": tensor.clone()} for i, tensor in enumerate(weights.values())}
    torch.save({"epoch": 3, "state_dict": weights, "optimizer_states": [{"state": moments}]}, tmp_path / "epoch=3.ckpt")
    opened = weightscope.open(tmp_path)
    assert opened.parameters.total == 18432 + 2424
    assert opened.summary().model.notes == (
        "epoch=3.ckpt also holds optimizer_states (30 tensors), which are not weights of the model",
    )
    finding = alone([f for f in opened.check() if f.code != "config-missing"])
    assert (finding.code, finding.severity, finding.actual) == ("prefix-mismatch", "info", ["model."])


def test_peft_not_merged(plant: Any) -> None:
    """huggingface/peft#1453: base_layer beside lora_A and lora_B, saved as the model."""
    model, wrapped = plant("llama"), Tensors()
    for name, tensor in model.tensors.items():
        new = f"base_model.model.{name}"
        if ".q_proj." in name:
            wrapped[new.replace(".weight", ".base_layer.weight")] = tensor
            wrapped[new.replace(".weight", ".lora_A.default.weight")] = torch.ones(4, 24)
            wrapped[new.replace(".weight", ".lora_B.default.weight")] = torch.ones(24, 4)
        else:
            wrapped[new] = tensor
    model.tensors = wrapped
    finding = alone(model.findings())
    assert (finding.code, finding.severity) == ("prefix-mismatch", "error")
    assert finding.message == (
        "still wrapped by PEFT, with a LoRA adapter that is not merged: 20,856 parameters of the model and 576 of the "
        "adapter, under names with 'base_model.model.' and 'base_layer.'"
    )
    opened = weightscope.open(model.path)
    assert {c.component: c.parameters for c in opened.components}["adapter"] == 576
    with pytest.raises(weightscope.WeightscopeError, match="not merged, and forward does not apply it"):
        opened.forward([3, 4, 5])


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_model.pt"])
def test_an_adapter_beside_is_an_adapter(name: str, plant: Any) -> None:
    """meta-pytorch/torchtune#2537."""
    model = plant("qwen2", shards=2)
    model.save({"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": torch.ones(4, 24)}, name)
    assert model.findings() == []
    assert "here too" not in str(weightscope.open(model.path).summary().model.notes)


def test_a_near_namesake(plant: Any) -> None:
    """huggingface/transformers#48075: backbone.embedding, singular."""
    model = plant("nemotron_h")
    model.tensors["backbone.embedding.weight"] = model.tensors.pop("backbone.embeddings.weight")
    finding, unexpected = model.findings()
    assert (finding.code, finding.tensors) == ("missing-tensor", ("backbone.embeddings.weight",))
    assert (unexpected.code, unexpected.tensors) == ("unexpected-tensor", ("backbone.embedding.weight",))
    assert finding.hint.startswith("backbone.embedding.weight is stored and may be the same tensor")


@pytest.mark.parametrize(
    ("name", "severity"), [("llama", "error"), ("qwen2", "error"), ("phi", "error"), ("gpt2", "warning")]
)
def test_a_pad_token_without_a_row(name: str, severity: str, plant: Any) -> None:
    """meta-llama/llama-cookbook#189."""
    model = plant(name)
    model.config["pad_token_id"] = 101
    finding = alone(model.findings())
    assert (finding.code, finding.severity) == ("config-invalid", severity)
    assert finding.message == "config.json: pad_token_id 101 is out of range of the 101 embedding rows"


def test_which_classes_refuse_a_pad_token_without_a_row() -> None:
    """torch refuses a padding_idx beyond the rows, so building each class on no device tells."""
    refusing, apart = set(), set()
    for model_type in sorted(all_families()):
        if model_type in transformers.CONFIG_MAPPING and model_type not in ("clip_vision_model", "kimi_k2"):
            config = transformers.CONFIG_MAPPING[model_type]()
            if getattr(config, "vocab_size", None) is None:
                continue  # a whole, whose language model is tried by itself; ESM, whose file says how many
            config.pad_token_id = config.vocab_size
            try:
                with torch.device("meta"):
                    embedding = _embedding(config)
                del embedding
            except (AssertionError, IndexError):
                refusing.add(model_type)
            except ValueError:
                apart.add(model_type)
    known = PADDED & set(transformers.CONFIG_MAPPING)
    assert refusing == known
    # Parts that transformers builds within a whole alone.
    assert apart == {
        "clap_text_model", "ernie4_5_vl_moe_text", "mllama_text_model", "paddleocr_vl_text", "siglip2_text_model",
        "siglip_text_model", "step3p5",
    }  # fmt: skip


def _embedding(config: Any) -> Any:
    """The model of a config with as few layers as it takes."""
    for key in ("num_hidden_layers", "n_layer", "num_layers"):
        if isinstance(getattr(config, key, None), int) and not hasattr(type(config), key):
            setattr(config, key, 1)
    known = type(config) in transformers.AutoModelForCausalLM._model_mapping
    return (transformers.AutoModelForCausalLM if known else transformers.AutoModel).from_config(config)


def test_transformers_refusal_is_reported_as_its_own(plant: Any, run: Any) -> None:
    model = plant("llama")
    model.config["pad_token_id"] = 101
    code, _, error = run("forward", model.write(), "--tokens", "3,4", "--compare", "transformers")
    assert code == 2
    assert f"transformers {transformers.__version__} fails (Padding_idx must be within num_embeddings)" in error


def test_the_tokenizer_ends_elsewhere(plant: Any) -> None:
    """QwenLM/Qwen3#927."""
    model = plant("qwen2")
    added = [{"id": 95, "content": "<turn-end>"}]
    model.beside["tokenizer.json"] = json.dumps({"model": {"vocab": {}}, "added_tokens": added})
    model.beside["tokenizer_config.json"] = json.dumps({"eos_token": "<turn-end>"})
    finding = alone(model.findings())
    assert (finding.code, finding.severity) == ("config-invalid", "info")
    assert finding.message == "eos_token of tokenizer_config.json is '<turn-end>' (id 95), but generation ends at [2]"
    model.beside["tokenizer_config.json"] = json.dumps({"eos_token": {"content": "<turn-end>"}})
    assert alone(model.findings()).actual == 95
    added[0]["id"] = 2
    model.beside["tokenizer.json"] = json.dumps({"model": {"vocab": {}}, "added_tokens": added})
    assert model.findings() == []


def test_pointers_in_place_of_the_tokenizer(plant: Any) -> None:
    """turboderp/exllama#242."""
    model = plant("llama")
    model.beside |= {"tokenizer.json": LFS, "tokenizer.model": LFS}
    finding = alone(model.findings())
    assert (finding.code, finding.severity) == ("config-invalid", "error")
    assert finding.message == "Git LFS pointers instead of tokenizer files: tokenizer.json, tokenizer.model"
    assert finding.hint == "run `git lfs pull`"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"vocab.json": {"a": 100}}, None),
        ({"vocab.json": {"a": 101}}, "vocab.json has token ids up to 101, but the embedding has 101 rows (vocab_size)"),
        ({"vocab.json": {"a": 1}, "added_tokens.json": {"[PAD]": 101}}, "added_tokens.json has token ids up to 101"),
        ({"tokenizer.json": {"model": {"vocab": {"a": 1}}}, "added_tokens.json": {"x": 200}}, "ids up to 200"),
        ({"vocab.json": []}, "vocab.json cannot be read"),
    ],
)
def test_older_tokenizers_count(files: dict[str, Any], words: str | None, plant: Any) -> None:
    model = plant("llama")
    model.beside |= {name: json.dumps(content) for name, content in files.items()}
    findings = model.findings()
    assert [f.code for f in findings] == (["config-invalid"] if words else [])
    assert all((words or "") in finding.message for finding in findings)


@pytest.mark.parametrize(("pieces", "wrong"), [(101, False), (102, True)])
def test_sentencepiece_counts(pieces: int, wrong: bool, plant: Any, tmp_path: Path) -> None:
    """A protobuf message of pieces, each with its text, score and type, and the trainer's settings after them."""
    model = plant("llama")
    model.write()
    piece = b"\x0a\x0e\x0a\x05hello\x15\x00\x00\x00\x00\x18\x01"
    (tmp_path / "tokenizer.model").write_bytes(piece * pieces + b"\x12\x02\x18\x01")
    assert [f.code for f in model.findings()] == ["config-invalid"] * wrong
    (tmp_path / "tokenizer.model").write_bytes(piece * 3 + b"\x0a\x60")
    assert "cut short" in alone(model.findings()).message


def test_head_dim_that_the_config_does_not_give(plant: Any) -> None:
    """eole-nlp/eole#78: heads wider than hidden_size / heads."""
    model = plant("mistral-head_dim")
    del model.config["head_dim"]
    hints = {(f.code, f.hint) for f in model.findings()}
    assert hints == {
        (
            "shape-mismatch",
            "every q_proj and k_proj and v_proj and o_proj fits head_dim = 10, which config.json leaves out",
        )
    }


def test_two_wrong_keys_together(plant: Any) -> None:
    model = plant("llama")
    model.config |= {"intermediate_size": 60, "vocab_size": 128}
    (hint,) = {f.hint for f in model.findings() if f.code == "shape-mismatch"}
    assert (
        "intermediate_size = 52 and vocab_size = 101" in hint or "vocab_size = 101 and intermediate_size = 52" in hint
    )
    assert hint.endswith(("config.json says 60, 128", "config.json says 128, 60"))


def test_layer_types_of_another_length(plant: Any) -> None:
    """peremartra/optipfair#20."""
    model = plant("gemma3_text")
    model.config["layer_types"] = [*model.config["layer_types"], "full_attention"]
    finding = alone(model.findings())
    layers = model.config["num_hidden_layers"]
    assert (finding.code, finding.severity) == ("config-invalid", "error")
    assert finding.message.endswith(f"layer_types has {layers + 1} entries, but num_hidden_layers is {layers}")


def test_a_layer_of_another_model(plant: Any) -> None:
    """arcee-ai/mergekit#401."""
    model = plant("llama")
    for name, tensor in model.tensors.items():
        if ".layers.2." in name:
            model.tensors[name] = torch.ones([2 * size for size in tensor.shape])
    finding = alone(model.findings())
    assert finding.code == "shape-mismatch"
    assert finding.message.startswith("layer 2 has different sizes than all other layers: model.layers.2.")
    assert "no change of config.json makes both fit" in finding.hint


def test_structured_pruning(plant: Any) -> None:
    """princeton-nlp/LLM-Shearing#74: widths that shrink layer by layer."""
    model = plant("llama")
    for name, tensor in model.tensors.items():
        layer = int(name.split(".")[2]) if ".layers." in name else 0
        if "gate_proj" in name or "up_proj" in name:
            model.tensors[name] = tensor[: 52 - 8 * layer]
        if "down_proj" in name:
            model.tensors[name] = tensor[:, : 52 - 8 * layer]
    finding = alone(model.findings())
    assert finding.message.startswith("the layers have different widths, as after structured pruning")


def test_block_scales_renamed(tmp_path: Path) -> None:
    """vllm-project/vllm#54556: weight_scale where weight_scale_inv is looked for."""
    shutil.copytree(FIXTURES / "deepseek-v3", tmp_path / "m")
    model = Plant.of(tmp_path / "m", tmp_path / "n")
    sound = model.findings()
    total = weightscope.open(model.path).parameters.total
    renamed = sum(name.endswith("_inv") for name in model.tensors)
    model.tensors = {name.removesuffix("_inv"): tensor for name, tensor in model.tensors.items()}
    (finding,) = [f for f in model.findings() if f not in sound]
    assert (finding.code, finding.severity) == ("prefix-mismatch", "error")
    assert f"{renamed} of " in finding.message
    assert finding.message.endswith("names end with 'weight_scale' where 'weight_scale_inv' is expected")
    assert weightscope.open(model.path).parameters.total == total


def test_a_weight_map_that_names_a_tensor_twice(plant: Any) -> None:
    """ohdearquant/lattice#988."""
    model = plant("llama", shards=2)
    model.write()
    index = model.path / model.index
    index.write_text(
        index.read_text().replace('"weight_map": {', '"weight_map": {"model.norm.weight": "x.safetensors", ')
    )
    finding = alone([f for f in _check(model.path) if f.code != "config-missing"])
    assert (finding.code, finding.severity) == ("malformed-index", "error")
    assert 'gives \'model.norm.weight\' twice, as "x.safetensors" and as "model-0000' in finding.message


def _check(path: Path) -> tuple[Finding, ...]:
    from weightscope.analyses.checking import Policy
    from weightscope.api.checking import check_model

    return check_model(path, Policy.of("error", ())).findings


def test_an_http_response_in_a_file(plant: Any) -> None:
    """wangshuai67/hf-mirror-cli#16."""
    file = plant("llama").write() / "model.safetensors"
    file.write_bytes(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n" + file.read_bytes())
    finding = alone([f for f in _check(file.parent) if f.code != "config-missing"])
    assert finding.code == "malformed-header"
    assert "begins with the header lines of an HTTP response ('HTTP/1.1 200 OK')" in finding.message


def test_one_shard_of_several(plant: Any) -> None:
    model = plant("llama", shards=4)
    model.write()
    finding = alone(list(_check(model.path / "model-00002-of-00004.safetensors")))
    assert (finding.code, finding.severity) == ("missing-shard", "warning")
    assert finding.message == "model-00002-of-00004.safetensors is shard 2 of 4: only its own tensors were read"
    assert finding.hint == "give the directory to see the whole model"


def test_a_download_that_stopped_is_named(plant: Any) -> None:
    model = plant("llama", shards=2)
    model.write()
    file = model.path / "model-00002-of-00002.safetensors"
    file.rename(f"{file}.incomplete")
    finding = alone([f for f in _check(model.path) if f.code != "config-missing"])
    assert finding.code == "missing-shard"
    assert finding.hint.startswith("model-00002-of-00002.safetensors.incomplete is an unfinished download")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tf_model.h5", "tf_model.h5 (Keras or TensorFlow weights)"),
        ("flax_model.msgpack", "flax_model.msgpack (Flax weights)"),
        ("model.onnx", "model.onnx (ONNX)"),
        ("openvino_model.bin", "openvino_model.bin (OpenVINO)"),
        ("model.safetensors.incomplete", "model.safetensors.incomplete (an unfinished download)"),
    ],
)
def test_other_frameworks_files_are_named(name: str, words: str, plant: Any) -> None:
    model = plant("llama")
    (model.write() / "model.safetensors").rename(model.path / name)
    finding = alone([f for f in _check(model.path) if f.code != "config-missing"])
    assert (finding.code, finding.severity) == ("missing-shard", "error")
    assert finding.message == f"there is a config.json but no weight file in a supported format: {words}"


def test_two_sets_of_shards_without_an_index(plant: Any) -> None:
    """The complete one is read."""
    model = plant("llama", shards=2)
    model.write()
    (model.path / model.index).unlink()
    model.write_shards(4, index=False)
    (model.path / "model-00003-of-00004.safetensors").unlink()
    found = [f.code for f in _check(model.path) if f.code != "config-missing"]
    assert sorted(found) == ["index-mismatch", "unexpected-shard"]
    assert weightscope.open(model.path).parameters.total == 20856


def test_tying_that_differs_between_levels(plant: Any) -> None:
    model = plant("llava-tied-above")
    model.config["text_config"]["tie_word_embeddings"] = False
    finding = next(
        f for f in model.findings() if f.config == ("tie_word_embeddings", "text_config.tie_word_embeddings")
    )
    assert (finding.code, finding.severity) == ("tie-mismatch", "info")
    assert finding.message == "config.json says tie_word_embeddings true, and false in text_config"


@pytest.mark.parametrize(
    ("name", "module", "known"),
    [
        ("llama", "model.layers.{}.self_attn.", True),
        ("llama", "model.layers.{}.self_attn.attn.", True),
        ("llama", "model.layers.{}.self_attn.k_proj.", True),
        ("gpt2", "transformer.h.{}.attn.", True),
        ("llama", "model.layers.{}.mlp.", False),
        ("llama", "model.layers.7{}.self_attn.", False),
    ],
)
def test_scales_of_caches_beside_plain_weights(name: str, module: str, known: bool, plant: Any) -> None:
    """vLLM's `maybe_remap_kv_scale_name` takes them under each of these names, whether weights are quantized or not."""
    model = plant(name)
    before = weightscope.open(model.write()).parameters.total
    for layer in range(3):
        for leaf in ("k_scale", "v_scale"):
            model.tensors[f"{module.format(layer)}{leaf}"] = torch.ones(1)
    found = [finding.code for finding in model.findings()]
    assert found == [] if known else "unexpected-tensor" in found
    assert weightscope.open(model.path).parameters.total == before


def test_a_head_of_fewer_rows_is_not_the_embedding(plant: Any) -> None:
    model = plant("llama-tied")
    model.tensors["lm_head.weight"] = model.tensors["model.embed_tokens.weight"][:50]
    finding = alone(model.findings())
    assert (finding.code, finding.tensors) == ("shape-mismatch", ("lm_head.weight",))
    assert weightscope.open(model.path).tying.evidence == "untied"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"num_local_experts": 8, "sliding_window": 4096}, "num_local_experts 8, sliding_window 4096"),
        ({"qk_norm": True}, "qk_norm True"),
        ({"num_local_experts": None, "sliding_window": None, "attn_logit_softcapping": None, "qk_norm": False}, ""),
        ({"attention_bias": False, "partial_rotary_factor": 1.0, "n_shared_experts": 0}, ""),
    ],
)
def test_a_key_of_the_architecture_that_is_not_read(keys: dict[str, Any], said: str, plant: Any) -> None:
    model = plant("llama")
    model.config |= keys
    findings = model.findings()
    assert [(f.code, f.severity) for f in findings] == ([("config-invalid", "info")] if said else [])
    these = "these keys" if len(keys) > 1 else "this key"
    assert all(f.message == f"config.json says {said}, but llama ignores {these}" for f in findings)


@pytest.mark.parametrize(
    ("name", "part", "keys", "said"),
    [
        ("gpt2", "", {"hidden_size": 24}, ""),
        ("gpt2", "", {"hidden_size": 24, "num_hidden_layers": 2}, "num_hidden_layers 2 and n_layer 3"),
        (
            "qwen2_vl",
            "vision_config",
            {"num_hidden_layers": 1},
            "vision_config.num_hidden_layers 1 and vision_config.depth 4",
        ),
    ],
)
def test_one_setting_under_two_names(name: str, part: str, keys: dict[str, Any], said: str, plant: Any) -> None:
    """The class's own name and another one: where they differ, the other counts, as in transformers."""
    model = plant(name)
    (model.config[part] if part else model.config).update(keys)
    found = [finding for finding in model.findings() if finding.code == "config-invalid"]
    if not said:
        assert not found
        return
    finding = alone(found)
    counts, _, _, overruled, _ = said.split()
    assert finding.message == f"config.json says {said}, two names of one setting; {counts} counts"
    assert (finding.severity, finding.config) == ("warning", (counts, overruled))


@pytest.mark.parametrize(
    ("fixture", "keys"),
    [
        # The class has the key, and another key says that it is not used.
        ("qwen2", {"sliding_window": 131_072, "use_sliding_window": False}),
        # The same setting under two names.
        ("mixtral", {"n_routed_experts": 5}),
        # What the key says is so without it.
        ("qwen3", {"use_qk_norm": True}),
    ],
)
def test_a_key_that_is_not_read_and_says_nothing_else(fixture: str, keys: dict[str, Any], plant: Any) -> None:
    model = plant(fixture)
    model.config |= keys
    assert model.findings() == []


@pytest.mark.parametrize(
    "spelled",
    [
        lambda name: f"language_model.{name}",
        lambda name: f"llm.{name}",
        lambda name: name.replace("model.", "model.language_model.", 1) if name.startswith("model.") else name,
    ],
)
def test_the_language_part_of_an_undeclared_wrapper(spelled: Callable[[str], str], plant: Any) -> None:
    model = plant("qwen2")
    text, weights = model.config, sum(tensor.numel() for tensor in model.tensors.values())
    model.config = {"model_type": "new_vl", "architectures": ["NewVL"], "text_config": text}
    model.tensors = {spelled(name): tensor for name, tensor in model.tensors.items()}
    model.tensors["visual.blocks.0.attn.qkv.weight"] = torch.ones(12, 4)
    finding = alone(model.findings())
    assert (finding.code, finding.severity) == ("unknown-architecture", "error")
    assert finding.message == ("model type 'new_vl' is not declared: only its language model is checked, as qwen2")
    opened = weightscope.open(model.path)
    assert opened.parameters.total == weights + 48
    assert not opened.summary().model.recognized
    assert opened.tensors[spelled("model.layers.1.mlp.up_proj.weight")].inferred is False
    assert {c.component for c in opened.components} == {"embedding", "vision", "attention", "mlp", "norm", "head"}
    with pytest.raises(weightscope.WeightscopeError, match="forward does not support this model"):
        opened.forward([1, 2])


def test_a_shared_table_counts_once(tmp_path: Path) -> None:
    """Encoder-decoders of T5's kind store their table three times."""
    table = torch.ones(11, 4)
    names = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
    plant = Plant(tmp_path, {"model_type": "t5_of_tomorrow"}, {**dict.fromkeys(names, table), "lm_head.weight": table})
    opened = weightscope.open(plant.write())
    assert opened.parameters.total == 2 * 44
    assert opened.tying.evidence == "untied"


def test_counts_that_nothing_tells(plant: Any) -> None:
    """An index gives names and no shapes; no declaration says how many experts a token uses."""
    model = plant("mixtral", shards=2)
    model.config["model_type"] = "mixtral_of_tomorrow"
    model.write()
    assert weightscope.open(model.path).parameters.total == sum(t.numel() for t in model.tensors.values())
    assert weightscope.open(model.path).parameters.active is None
    for shard in model.path.glob("*.safetensors"):
        shard.unlink()
    counts = weightscope.open(model.path / model.index).parameters
    assert (counts.total, counts.active, counts.non_embedding, counts.buffers) == (None, None, None, None)
    assert counts.bits_per_parameter is None


@pytest.mark.parametrize(
    ("architecture", "evidence"), [("NewForCausalLM", "absent-head"), ("NewModel", "not-applicable")]
)
def test_a_model_without_a_head_is_not_tied(architecture: str, evidence: str, tmp_path: Path) -> None:
    config = {"model_type": "unheard-of", "architectures": [architecture], "tie_word_embeddings": True}
    plant = Plant(tmp_path, config, {"embed_tokens.weight": torch.ones(5, 4)})
    tying = weightscope.open(plant.write()).tying
    assert (tying.tied, tying.evidence) == (evidence == "absent-head", evidence)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (
            "mixtral",
            lambda n: n.replace("block_sparse_moe", "moe"),
            "48 of 69 names contain '.moe' where 'block_sparse_",
        ),
        ("llama", lambda n: f"{n}.data", "all 30 names end with 'data'"),
        ("llava", lambda n: f"module.{n}", "all 73 names begin with 'module.', which DataParallel"),
        (
            "llava",
            lambda n: n.replace("language_model.", "text_model."),
            "begin with 'text_model.' where 'language_model.'",
        ),
        (
            "llama",
            lambda n: n.replace("model.layers.", "net.h.").replace("model.", "net."),
            "27 of 30 names begin with 'net.h.' where 'model.layers.' is expected; 2 of 30 names begin with 'net.'",
        ),
    ],
)
def test_other_exchanges(name: str, change: Callable[[str], str], words: str, plant: Any) -> None:
    model = plant(name)
    model.tensors = {change(n): tensor for n, tensor in model.tensors.items()}
    finding = alone(model.findings())
    assert (finding.code, finding.severity) == ("prefix-mismatch", "error")
    assert words in finding.message
    opened = weightscope.open(model.path)
    assert opened.summary().tensors.unrecognized == ()
    assert opened.parameters.total == sum(tensor.numel() for tensor in model.tensors.values())


def test_pruning_that_was_not_made_permanent(plant: Any) -> None:
    """torch.nn.utils.prune keeps weight_orig and weight_mask, and neither is the weight."""
    model = plant("llama")
    name = "model.layers.0.mlp.up_proj.weight"
    model.tensors[f"{name}_orig"] = model.tensors.pop(name)
    model.tensors[f"{name}_mask"] = torch.ones(52, 24)
    found = {f.code: f for f in model.findings()}
    assert set(found) == {"missing-tensor", "unexpected-tensor"}
    assert found["missing-tensor"].hint.startswith("torch's pruning was not made permanent")


def test_an_adapter_saved_as_the_model(plant: Any) -> None:
    model = plant("llama")
    model.tensors = {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": torch.ones(4, 24)}
    finding = alone(model.findings())
    assert finding.hint == "these are the weights of a LoRA adapter: give the directory of its base model"


def test_transposed_matrices(plant: Any) -> None:
    model = plant("gpt2")
    model.tensors = {n: t.t() if "c_fc.weight" in n else t for n, t in model.tensors.items()}
    assert alone(model.findings()).hint.startswith("the matrices are stored transposed")


# What transformers' class of a type says where a config says nothing, if that changes something.
CLASS_DEFAULTS = {
    ("kimi_linear", "num_experts"): 256, ("qwen3_moe", "num_local_experts"): 128,
    ("qwen3_vl_moe_text", "num_local_experts"): 60, ("mellum", "num_local_experts"): 64,
    ("bailing_hybrid", "num_experts"): 512,
}  # fmt: skip


@pytest.mark.parametrize("model_type", sorted(set(all_families()) & set(transformers.CONFIG_MAPPING)))
def test_what_a_class_says_by_itself_is_no_key_of_another(model_type: str) -> None:
    """A key that transformers' class has by itself, with the value it has there, is nothing to tell."""
    data = transformers.CONFIG_MAPPING[model_type]().to_dict()
    known = all_families()[model_type].defaults
    told = [
        key for key, neutral in NEUTRAL.items() if key in data and key not in known and not is_idle(data[key], neutral)
    ]
    assert {(model_type, key): data[key] for key in told} == {
        pair: value for pair, value in CLASS_DEFAULTS.items() if pair[0] == model_type
    }
