"""`weightscope forward` as people and scripts meet it: whole outputs, JSON as promised, every kind of prompt."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import weightscope
from tests.forward.conftest import ROOT

Run = Callable[..., tuple[int, str, str]]

LLAMA = """\
fixtures/llama   ok · llama · 4 tokens · float32 on cpu · SECONDS · peak memory MEMORY

Tokens      1 2 3 4
Next token  121 0.5 %   14 0.5 %   240 0.5 %
Loss        5.601 nats per token · perplexity 270.7 · 3 predictions
RMS         ▁▁▁   0.0219 after layer 0, 0.0218 after layer 2

No stage stands out; --stages shows all 9.
Checked finite values, magnitudes, dependence on the input.
"""
STAGES = """\
Tokens           1 2 3 4
Next token       121 0.5 %   14 0.5 %   240 0.5 %
Loss             5.601 nats per token · perplexity 270.7 · 3 predictions
RMS              ▁▁▁   0.0219 after layer 0, 0.0218 after layer 2
token embedding  token_embedding[token]   [token_embedding]
attention        x + o_proj·softmax(q·kᵀ/√4)·v,  n = rms_norm(x)   [input_norm,
                 q_proj, k_proj, v_proj, o_proj]
mlp              x + down_proj·(silu(gate_proj·n) ⊙ up_proj·n),  n = rms_norm(x)
                 [post_attention_norm, gate_proj, up_proj, down_proj]
final norm       x / rms(x) · final_norm   [final_norm]
logits           lm_head·x   [lm_head]

Stage              Shape            RMS  Largest  Finite
token embedding    [1, 4, 24]   0.02088  0.04492  yes
layer 0 attention  [1, 4, 24]   0.02193   0.0458  yes
layer 0 mlp        [1, 4, 24]   0.02193  0.04578  yes
layer 1 attention  [1, 4, 24]   0.02176  0.04235  yes
layer 1 mlp        [1, 4, 24]    0.0219  0.04199  yes
layer 2 attention  [1, 4, 24]   0.02176  0.04836  yes
layer 2 mlp        [1, 4, 24]   0.02176  0.04822  yes
final norm         [1, 4, 24]    0.9989    2.152  yes
logits             [1, 4, 256]  0.09915   0.3909  yes

