"""Encoder-decoders against transformers: logits of what the decoder is given, hidden states, classes; every tensor."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

import weightscope
from tests.altered import altered
from tests.families.tiny import Tiny
from tests.families.tiny_seq2seq import TINY_SEQ2SEQ
from tests.families.tiny_xlnet import TINY_XLNET
from tests.forward.seeing import one_of_each_kind
from tests.forward.test_encoders import lively, off
from weightscope.errors import NotImplementedByWeightscope, UsageError

# Distances beyond the last bucket, and the end of a text.
READ = [*range(3, 25), 2]
WRITTEN = [0, 7, 88, *range(30, 50), 2]
every_pair = pytest.mark.parametrize("tiny", TINY_SEQ2SEQ, ids=lambda tiny: tiny.name)
PAIRED = ("ForConditionalGeneration", "MTModel")


def given(tiny: Tiny) -> dict[str, Any]:
    """What the decoder is given: of classifiers the text itself, moved by one; nothing of a decoder alone."""
    return {"decoder_input_ids": torch.tensor(WRITTEN)} if tiny.model in (*PAIRED, "Model") else {}


def reloaded(tiny: Tiny, directory: Path) -> Any:
    """The lively model as transformers reads it from its files: tables that it does not save are computed."""
    lively(tiny, directory)
    return getattr(transformers, f"{tiny.kind}{tiny.model}").from_pretrained(directory).eval()


def theirs(tiny: Tiny, oracle: Any, read: list[int], inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        out = oracle(input_ids=torch.tensor([read]), **{name: value[None] for name, value in inputs.items()})
    if tiny.model == "ForQuestionAnswering":
        return torch.stack((out.start_logits[0], out.end_logits[0]), dim=-1)
    found: torch.Tensor = out.logits if hasattr(out, "logits") else out.last_hidden_state
    return found.reshape(-1, found.shape[-1])


@every_pair
def test_outputs(tiny: Tiny, tmp_path: Path) -> None:
    oracle, inputs = reloaded(tiny, tmp_path), given(tiny)
    result = weightscope.open(tmp_path).forward(READ, **inputs)
    assert result.output is not None
    assert off(result.output, theirs(tiny, oracle, READ, inputs)) < 1e-4
    assert result.has_logits == (tiny.model in (*PAIRED, "ForCausalLM"))


@pytest.mark.parametrize("tiny", [t for t in TINY_SEQ2SEQ if t.model != "Model"], ids=lambda tiny: tiny.name)
def test_every_kind_of_tensor_matters(tiny: Tiny, tmp_path: Path) -> None:
    """But for biases of keys, which move all scores of a query alike; a model with a head has those of one without."""
    lively(tiny, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")

    model, kinds = weightscope.open(tmp_path), one_of_each_kind(tensors)
    before = model.forward(READ, **given(tiny)).output
    assert before is not None

    def output(changed: str) -> torch.Tensor:
        tensor, noise = tensors[changed], torch.Generator().manual_seed(1)
        with altered(tmp_path, {changed: tensor + torch.randn(tensor.shape, generator=noise)}):
            found = model.forward(READ, **given(tiny)).output
        assert found is not None
        return found

    unmoved = {name for name in kinds if off(output(name), before) < 1e-3}
    assert {name for name in unmoved if not name.endswith("k_proj.bias")} == not_used(tiny, {*tensors}) & kinds


@pytest.mark.parametrize("name", ["t5-classifier", "bart-classifier", "mbart-classifier"])
def test_the_last_end_of_a_text_is_classified(name: str, tmp_path: Path) -> None:
    """Which need not be its last token; without one there is nothing to classify."""
    tiny = next(tiny for tiny in TINY_SEQ2SEQ if tiny.name == name)
    oracle, read = reloaded(tiny, tmp_path), [5, 6, 2, 7, 8, 2, 9, 10]
    found = weightscope.open(tmp_path).forward(read).output
    assert found is not None
    assert off(found, theirs(tiny, oracle, read, {})) < 1e-4
    with pytest.raises(UsageError, match="token 2 is missing, whose vector is classified"):
        weightscope.open(tmp_path).forward([5, 6, 7])
    with pytest.raises(UsageError, match="3 decoder_input_ids for 8 tokens"):
        weightscope.open(tmp_path).forward(read, decoder_input_ids=torch.tensor([0, 5, 6]))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"eos_token_id": [2, 3]}))
    with pytest.raises(NotImplementedByWeightscope, match="several eos_token_id"):
        weightscope.open(tmp_path).forward(read)


def not_used(tiny: Tiny, names: set[str]) -> set[str]:
    """Stored all the same: what would look at an encoder in a decoder alone, and the table of no stack."""
    if tiny.model == "ForCausalLM":
        return {name for name in names if "encoder_attn" in name and not name.endswith("k_proj.bias")}
    return {"model.shared.weight"} if tiny.name in ("bart-untied", "m2m_100-untied") else set()


@pytest.mark.parametrize("stored", [True, False])
def test_sines_and_cosines_may_be_left_out(stored: bool, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Marian's files have them or not; the count is that of transformers either way."""
    tiny = next(tiny for tiny in TINY_SEQ2SEQ if tiny.name == "marian-base")
    transformers.MarianModel(transformers.MarianConfig(**tiny.keys)).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    expected = theirs(tiny, transformers.MarianModel.from_pretrained(tmp_path).eval(), READ, given(tiny))
    kept = {name: tensor for name, tensor in tensors.items() if stored or "embed_positions" not in name}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert model.parameters.total == weightscope.open(saved("marian-base")).parameters.total
    assert model.parameters.bits_per_parameter == 32.0
    assert len(model.tensors) == len(kept)
    found = model.forward(READ, **given(tiny)).output
    assert found is not None
    assert off(found, expected) < 1e-5


