"""What Tab offers, through the variables that each shell's script sets; names of others run nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.ghost import write_ghost
from tests.helpers import safetensors_bytes

ROOT = Path(__file__).parents[2]
LLAMA = "fixtures/llama"
SHELLS = ("bash", "zsh", "fish")
HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    "a b",
    "*",
    "x;id",
    "'",
    '"',
    "\\$(id)",
    "\x1b[2J",
    "\u202e",
    "{a,b}",
    "-f",
]


def surroundings(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "COMP_", "_TYPER"))}
    return kept | {"PYTHONPATH": str(ROOT)} | more


def asking(shell: str, line: str) -> dict[str, str]:
    """The variables that a shell's script sets where the cursor stands at the end of a line."""
    words = line.split(" ")
    if shell == "bash":
        more = {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    else:
        more = {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    return surroundings(_WEIGHTSCOPE_COMPLETE=f"complete_{shell}", **more)


def raw(line: str, shell: str = "bash", cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "from weightscope.cli import run; run()"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=cwd, timeout=60,
        env=asking(shell, line) | environment,
    )  # fmt: skip


def offered(line: str, cwd: Path = ROOT, **environment: str) -> list[str]:
    done = raw(line, cwd=cwd, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


OFFERED = [
    ("weightscope ins", ["inspect"]),
    ("weightscope tensors fixtures/llama --role q", ["q_proj"]),
    ("weightscope tensors --role q_a", ["q_a_norm", "q_a_proj"]),
    ("weightscope tensors fixtures/llama --sort b", ["bytes"]),
    ("weightscope explain fixtures/llama model.", ["model.embed_tokens.weight", "model.layers.", "model.norm.weight"]),
    ("weightscope explain fixtures/llama model.n", ["model.norm.weight"]),
    ("weightscope explain fixtures/llama model.layers.1.mlp",
     [f"model.layers.1.mlp.{name}_proj.weight" for name in ("down", "gate", "up")]),
    ("weightscope explain fixtures/llama/config.json model.norm", ["model.norm.weight"]),
    ("weightscope explain fixtures/llama gate", ["gate_proj"]),
    ("weightscope tensors fixtures/llama lm", ["lm_head.weight"]),
    ("weightscope check --explain tie", ["tie-mismatch"]),
    ("weightscope check fixtures/llama --ignore tie", ["tie-mismatch"]),
    ("weightscope check fixtures/llama --fail-on ", ["error", "warning", "info"]),
    ("weightscope check fixtures/llama --format sar", ["sarif"]),
    ("weightscope params fixtures/llama --by l", ["layer"]),
    ("weightscope memory fixtures/llama --gpu h200", ["h200"]),
    ("weightscope memory fixtures/llama --quantize gp", ["gptq"]),
    ("weightscope memory fixtures/llama --kv-dtype bf", ["bfloat16"]),
    ("weightscope tensors fixtures/llama --dtype BF", ["BF16"]),
    ("weightscope memory fixtures/llama --optimizer mu", ["muon"]),
    ("weightscope memory fixtures/llama --precision b", ["bfloat16"]),
    ("weightscope inspect fixtures/llama/c", ["fixtures/llama/config.json"]),
    ("weightscope inspect fixtures/mini-", ["fixtures/mini-tied/config.json", "fixtures/mini-tied/model.safetensors"]),
    ("weightscope diff fixtures/llama fixtures/llava/c", ["fixtures/llava/config.json"]),
    ("weightscope inspect fixtures/adapters/peft/lora --base fixtures/llama-1/c", ["fixtures/llama-1/config.json"]),
    # Of a model that cannot be read nothing is known.
    ("weightscope explain no/such/model x", ["x_proj"]),
    ("weightscope explain fixtures/README.md x.", []),
    ("weightscope inspect no/such", []),
    ("weightscope inspect https://example.org/x", []),
]  # fmt: skip


@pytest.mark.parametrize(("line", "words"), OFFERED, ids=[line for line, _ in OFFERED])
def test_what_is_offered(line: str, words: list[str]) -> None:
    assert offered(line) == words


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_own_form(shell: str) -> None:
    done = raw("weightscope explain fixtures/llama model.layers.1.mlp.", shell)
    names = [f"model.layers.1.mlp.{name}_proj.weight" for name in ("down", "gate", "up")]
    quoted = "\n".join(f'"{name}"' for name in names)
    expected = f"_arguments '*: :(({quoted}))'" if shell == "zsh" else "\n".join(names)
    assert (done.stdout, done.stderr, done.returncode) == (f"{expected}\n", "", 0)


def test_models_of_the_cache_are_offered_beside_paths(tmp_path: Path) -> None:
    for name in ("models--org--one", "models--org--two--GGUF", "models--gpt2", "datasets--org--data"):
        (tmp_path / "cache" / name).mkdir(parents=True)
    (tmp_path / "organ").mkdir()
    settings = {"HF_HUB_CACHE": str(tmp_path / "cache")}
    assert offered("weightscope inspect org", tmp_path, **settings) == ["org/one", "org/two/GGUF", "organ/"]
    assert offered("weightscope inspect org/o", tmp_path, **settings) == ["org/one"]


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    names = [*HOSTILE, *(f"layer.{name}" for name in HOSTILE), "layer.0.weight", "plain:name"]
    header = {name: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for name in names}
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(safetensors_bytes(header))
    for name in ("$(touch pwned)", "a b", "`x`", "good"):
        (tmp_path / "files" / name).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("shell", SHELLS)
def test_hostile_names_are_not_offered(hostile: Path, shell: str) -> None:
    for line in ("weightscope explain model ", "weightscope tensors model ", "weightscope explain model layer."):
        shown = raw(line, shell, hostile).stdout
        assert "layer." in shown
        for name in HOSTILE[:-1]:
            assert name not in shown.replace("_arguments '*: :((\"", "").replace("\"))'", "").replace('"\n"', "\n")
    files = raw("weightscope inspect files/", shell, hostile).stdout
    assert "good" in files
    assert "touch" not in files


def test_a_colon_is_escaped_for_zsh(hostile: Path) -> None:
    assert raw("weightscope explain model plain", "zsh", hostile).stdout == (
        "_arguments '*: :((\"plain\\\\:name\"))'\n"
    )


def test_ninety_thousand_names_are_few_words(tmp_path: Path) -> None:
    write_ghost(ROOT / "benchmarks" / "deepseek_v3.json", tmp_path / "ghost", shards=163)
    began = time.monotonic()
    found = offered("weightscope explain ghost model.layers.3.mlp.experts.", tmp_path)
    assert len(found) == 256
    assert "model.layers.3.mlp.experts.255." in found
    # Half a second alone; a machine that does much else may take longer.
    assert time.monotonic() - began < 10
    assert offered("weightscope explain ghost model.layers.3.mlp.experts.255.g", tmp_path) == [
        f"model.layers.3.mlp.experts.255.gate_proj.{end}" for end in ("weight", "weight_scale_inv")
    ]


@pytest.mark.parametrize("variables", [{}, {"COMP_WORDS": "weightscope"}, {"COMP_WORDS": "x", "COMP_CWORD": "no"}])
@pytest.mark.parametrize("instruction", ["complete_bash", "complete_zsh", "complete_fish", "complete", "x"])
def test_a_shell_that_asks_wrongly_gets_no_traceback(instruction: str, variables: dict[str, str]) -> None:
    code = "from weightscope.cli import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env=surroundings(_WEIGHTSCOPE_COMPLETE=instruction, **variables),
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 1


def test_nothing_is_asked_of_the_network(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "def hear(event, arguments):\n    if event.startswith('socket.'):\n        print(event, file=sys.stderr)\n"
        "sys.addaudithook(hear)\nfrom weightscope.cli import run\nrun()"
    )
    for line in ("weightscope explain org/model x", "weightscope tensors hf://org/model --role q"):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path,
            env=asking("bash", line) | {"HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"},
        )  # fmt: skip
        assert done.stderr == ""


def test_only_the_command_that_is_typed_is_imported() -> None:
    code = (
        "import sys\nfrom atexit import register\n"
        "register(lambda: print(*(n for n in sys.modules if 'commands.' in n), file=sys.stderr))\n"
        "from weightscope.cli import run\nrun()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
        env=asking("bash", "weightscope tensors fixtures/llama --role q"),
    )  # fmt: skip
    assert "weightscope.commands.tensors" in done.stderr.split()
    assert "weightscope.commands.memory" not in done.stderr.split()


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_are_shown(shell: str) -> None:
    code = "from weightscope.cli import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=surroundings(_WEIGHTSCOPE_COMPLETE=f"source_{shell}"),
    )  # fmt: skip
    assert f"_WEIGHTSCOPE_COMPLETE=complete_{shell}" in done.stdout