Checked finite values, magnitudes, dependence on the input.
"""


def steady(text: str) -> str:
    """Without what differs from run to run, the first lines unfolded."""
    head, _, rest = text.partition("\n\n")
    head = re.sub(r"\d+\.\d\d s · peak memory [\d.]+ [MG]B", "SECONDS · peak memory MEMORY", head.replace("\n", " "))
    return f"{head}\n\n{rest}"


def test_table(run: Run) -> None:
    status, out, error = run("forward", "fixtures/llama", "--tokens", "1,2,3,4", "--top-k", "3")
    assert (status, error) == (0, "")
    assert steady(out) == LLAMA


def test_all_stages(run: Run) -> None:
    _, out, _ = run("forward", "fixtures/llama", "--tokens", "1,2,3,4", "--top-k", "3", "--stages")
    assert out.partition("\n\n")[2] == STAGES


def test_quiet(run: Run) -> None:
    assert run("forward", "fixtures/llama", "--tokens", "1,2", "-q") == (0, "ok\n", "")


@pytest.mark.parametrize("columns", ["80", "200"])
def test_widths(columns: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    _, out, _ = run("forward", "fixtures/deepseek-v3")
    assert max(map(len, out.splitlines())) <= int(columns)


def test_json_is_what_was_promised(run: Run) -> None:
    status, out, _ = run("forward", "fixtures/llama", "--tokens", "1,2,3,4", "--format", "json", "--top-k", "2")
    outcome = json.loads(out)
    promised = [
        "schema_version", "ok", "device", "compute_dtype", "tokens", "finite", "stages", "top", "max_abs_diff",
        "peak_bytes", "seconds",
    ]  # fmt: skip
    assert list(outcome)[: len(promised)] == promised
    assert (status, outcome["schema_version"], outcome["ok"], outcome["device"]) == (0, 1, True, "cpu")
    assert (outcome["compute_dtype"], outcome["tokens"], outcome["finite"]) == ("float32", 4, True)
    assert outcome["max_abs_diff"] is None
    assert outcome["peak_bytes"] > 10_000_000
    assert outcome["seconds"] > 0
    second = outcome["stages"][1]
    assert {key: second[key] for key in ("stage", "weights", "roles", "shape", "finite")} == {
        "stage": "layer 0 attention",
        "weights": [
            f"model.layers.0.{name}.weight"
            for name in ("input_layernorm", *(f"self_attn.{part}_proj" for part in "qkvo"))
        ],
        "roles": ["input_norm", "q_proj", "k_proj", "v_proj", "o_proj"],
        "shape": [1, 4, 24],
        "finite": True,
    }
    assert [len(row) for row in outcome["top"]] == [2, 2, 2, 2]
    assert set(outcome["top"][0][0]) == {"token_id", "logit", "probability", "text"}


def test_stages_are_measured_as_they_are(saved: Callable[[str], Path]) -> None:
    """Against transformers' hidden states: rms, largest magnitude and shape of what each layer puts out."""
    from transformers import AutoModelForCausalLM

    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(saved("llama"))(
            torch.tensor([[5, 6, 7]]), output_hidden_states=True
        )
    stages = {s.stage: s for s in weightscope.open(saved("llama")).forward([5, 6, 7]).stages}
    names = ["token embedding", "layer 0 mlp", "layer 1 mlp", "final norm"]
    for name, hidden in zip(names, theirs.hidden_states, strict=True):
        assert stages[name].rms == pytest.approx(float(hidden.square().mean().sqrt()), rel=1e-4)
        assert stages[name].absmax == pytest.approx(float(hidden.abs().max()), rel=1e-4)
        assert stages[name].shape == tuple(hidden.shape)
    assert stages["logits"].absmax == pytest.approx(float(theirs.logits.abs().max()), rel=1e-4)


def test_csv_has_a_row_a_stage(run: Run) -> None:
    _, out, _ = run("forward", "fixtures/mixtral", "--tokens", "1,2", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["stage"] for row in rows][:3] == ["token embedding", "layer 0 attention", "layer 0 moe"]
    assert list(rows[0]) == ["stage", "roles", "weights", "equation", "shape", "rms", "largest", "finite"]
    assert "experts.{" in rows[2]["weights"]
    assert float(rows[2]["rms"]) > 0


def test_markdown_to_a_file(run: Run, tmp_path: Path) -> None:
    assert run("forward", "fixtures/gpt2", "--stages", "--format", "markdown", "-o", tmp_path / "f.md") == (0, "", "")
    text = (tmp_path / "f.md").read_text()
    assert text.startswith("## fixtures/gpt2\n\n**ok** · gpt2 · 8 tokens")
    assert "| layer 1 mlp | [1, 8, 24] |" in text


