"""Whole commands in this process, on real checkpoints with something wrong in them."""

from __future__ import annotations

import gc
import io
import json
import os
import shutil
import signal
import sys
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from fuzz.case import Case
from fuzz.json_files import (
    FIXTURES,
    adapter_file,
    config_file,
    configs,
    golden_file,
    index_file,
    preprocessor_file,
    settings_file,
    tokenizer_file,
)
from fuzz.other_files import npy_file, toml_file
from fuzz.pickle_files import torch_file
from fuzz.quantized import quantized
from fuzz.safetensors_files import safetensors_file
from fuzz.values import damaged, dumped, mutated, number, text
from fuzz.verdict import hold_output

BASES = ("mini", "mini-tied", "llama", "llama-1", "gpt2", "mixtral", "llava", "qwen3-mlx-4bit", "training")
RUNS = ("runs/fsdp", "runs/zero-2/global_step2", "runs/zero-3/global_step2")
ADAPTERS = tuple(f"adapters/{name}" for name in (
    "peft/lora", "peft/dora", "peft/experts", "peft/embedding", "peft/tokens", "peft/lokr", "peft/ia3", "peft/prompt",
    "peft/bin", "mlx/lora",
))  # fmt: skip
ADAPTED = ("llama", "tied", "gpt2", "qwen3_moe")
ADAPTER_CONFIG = "adapter_config.json"
FORMATS = ("table", "json", "markdown", "csv")
CHECK_FORMATS = (*FORMATS, "github", "sarif", "junit", "gitlab", "rdjson", "shields")
HERE, MODEL = "here", "model"
BESIDE = {
    "tokenizer.json": tokenizer_file,
    "preprocessor_config.json": preprocessor_file,
    "generation_config.json": settings_file,
    "adapter_config.json": adapter_file,
    "tokenizer_config.json": settings_file,
    "hf_quant_config.json": settings_file,
}
LONGEST = 1_000_000


class Commands:
    """inspect, params, tensors, explain, check and forward, in every format."""

    batch = 2_000

    def __init__(self, collected_every: int = 50) -> None:
        self._runs = 0
        self._collected_every = collected_every

    def prepare(self, scratch: Path) -> tuple[str, ...]:
        """Import the commands and what they import late; the settings of a user who has none."""
        home = scratch / "home"
        home.mkdir()
        tempfile.tempdir = str(home)
        for name in [name for name in os.environ if name.startswith(("HF_", "WEIGHTSCOPE"))]:
            del os.environ[name]
        os.environ |= {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "HOME": str(home), "WEIGHTSCOPE_TRACEBACK": "1"}
        import PIL.Image  # noqa: F401
        import tokenizers  # noqa: F401
        import torch

        torch.set_num_threads(1)
        # Commands leave Ctrl-C to whoever took it before them.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        warm = Case(kind="warm", arguments=("forward", str(FIXTURES / "mini"), "--tokens", "1,2", "--format", "json"))
        (scratch / HERE).mkdir()
        self.run(warm, scratch)
        return (str(home),)

    def make(self, random: Random) -> Case:
        """A checkpoint with something wrong, and a command."""
        files = checkpoint(random)
        arguments = command(random, files)
        files = {f"{MODEL}/{name}": content for name, content in files.items()}
        if arguments[0] == "check" and random.random() < 0.15:
            files[f"{HERE}/{random.choice(('pyproject.toml', 'weightscope.toml'))}"] = toml_file(random)
        for option, make in (("logits.npy", npy_file), ("golden.json", golden_file)):
            if option in arguments:
                files[f"{HERE}/{option}"] = make(random)
        return Case(kind=arguments[0], files=files, arguments=arguments)

    def place(self, case: Case, folder: Path) -> None:
        """Write the files; a name that the system does not take is left out."""
        for part in (HERE, MODEL):
            shutil.rmtree(folder / part, ignore_errors=True)
            (folder / part).mkdir()
        for name, content in case.files.items():
            try:
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            except (OSError, ValueError):
                continue

    def run(self, case: Case, folder: Path) -> None:
        """Run the command, and hold its output to its format."""
        from weightscope import cli

        os.chdir(folder / HERE)
        streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
        kept = sys.argv, sys.stdout, sys.stderr
        sys.argv, (sys.stdout, sys.stderr) = ["weightscope", *case.arguments], streams
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            sys.argv, sys.stdout, sys.stderr = kept
            self._collect()
        out, err = (_written(stream) for stream in streams)
        hold_output(format_of(case.arguments), code, out, err)

    def _collect(self) -> None:
        """A command leaves its memory to the end of the process, which does not come here."""
        self._runs += 1
        if self._runs % self._collected_every == 0:
            gc.unfreeze()
            gc.enable()
            gc.collect()


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    raw: bytes = stream.detach().getvalue()  # type: ignore[attr-defined]
    return raw.decode("utf-8", "surrogateescape")


def format_of(arguments: tuple[str, ...]) -> str:
    """The format that a command line asks for."""
    return arguments[arguments.index("--format") + 1] if "--format" in arguments else "table"


@cache
def _base(name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (FIXTURES / name).iterdir() if path.is_file()}


def checkpoint(random: Random) -> dict[str, bytes]:
    """The files of a fixture, or a published config, with something wrong."""
    if random.random() < 0.15:
        return {"config.json": config_file(random)}
    files = dict(_base(random.choice(random.choices((ADAPTERS, RUNS, BASES), (15, 15, 70))[0])))
    if random.random() < 0.2:
        quantized(random, files)
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        _change(random, files)
    return files


