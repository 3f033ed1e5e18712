"""Types published with code of their own: names, shapes, counts and logits, against transformers' same maths."""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.models.bloom.modeling_bloom import build_alibi_tensor

import weightscope
from tests.components.test_logits import TOKENS
from tests.families.remote_code import REMOTE, Remote, State, write
from tests.families.test_against_transformers import declared
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.declaration import declare
from weightscope.ranges import template_of

BY_NAME = {remote.name: remote for remote in REMOTE}
every_remote = pytest.mark.parametrize("remote", REMOTE, ids=lambda remote: remote.name)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The directory of a remote model as published, its oracle's logits and its oracle's count."""

    @cache
    def build(name: str) -> tuple[Path, torch.Tensor, int]:
        remote = BY_NAME[name]
        directory, plain = tmp_path_factory.mktemp(name), tmp_path_factory.mktemp("oracle")
        oracle = remote.oracle.build()
        oracle.config._experts_implementation = "eager"
        with torch.no_grad():
            if remote.prepare:
                remote.prepare(oracle)
            logits = oracle(torch.tensor([TOKENS]), **(distances(oracle) if remote.alibi else {})).logits[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            oracle.save_pretrained(plain)
        noise = torch.Generator().manual_seed(2)
        beside = {n: torch.rand(shape, generator=noise) for n, shape in remote.beside.items()}
        write(remote, directory, remote.rewrite(load_file(plain / "model.safetensors")) | beside)
        return directory, logits, oracle.num_parameters()

    return build


def distances(oracle: Any) -> dict[str, torch.Tensor]:
    """ALiBi for a rotary oracle: its positions all 0, so that nothing turns, and BLOOM's biases in its mask."""
    length = len(TOKENS)
    biases = build_alibi_tensor(torch.ones(1, length), oracle.config.num_attention_heads, torch.float32)
    hidden = torch.full((length, length), float("-inf")).triu(1)
    return {"attention_mask": biases[None] + hidden, "position_ids": torch.zeros(1, length, dtype=torch.long)}


def stored_in(directory: Path) -> State:
    return dict(load_file(directory / "model.safetensors"))


@every_remote
def test_names_and_shapes(remote: Remote, built: Any) -> None:
    directory, _, _ = built(remote.name)
    stored = {name: tuple(tensor.shape) for name, tensor in stored_in(directory).items()}
    for names in (stored, None) if remote.usual else (stored,):
        slots = declared(directory, names).slots
        assert {n: tuple(s.stored.shape) for s in slots if not s.stored.optional for n in s.names()} == stored


@every_remote
def test_count(remote: Remote, built: Any) -> None:
    directory, _, count = built(remote.name)
    tensors = stored_in(directory)
    beside = sum(tensors[name].numel() for name in remote.beside)
    # What the oracle needs for its maths and the file has not, all zero.
    apart = sum(
        p.numel() for n, p in remote.oracle.build().named_parameters() if n.startswith(f"model.{remote.elsewhere}.")
    )
    absent = count - apart + beside - sum(tensor.numel() for tensor in tensors.values())
    words = ("e_score_correction_bias", ".ffn.gate.bias", "tid2eid")
    # Baidu's corrections are parameters.
    buffers = sum(t.numel() for n, t in tensors.items() if any(word in n for word in words) and "moe_statics" not in n)
    assert (absent + buffers == 0) or remote.prepare
    for path in (directory, directory / "config.json"):
        parameters = weightscope.open(path).parameters
        assert parameters.total is not None
        assert parameters.auxiliary is not None
        assert parameters.total + parameters.auxiliary + buffers == sum(tensor.numel() for tensor in tensors.values())
        assert parameters.auxiliary == beside


@every_remote
def test_all_recognized_and_nothing_wrong(remote: Remote, built: Any) -> None:
    model = weightscope.open(built(remote.name)[0])
    assert model.summary().tensors.unrecognized == ()
    assert [finding for finding in model.check() if finding.severity != "info"] == []


@every_remote
def test_logits(remote: Remote, built: Any) -> None:
    directory, expected, _ = built(remote.name)
    logits = weightscope.open(directory).forward(TOKENS).logits
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert float(expected.std()) > 1e-3


@pytest.mark.parametrize("name", ["baichuan2-7b", "telechat-52b"])
def test_logits_of_held_weights_are_the_same(name: str, built: Any) -> None:
    """What the head does to its rows and its logits, it does to weights in memory too."""
    directory, expected, _ = built(name)
    model = weightscope.open(directory)
    for _ in range(2):
        logits = model.forward(TOKENS, hold=True).logits
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize(
    "name",
    ["qwen-biases", "chatglm2", "internlm2-biases-dynamic", "telechat-7b", "telechat-52b-biases", "nemotron-nas"],
)
def test_every_tensor_matters(name: str, built: Any, tmp_path: Path) -> None:
    """Each kind of tensor changed in turn, in all layers: the logits must change."""
    directory, before, _ = built(name)
    (tmp_path / "config.json").write_bytes((directory / "config.json").read_bytes())
    tensors = stored_in(directory)
    kinds: dict[str, list[str]] = {}
    for tensor in tensors:
        kinds.setdefault(template_of(tensor)[0], []).append(tensor)
    for kind, names in kinds.items():
        noise = torch.Generator().manual_seed(1)
        changed = {n: t + torch.rand(t.shape, generator=noise) if n in names else t for n, t in tensors.items()}
        save_file(changed, tmp_path / "model.safetensors")
        assert not torch.allclose(weightscope.open(tmp_path).forward(TOKENS).logits, before, atol=1e-4), kind