def test_prompts(with_tokenizer: Path, run: Run, tmp_path: Path) -> None:
    """As text, from a file, from standard input, and the one used by itself; ids by the tokenizer's own library."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(with_tokenizer / "tokenizer.json"))
    expected = tokenizer.encode("Hello, you.").ids
    (tmp_path / "prompt.txt").write_text("Hello, you.")
    for option in (("--prompt", "Hello, you."), ("--prompt-file", str(tmp_path / "prompt.txt"))):
        outcome = json.loads(run("forward", with_tokenizer, *option, "--format", "json")[1])
        assert (outcome["token_ids"], outcome["prompt"], outcome["origin"]) == (expected, "Hello, you.", "text")
        texts = {candidate["token_id"]: candidate["text"] for candidate in outcome["top"][-1]}
        # A byte that is no character by itself is shown as the tokenizer spells it.
        decoded = {i: tokenizer.decode([i]) for i in texts}
        assert texts == {i: tokenizer.id_to_token(i) if "\ufffd" in d else d for i, d in decoded.items()}
    piped = subprocess.run(
        [sys.executable, "-m", "weightscope", "forward", str(with_tokenizer), "--prompt-file", "-", "--format", "json"],
        input="Hello, you.", capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert json.loads(piped.stdout)["token_ids"] == expected
    default = json.loads(run("forward", with_tokenizer, "--format", "json")[1])
    assert (default["prompt"], default["origin"]) == ("The capital of France is", "default text")
    assert default["tokens"] == 24


def test_without_a_tokenizer_fixed_ids_serve(run: Run) -> None:
    outcome = json.loads(run("forward", "fixtures/llama", "--format", "json")[1])
    assert (outcome["origin"], outcome["token_ids"]) == ("default tokens", [28, 56, 85, 113, 142, 170, 199, 227])
    assert (outcome["loss"], outcome["perplexity"]) == (None, None)
    assert outcome["notes"] == ["There is no tokenizer.json, so fixed token ids were used."]


def test_stop_after(run: Run) -> None:
    status, out, _ = run("forward", "fixtures/llama", "--stop-after", "1", "--format", "json")
    outcome = json.loads(out)
    assert (status, outcome["ok"], outcome["top"]) == (0, True, [])
    assert [stage["stage"] for stage in outcome["stages"]][-2:] == ["layer 1 attention", "layer 1 mlp"]
    _, out, _ = run("forward", "fixtures/llama", "--format", "json")
    assert json.loads(out)["stages"][:5] == outcome["stages"]


@pytest.mark.parametrize(("name", "last"), [("llama-base", "final norm"), ("llama-classifier", "class scores")])
def test_models_without_a_head_over_a_vocabulary(name: str, last: str, saved: Callable[[str], Path], run: Run) -> None:
    """What comes out is transformers' own, and that it is no logits is said."""
    from transformers import AutoModel, AutoModelForSequenceClassification

    loader = AutoModel if name == "llama-base" else AutoModelForSequenceClassification
    outcome = json.loads(run("forward", saved(name), "--tokens", "5,6,7", "--format", "json")[1])
    assert outcome["notes"] == [f"No logits: the pass ended with {last}, because it has no head over a vocabulary."]
    output = weightscope.open(saved(name)).forward([5, 6, 7]).output
    assert output is not None
    with torch.no_grad():
        out = loader.from_pretrained(saved(name))(torch.tensor([[5, 6, 7]]))
    expected = out.last_hidden_state[0] if name == "llama-base" else out.logits[0]
    actual = output if name == "llama-base" else output[-1]
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def test_stop_after_needs_no_more_than_that(changed: Callable[..., Path], run: Run) -> None:
    def beyond(state: dict[str, torch.Tensor]) -> None:
        for name in [
            name for name in state if ".layers.2." in name or "lm_head" in name or name == "model.norm.weight"
        ]:
            del state[name]

    directory = changed("llama", beyond)
    assert run("forward", directory, "--stop-after", "1")[0] == 0
    status, _, error = run("forward", directory)
    assert status == 2
    assert "needs model.layers.2.input_layernorm.weight [24] (input_norm), which is in none of the files" in error


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_compute_types(dtype: str, saved: Callable[[str], Path], run: Run) -> None:
    from transformers import AutoModelForCausalLM

    oracle = AutoModelForCausalLM.from_pretrained(saved("qwen3"), dtype=getattr(torch, dtype))
    with torch.no_grad():
        expected = oracle(torch.tensor([[5, 6, 7]])).logits[0].float()
    result = weightscope.open(saved("qwen3")).forward([5, 6, 7], compute_dtype=dtype)
    tolerance = 0.05 if dtype == "bfloat16" else 1e-5
    torch.testing.assert_close(result.logits, expected, rtol=0, atol=tolerance * float(expected.abs().max()))
    assert result.compute_dtype == dtype
    assert result.logits.dtype is torch.float32


