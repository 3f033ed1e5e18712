"""Figures of `weightscope forward`: against transformers on a real model, and memory on models larger than it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import HERE, WEIGHTSCOPE, Figure, environment, interleaved, run
from benchmarks.smollm2 import installed

TOKENS = "504,3575,282,4649,314"
MANY = ",".join(str(7919 * place % 49_000) for place in range(512))
# Llama-3.2-1B's sizes.
ONE_B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 128_256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}
# Llama-2-7B's sizes.
SEVEN_B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "torch_dtype": "bfloat16",
}
SMALL = SEVEN_B | {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 8, "num_attention_heads": 16}
# Holes are zeros, which the verdict calls what they are: exit code 1.
GHOSTLY = (0, 1)


def measure_forward(scratch: Path, deepseek: Path, rounds: int) -> list[Figure]:
    """All figures; those on SmolLM2 only where its weights are installed."""
    figures = []
    if installed():
        model = scratch / "SmolLM2-135M"
        command = [sys.executable, str(HERE / "smollm2.py"), str(model)]
        subprocess.run(command, env=environment(), check=True, capture_output=True)
        for tokens, limit in ((TOKENS, 0.5), (MANY, 0.45)):
            figures += against_transformers(model, tokens, limit, rounds)
        figures += at_equal_weights(model, rounds)
    return figures + streamed(scratch, rounds) + depth(scratch) + large(scratch, deepseek)


def against_transformers(model: Path, tokens: str, limit: float, rounds: int) -> list[Figure]:
    """Whole processes on the same tokens."""
    group = f"SmolLM2-135M in bfloat16, {tokens.count(',') + 1} tokens"
    runs = interleaved(
        {
            "forward": (*WEIGHTSCOPE, "forward", str(model), "--tokens", tokens),
            "transformers": (sys.executable, str(HERE / "peer_loading.py"), str(model), tokens),
        },
        rounds,
    )
    seconds = {name: statistics.median(r.seconds for r in of) for name, of in runs.items()}
    peaks = {name: statistics.median(r.peak_bytes for r in of) / 1e6 for name, of in runs.items()}
    return [
        *(Figure(group=group, name=name, value=value, unit="s") for name, value in seconds.items()),
        _ratio(group, "forward / transformers", seconds["forward"], seconds["transformers"], limit),
        *(Figure(group=group, name=f"{name}: peak memory", value=value, unit="MB") for name, value in peaks.items()),
        _ratio(group, "peak memory, forward / transformers", peaks["forward"], peaks["transformers"], 0.5),
    ]


def at_equal_weights(model: Path, rounds: int) -> list[Figure]:
    """The pass alone, float32 weights in memory on both sides."""
    figures = []
    for count in (5, 512):
        # Differences are some hundredths: more rounds than of whole processes.
        command = [sys.executable, str(HERE / "held.py"), str(model), str(count), str(3 * rounds)]
        out = subprocess.run(command, env=environment(), check=True, capture_output=True, text=True).stdout
        medians = json.loads(out.splitlines()[-1])
        group = f"the pass alone, weights in memory, {count} tokens"
        figures += [
            *(Figure(group=group, name=name, value=value, unit="s") for name, value in medians.items()),
            _ratio(group, "ours / transformers'", medians["ours"], medians["transformers'"], 1.0),
        ]
    return figures


def streamed(scratch: Path, rounds: int) -> list[Figure]:
    """The pass over 2.5 GB of bfloat16, read from the page cache, beside its products and conversions."""
    model = _ghost(scratch / "llama-1b", ONE_B)
    command = [sys.executable, str(HERE / "streamed.py"), str(model), "5", str(rounds)]
    out = subprocess.run(command, env=environment(), check=True, capture_output=True, text=True).stdout
    medians = json.loads(out.splitlines()[-1])
    group = "a Llama of 1.2 B in bfloat16, 5 tokens, the pass alone"
    return [
        *(Figure(group=group, name=name, value=value, unit="s") for name, value in medians.items()),
        _ratio(group, "forward / products and conversion", medians["forward"], medians["products and conversion"], 1.3),
    ]


def depth(scratch: Path) -> list[Figure]:
    """Peak memory of the same Llama with four times the layers."""
    peaks = {}
    for layers in (8, 32):
        model = _ghost(scratch / f"llama-{layers}", SMALL | {"num_hidden_layers": layers})
        command = (*WEIGHTSCOPE, "forward", str(model), "--tokens", "1,2,3,4")
        peaks[layers] = statistics.median(run(command, accepted=GHOSTLY).peak_bytes for _ in range(3)) / 1e6
    group = "a Llama of width 1,024"
    return [
        *(Figure(group=group, name=f"{n} layers: peak memory", value=p, unit="MB") for n, p in peaks.items()),
        _ratio(group, "32 layers / 8 layers", peaks[32], peaks[8], 1.05),
    ]


def large(scratch: Path, deepseek: Path) -> list[Figure]:
    """Peak memory on models that would not fit."""
    seven = _ghost(scratch / "llama-7b", SEVEN_B)
    figures = []
    for group, model, limit in (
        ("a Llama of 7 B in bfloat16, 13.5 GB", seven, 3000),
        ("DeepSeek-V3 in FP8, 689 GB", deepseek, 8000),
    ):
        cost = run((*WEIGHTSCOPE, "forward", str(model), "--tokens", "1,2,3,4"), accepted=GHOSTLY)
        figures += [
            Figure(group=group, name="forward, 4 tokens", value=cost.seconds, unit="s"),
            Figure(group=group, name="peak memory", value=cost.peak_bytes / 1e6, unit="MB", limit=limit),
        ]
    return figures


def _ghost(directory: Path, config: dict[str, object]) -> Path:
    source = directory.with_suffix(".json")
    source.write_text(json.dumps(config), encoding="utf-8")
    command = [sys.executable, str(HERE / "ghost.py"), str(source), str(directory)]
    subprocess.run(command, env=environment(), check=True, stdout=subprocess.DEVNULL)
    return directory


def _ratio(group: str, name: str, value: float, floor: float, limit: float) -> Figure:
    return Figure(group=group, name=name, value=value / floor, unit="×", limit=limit)