# Settings that change the maths or the tensors and are not declared: none of these has an oracle.
UNDECLARED: list[tuple[str, dict[str, Any], str]] = [
    ("qwen", {"visual": {"width": 1664}}, "Qwen with visual"),
    ("qwen", {"kv_channels": 5}, "kv_channels"),
    ("chatglm2", {"position_encoding_2d": True}, "position_encoding_2d"),
    ("chatglm2", {"vision_config": {"hidden_size": 8}}, "vision_config"),
    ("chatglm2", {"pre_seq_len": 128}, "pre_seq_len"),
    ("chatglm2", {"quantization_bit": 4}, "quantization_bit"),
    ("chatglm2", {"post_layer_norm": False}, "final norm"),
    ("chatglm2", {"architectures": ["ChatGLMForSequenceClassification"]}, "classifier"),
    ("internlm", {"rotary": {"base": 10000, "type": "xpos"}}, "'xpos'"),
    ("xverse", {"quantization_bit": 8}, "quantization_bit"),
    ("telechat-7b", {"embed_layernorm": True}, "embed_layernorm"),
    ("telechat-52b", {"rotary_use_xpos": True}, "rotary_use_xpos"),
    ("telechat-52b", {"relative_encoding": None}, "relative_encoding"),
    ("telechat-52b", {"activation_function": "gelu_new"}, "activation_function"),
    ("stablelm_epoch", {"rotary_scaling_factor": 2.0}, "rotary_scaling_factor"),
]


@pytest.mark.parametrize(
    ("name", "changes", "said"), UNDECLARED, ids=[f"{u[0]}-{next(iter(u[1]))}" for u in UNDECLARED]
)
def test_undeclared_settings_are_refused_by_name(name: str, changes: dict[str, Any], said: str) -> None:
    remote = BY_NAME[name]
    with pytest.raises(UndeclaredError, match=said):
        declare(Config({"model_type": remote.model_type} | remote.config | changes))


def test_baichuan_says_how_it_knows_positions() -> None:
    config = {k: v for k, v in BY_NAME["baichuan-7b"].config.items() if k != "max_position_embeddings"}
    with pytest.raises(UndeclaredError, match="model_max_length"):
        declare(Config({"model_type": "baichuan"} | config))


# Known tensors, unknown maths: `forward` refuses, by name.
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("qwen", {"seq_length": 8}, "use_dynamic_ntk or use_logn_attn"),
    ("telechat-12b", {"training_seqlen": 8}, "training_seqlen"),
]


@pytest.mark.parametrize(("name", "changes", "said"), REFUSED)
def test_maths_without_an_oracle_is_refused_by_name(
    name: str, changes: dict[str, Any], said: str, built: Any, tmp_path: Path
) -> None:
    directory = built(name)[0]
    (tmp_path / "model.safetensors").write_bytes((directory / "model.safetensors").read_bytes())
    keys = json.loads((directory / "config.json").read_text()) | changes
    (tmp_path / "config.json").write_text(json.dumps(keys))
    with pytest.raises(weightscope.WeightscopeError, match=said):
        weightscope.open(tmp_path).forward(TOKENS)
    assert weightscope.open(tmp_path).forward(TOKENS[:8]).finite


# The tensors are the same: all but the pass goes on.
NOT_COMPUTED = [
    ("chatglm2", {"apply_residual_connection_post_layernorm": True}),
    ("chatglm2", {"interleaved_qkv": True}),
    ("telechat-7b", {"apply_residual_connection_post_layernorm": True}),
    ("telechat-52b", {"scale_attn_weights": False}),
]


@pytest.mark.parametrize(("name", "changes"), NOT_COMPUTED)
def test_what_is_not_computed_stops_only_the_pass(
    name: str, changes: dict[str, Any], built: Any, tmp_path: Path
) -> None:
    directory = built(name)[0]
    (tmp_path / "model.safetensors").write_bytes((directory / "model.safetensors").read_bytes())
    keys = json.loads((directory / "config.json").read_text()) | changes
    (tmp_path / "config.json").write_text(json.dumps(keys))
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    with pytest.raises(weightscope.WeightscopeError, match=next(iter(changes))):
        model.forward(TOKENS)


def test_a_baichuan_of_another_vocabulary_is_counted_and_not_run(tmp_path: Path) -> None:
    config = BY_NAME["baichuan-7b"].config | {"vocab_size": 101}
    _zeros(tmp_path, {"model_type": "baichuan"} | config)
    model = weightscope.open(tmp_path)
    assert model.summary().tensors.unrecognized == ()
    with pytest.raises(weightscope.WeightscopeError, match="neither has a vocabulary of 101"):
        model.forward(TOKENS)


def test_chatglm2_and_3_stretched_are_not_told_apart(tmp_path: Path) -> None:
    config = BY_NAME["chatglm2"].config | {"padded_vocab_size": 65024, "rope_ratio": 50}
    _zeros(tmp_path, {"model_type": "chatglm"} | config)
    with pytest.raises(weightscope.WeightscopeError, match="rope_ratio"):
        weightscope.open(tmp_path).forward(TOKENS)


def _zeros(directory: Path, config: dict[str, Any]) -> None:
    """A checkpoint of the declared names and shapes."""
    (directory / "config.json").write_text(json.dumps(config))
    slots = declared(directory).slots
    tensors = {n: torch.zeros(*map(int, s.stored.shape)) for s in slots if not s.stored.optional for n in s.names()}
    save_file(tensors, directory / "model.safetensors")