def test_weights_held_for_further_passes(saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from weightscope.analyses.forward import stream

    model = weightscope.open(saved("llama"))
    first = model.forward([5, 6, 7], hold=True)
    monkeypatch.setattr(stream, "load_torch", None)
    second = model.forward([5, 6, 7], hold=True)
    assert torch.equal(first.logits, second.logits)
    with pytest.raises(TypeError):
        weightscope.open(saved("llama")).forward([5, 6, 7])


def test_compare_with_transformers(saved: Callable[[str], Path], run: Run) -> None:
    status, out, _ = run("forward", saved("gpt2"), "--compare", "transformers", "--format", "json")
    outcome = json.loads(out)
    assert (status, outcome["checked"][-1]) == (0, "transformers")
    assert [item["stage"] for item in outcome["compared"]] == ["embedding", *(f"layer {n}" for n in range(3)), "logits"]
    assert 0 < outcome["max_abs_diff"] < 1e-4
    table = run("forward", saved("gpt2"), "--compare", "transformers", "--stages")[1]
    assert re.search(r"Finite  Difference\n.*token embedding", table)
    assert re.search(r"logits .* yes +\S+e-0\d", table)


@pytest.mark.parametrize(
    "name",
    [
        "bloom", "gemma2", "gpt_neox", "deepseek_v3", "qwen3_moe", "gpt_oss", "gemma3n_text", "mamba", "jamba",
        "qwen3_next", "rwkv", "opt",
    ],
)  # fmt: skip
def test_compare_agrees_whatever_the_layers_are(name: str, saved: Callable[[str], Path], run: Run) -> None:
    """Types that draw the line between layers elsewhere (RWKV), or hand on more than one stream (Gemma 3n)."""
    options = ("--tokens", "7,3,99,0,42,17,5,88", "--compare", "transformers", "--format", "json")
    status, out, error = run("forward", saved(name), *options)
    outcome = json.loads(out)
    assert (status, error, outcome["findings"]) == (0, "", [])
    compared = {item["stage"]: item["relative"] for item in outcome["compared"]}
    assert compared["logits"] < 1e-4
    assert len(compared) > 3 or name == "gemma3n_text"


def test_compare_finds_what_transformers_computes_otherwise(
    saved: Callable[[str], Path], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers with another epsilon in its second layer."""
    from transformers.models.llama.modeling_llama import LlamaForCausalLM

    load = LlamaForCausalLM.from_pretrained.__func__

    def spoiled(cls: Any, *arguments: Any, **options: Any) -> Any:
        model = load(cls, *arguments, **options)
        model.model.layers[1].input_layernorm.variance_epsilon = 0.5
        return model

    monkeypatch.setattr(LlamaForCausalLM, "from_pretrained", classmethod(spoiled))
    status, out, _ = run("forward", saved("llama"), "--compare", "transformers", "--format", "json")
    (finding,) = json.loads(out)["findings"]
    assert (status, finding["code"]) == (1, "output-mismatch")
    assert finding["message"].startswith("layer 1 is the first stage that differs from transformers")
    table = run("forward", saved("llama"), "--compare", "transformers")[1]
    assert re.search(r"Difference +Why\n.* largest difference\n", table)


def test_nothing_but_the_result_goes_to_standard_output(saved: Callable[[str], Path]) -> None:
    command = [sys.executable, "-m", "weightscope", "forward", str(saved("llama")), "--format", "json"]
    ran = subprocess.run([*command, "--compare", "transformers"], capture_output=True, text=True, cwd=ROOT, check=True)
    assert json.loads(ran.stdout)["ok"] is True
    assert ran.stderr == ""