def _change(random: Random, files: dict[str, bytes]) -> None:
    """One thing wrong."""
    weights = [name for name in files if name.endswith((".safetensors", ".bin", ".pt"))]
    name = random.choice(list(files))
    kind = random.randrange(12)
    if kind < 3 and "config.json" in files:
        files["config.json"] = _config(random, files["config.json"])
    elif kind < 3 and ADAPTER_CONFIG in files:
        files[ADAPTER_CONFIG] = adapter_file(random)
    elif kind < 6 and name.endswith(".safetensors"):
        files[name] = _header(random, files[name])
    elif kind == 6 and weights:
        weight = random.choice(weights)
        files[weight] = safetensors_file(random) if random.random() < 0.5 else torch_file(random)
    elif kind == 7:
        files[random.choice([n for n in files if n.endswith(".index.json")] or ["model.safetensors.index.json"])] = (
            index_file(random)
        )
    elif kind == 8:
        beside = random.choice(list(BESIDE))
        files[beside] = BESIDE[beside](random)
    elif kind == 9:
        files[_name(random, name)] = files.pop(name)
    elif kind == 10:
        files[name] = damaged(random, files[name], 2)
    elif len(files) > 1:
        del files[name]


def _config(random: Random, raw: bytes) -> bytes:
    try:
        config = json.loads(raw)
    except ValueError:
        return config_file(random)
    if random.random() < 0.1:
        config = random.choice(configs())
    return dumped(random, mutated(random, config, random.choice((1, 1, 2, 3))))


def _header(random: Random, raw: bytes) -> bytes:
    """A safetensors file with names or entries of its header changed, its data as it was."""
    length = int.from_bytes(raw[:8], "little")
    try:
        header: Any = json.loads(raw[8 : 8 + length])
    except ValueError:
        return safetensors_file(random)
    if not isinstance(header, dict) or not header:
        return raw
    if random.random() < 0.6:
        for _ in range(random.choice((1, 1, 3))):
            name = random.choice(list(header))
            place = text(random)
            renamed = random.choice((place, name + place, f"{place}.{name}", name.replace("0", place, 1)))
            header[renamed] = header.pop(name)
    else:
        header = mutated(random, header)
    made = dumped(random, header)
    return len(made).to_bytes(8, "little") + made + raw[8 + length :]


def _name(random: Random, name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return random.choice((
        text(random).replace("/", "_") + dot + suffix, f"{stem}-00001-of-00002{dot}{suffix}",
        f"{stem}.fp16{dot}{suffix}", f"{stem}{dot}bin", f"model-00001-of-{number(random)}.safetensors",
        f"{stem}{dot}pth",
    ))  # fmt: skip


def command(random: Random, files: dict[str, bytes]) -> tuple[str, ...]:
    """A command line on the folder of the model, or on one of its files."""
    model = f"../{MODEL}"
    if random.random() < 0.15 and files:
        model += "/" + random.choice(list(files)).replace("\0", "")
    elif list(files) == ["config.json"]:
        model += "/config.json"
    name = random.choice(
        ("inspect", "inspect", *("check",) * 3, "params", "tensors", "explain", "forward", "stats", "memory")
    )
    options = {"check": _check, "params": _params, "tensors": _tensors, "explain": _explain, "forward": _forward}
    more = options[name](random) if name in options else ()
    if ADAPTER_CONFIG in files and random.random() < 0.7:
        base = str(FIXTURES / "adapters" / "bases" / random.choice(ADAPTED))
        model, more = (base, (*more, "--adapter", model)) if name == "forward" else (model, ("--base", base, *more))
    formats = CHECK_FORMATS if name == "check" else FORMATS
    return (name, model, *more, "--format", random.choice(formats))


def _check(random: Random) -> tuple[str, ...]:
    more: list[str] = ["--values"] if random.random() < 0.2 else []
    if random.random() < 0.2:
        more += ["--ignore", random.choice(("dtype-mismatch", "missing-tensor:*", "x", "shape-mismatch:model.{0–9}.*"))]
    return (*more, *(["--fail-on", "info"] if random.random() < 0.2 else []))


def _params(random: Random) -> tuple[str, ...]:
    by = random.choice(("component", "role", "layer", "dtype", "module"))
    return ("--by", by, *(["--depth", str(random.randrange(6))] if by == "module" else []))


def _tensors(random: Random) -> tuple[str, ...]:
    options = ("--role", "q_proj"), ("--layer", "0"), ("--dtype", "F32")
    return random.choice(((), ("*norm*",), *options, ("[",), ("*" * 40,)))


def _explain(random: Random) -> tuple[str, ...]:
    name = random.choice((
        "model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "transformer.h.0.attn.c_attn.weight",
        "lm_head.weight", text(random).replace("\0", "").encode("utf-8", "replace").decode(),
    ))  # fmt: skip
    return ("--", name) if name.startswith("-") else (name,)


def _forward(random: Random) -> tuple[str, ...]:
    inputs = ("--tokens", "1,2,3"), ("--tokens", "0"), ("--prompt", "ab e"), (), ("--stop-after", "0")
    more: tuple[str, ...] = random.choice(inputs)
    if random.random() < 0.15:
        more += ("--expect", random.choice(("logits.npy", "golden.json")))
    return more