def test_padding_has_no_position(tmp_path: Path) -> None:
    """M2M-100 counts the tokens beside it; old files store its sines and cosines, which nothing reads."""
    tiny = next(tiny for tiny in TINY_SEQ2SEQ if tiny.name == "m2m_100")
    oracle = lively(tiny, tmp_path)
    inputs: dict[str, Any] = {"decoder_input_ids": torch.tensor([2, 1, 1, 7, 88, 1, 9])}
    tensors = load_file(tmp_path / "model.safetensors")
    old = {f"model.{side}.embed_positions.weights": torch.zeros(39, 24) for side in ("encoder", "decoder")}
    save_file(tensors | old, tmp_path / "model.safetensors", metadata={"format": "pt"})
    read = [1, 1, *READ, 1]
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert model.parameters.total == oracle.num_parameters()
    assert off(model.forward(read, **inputs).logits, theirs(tiny, oracle, read, inputs)) < 1e-4


def test_positions_of_any_number(tmp_path: Path) -> None:
    """M2M-100 has no last position; Marian has."""
    tiny = next(tiny for tiny in TINY_SEQ2SEQ if tiny.name == "m2m_100")
    oracle, read = lively(tiny, tmp_path), [*range(3, 73)]
    found = weightscope.open(tmp_path).forward(read, **given(tiny)).logits
    assert off(found, theirs(tiny, oracle, read, given(tiny))) < 1e-4


@pytest.mark.parametrize("untied", [True, False])
def test_one_table_and_a_head(untied: bool, tmp_path: Path) -> None:
    """What earlier versions save of an untied model; and a head that a tied one stores, of other values."""
    tiny = next(tiny for tiny in TINY_SEQ2SEQ if tiny.name == "bart-untied")
    oracle = lively(tiny, tmp_path)
    with torch.no_grad():
        for side in (oracle.model.encoder, oracle.model.decoder):
            side.embed_tokens.weight.copy_(oracle.model.shared.weight)
    kept = {name: tensor for name, tensor in oracle.state_dict().items() if "embed_tokens" not in name}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": not untied}))
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity == "error"] == []
    if untied:
        assert model.parameters.total == sum(t.numel() for n, t in kept.items() if n != "final_logits_bias")
    assert off(model.forward(READ, **given(tiny)).logits, theirs(tiny, oracle, READ, given(tiny))) < 1e-4


@pytest.mark.parametrize("name", ["marian", "marian-two-tables"])
def test_old_files_repeat_the_table(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Those of transformers 4: `shared` or a table each, the head again, and sines and cosines."""
    tiny = next(tiny for tiny in TINY_SEQ2SEQ if tiny.name == name)
    with torch.no_grad():
        state = {key: value.clone() for key, value in reloaded(tiny, tmp_path).state_dict().items()}
    expected = weightscope.open(tmp_path).forward(READ, **given(tiny)).logits
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert {"lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_positions.weight"} <= {*state}
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert model.parameters.total == weightscope.open(saved(name)).parameters.total
    assert torch.allclose(model.forward(READ, **given(tiny)).logits, expected, atol=1e-5)


def test_the_decoder_begins_by_itself(tmp_path: Path) -> None:
    """With the token that config.json names; what it may say next is scored."""
    tiny = next(tiny for tiny in TINY_SEQ2SEQ if tiny.name == "t5")
    oracle = lively(tiny, tmp_path)
    result = weightscope.open(tmp_path).forward(READ)
    expected = theirs(tiny, oracle, READ, {"decoder_input_ids": torch.tensor([0])})
    assert off(result.logits, expected) < 1e-4
    assert result.scored == (0,)
    assert len(weightscope.open(tmp_path).forward(READ, decoder_input_ids=[0, 7, 9]).losses()) == 2


@pytest.mark.parametrize("name", ["t5", "t5-gated-shallow-decoder"])
def test_a_head_of_its_own_is_used_where_the_config_unties_it(
    name: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    """Real files of version 1.1 have one, and `tie_word_embeddings: false`."""
    tensors = load_file(saved(name) / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved(name) / "config.json").read_bytes())
    head = torch.randn(101, 24, generator=torch.Generator().manual_seed(4))
    copies = {f"{part}.embed_tokens.weight": tensors["shared.weight"].clone() for part in ("encoder", "decoder")}
    save_file(tensors | copies | {"lm_head.weight": head}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = weightscope.open(tmp_path)
    whole = weightscope.open(saved(name)).parameters.total
    assert whole is not None
    untied = name != "t5"
    assert [f.code for f in model.check() if f.severity == "error"] == []
    assert model.parameters.total == whole + (head.numel() if untied else 0)
    if untied:
        kept: dict[str, torch.Tensor] = {}
        logits = model.forward(READ, decoder_input_ids=[0, 7], keep=lambda stage, x: kept.update({stage: x})).logits
        torch.testing.assert_close(logits, kept["decoder final norm"] @ head.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [({"decoder_input_ids": [101]}, "outside the vocabulary"), ({"decoder_input_ids": []}, "no tokens")],
)
def test_what_does_not_fit_is_said(inputs: dict[str, Any], said: str, saved: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match=said):
        weightscope.open(saved("t5")).forward(READ, **inputs)


def test_at_the_command_line(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """The next token of what the decoder is said to have written, transformers beside it; files of other models."""
    tiny = next(tiny for tiny in TINY_SEQ2SEQ if tiny.name == "t5")
    oracle = lively(tiny, tmp_path)
    tokenizer = Tokenizer(WordLevel({f"w{number}": number for number in range(101)}, unk_token="w1"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    options = ("--prompt", "w3 w4 w5", "--decoder-prompt", "w7 w9", "--compare", "transformers", "--format", "json")
    status, out, error = run("forward", tmp_path, *options)
    assert (status, error) == (0, "")
    shown = json.loads(out)
    expected = theirs(tiny, oracle, [3, 4, 5], {"decoder_input_ids": torch.tensor([0, 7, 9])})
    assert [row[0]["token_id"] for row in shown["top"]] == expected.argmax(-1).tolist()
    assert {"layer 0", "layer 2", "logits"} <= {item["stage"] for item in shown["compared"]}
    status, out, _ = run("forward", tmp_path, "--tokens", "3,4,5")
    assert status == 0
    assert "Next token" in out
    status, _, error = run("forward", "fixtures/llama", "--tokens", "1", "--decoder-prompt", "x")
    assert (status, "has no decoder beside an encoder" in error) == (2, True)


def test_a_golden_file_has_what_the_decoder_was_given(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """So that it need not be said again; other tokens are refused."""
    lively(next(tiny for tiny in TINY_SEQ2SEQ if tiny.name == "t5"), tmp_path)
    tokenizer = Tokenizer(WordLevel({f"w{number}": number for number in range(101)}, unk_token="w1"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    golden = tmp_path / "golden.json"
    record = ("--prompt", "w3 w4 w5", "--decoder-prompt", "w7 w9", "--record", golden)
    assert run("forward", tmp_path, *record)[0] == 0
    kept = json.loads(golden.read_text())
    assert (kept["tokens"], kept["decoder_tokens"]) == ([3, 4, 5], [0, 7, 9])
    assert run("forward", tmp_path, "--expect", golden)[0] == 0
    assert run("forward", tmp_path, "--expect", golden, "--decoder-prompt", "w7 w9")[0] == 0
    status, _, error = run("forward", tmp_path, "--expect", golden, "--decoder-prompt", "w8")
    assert (status, "recorded with other tokens of the decoder" in error) == (2, True)
    # Those of earlier versions lack it: the decoder begins by itself, as it did.
    bare = tmp_path / "bare.json"
    assert run("forward", tmp_path, "--prompt", "w3 w4 w5", "--record", bare)[0] == 0
    kept = json.loads(bare.read_text())
    assert kept.pop("decoder_tokens") == [0]
    bare.write_text(json.dumps(kept))
    assert run("forward", tmp_path, "--expect", bare)[0] == 0


COMPARED = (
    "t5-base", "t5-encoder", "t5-classifier", "t5-tagger", "bart", "bart-base", "bart-classifier", "bart-answers",
    "mbart", "marian", "marian-two-tables", "marian-base", "pegasus", "m2m_100", "m2m_100-base", "blenderbot",
    "blenderbot-small", "marian-decoder", "mbart-decoder",
)  # fmt: skip


@pytest.mark.parametrize(
    "tiny", [*(t for t in TINY_SEQ2SEQ if t.name in COMPARED), *TINY_XLNET[:3]], ids=lambda tiny: tiny.name
)
def test_transformers_beside_them(tiny: Tiny, run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    lively(tiny, tmp_path)
    options = ("--tokens", "3,4,5,2", "--compare", "transformers", "--format", "json")
    status, out, error = run("forward", tmp_path, *options)
    assert (status, error) == (0, "")
    stages = {item["stage"] for item in json.loads(out)["compared"]}
    assert stages >= {"embedding", "layer 0", "layer 1"}
    if "Classification" in tiny.model:
        assert "class scores" in stages
    assert ("logits" in stages) == (tiny.model in (*PAIRED, "ForCausalLM", "LMHeadModel"))


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_beside_a_config_of_no_class(name: str, run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    lively(next(tiny for tiny in TINY_SEQ2SEQ if tiny.name == name), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["architectures"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    options = ("--tokens", "3,4,5,2", "--compare", "transformers", "--format", "json")
    status, out, error = run("forward", tmp_path, *options)
    assert (status, error) == (0, "")
    assert {"layer 0", "logits"} <= {item["stage"] for item in json.loads(out)["compared"]}
