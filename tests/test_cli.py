"""The command line as a person or a script meets it: whole outputs, in every mode."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from weightscope import __version__, cli

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "fixtures"

LLAMA_80 = """\
llama   LlamaForCausalLM · safetensors in 4 shards · 56.6 kB · BF16

Parameters  28,296  (28.3 K)   16.0 K without embeddings and head
Shape       3 layers · hidden 24 · 6 heads of 4 (2 kv) · mlp 52 · vocabulary 256
Embeddings  untied: lm_head is stored separately (6,144)
Stored      BF16 56.6 kB   16 bits per parameter
State       96 B per token, of each sequence

Component  Role                 Tensors  Parameters   Share
embedding  token_embedding            1       6,144  21.7 %  █▊
attention                            12       4,608  16.3 %  █▎
           q_proj                     3       1,728   6.1 %  ▌
           k_proj                     3         576   2.0 %  ▏
           v_proj                     3         576   2.0 %  ▏
           o_proj                     3       1,728   6.1 %  ▌
mlp                                   9      11,232  39.7 %  ███▏
           gate_proj                  3       3,744  13.2 %  █
           up_proj                    3       3,744  13.2 %  █
           down_proj                  3       3,744  13.2 %  █
norm                                  7         168   0.6 %  ▏
           input_norm                 3          72   0.3 %  ▏
           post_attention_norm        3          72   0.3 %  ▏
           final_norm                 1          24   0.1 %  ▏
head       lm_head                    1       6,144  21.7 %  █▊

30 of 30 tensors recognized. Names and shapes match config.json.
"""
GPT2_TENSORS = """\
gpt2   gpt2 · pytorch · 87.7 kB · F32/BOOL

Name
   Role                           Tensors  Shape           Dtype  Params    Bytes
wte.weight
   token_embedding                      1  [256, 24]       F32     6,144  24.6 kB
h.{0–1}.attn.c_attn.weight
   q_proj + k_proj + v_proj             2  [24, 72]        F32     3,456  13.8 kB
h.{0–1}.attn.c_attn.bias
   q_proj + k_proj + v_proj bias        2  [72]            F32       144    576 B
h.{0–1}.attn.bias
   causal_mask buffer                   2  [1, 1, 32, 32]  BOOL        0  2.05 kB
h.{0–1}.attn.masked_bias
   causal_mask buffer                   2  []              F32         0      8 B

9 of 33 tensors, 9,744 parameters, 41.0 kB.
"""
MINI_MARKDOWN = """\
## mini-tied

MiniForCausalLM · safetensors · 30.7 kB · F32

- **Parameters**: 7,680  (7.68 K)   3.07 K without embeddings and head
- **Embeddings**: tied: no lm_head is stored

| Component | Tensors | Parameters | Share | Bytes |
| --- | ---: | ---: | ---: | ---: |
| embedding ~ | 2 | 4,608 | 60.0 % | 18.4 kB |
| attention ~ | 4 | 1,024 | 13.3 % | 4.10 kB |
| mlp ~ | 2 | 2,048 | 26.7 % | 8.19 kB |
| total | 8 | 7,680 |  | 30.7 kB |

- **warning** `unknown-architecture`: model type 'mini' is not declared: roles are guessed from names, and \
parameters are counted as stored *the tensors were not checked against config.json*
"""


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A real process, piped."""
    keep = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "FORCE_COLOR", "NO_COLOR")}
    return subprocess.run(
        [sys.executable, "-m", "weightscope", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=keep | environment,
        check=False,
    )


def in_terminal(columns: int, *arguments: str, **more: str) -> str:
    """What a terminal of that width gets, colour codes and all."""
    master, slave = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    environment |= {"COLUMNS": str(columns), "TERM": "xterm-256color"} | more
    process = subprocess.Popen(
        [sys.executable, "-m", "weightscope", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=ROOT,
        env=environment,
    )
    os.close(slave)
    received = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        received += chunk
    process.wait()
    os.close(master)
    return received.decode().replace("\r\n", "\n")


class Said(str):
    """Standard output, with what went to standard error and the exit code."""

    __slots__ = ("code", "error")

    error: str
    code: int


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command line in this process."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.chdir(ROOT)

    def say(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["weightscope", *arguments])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        said = Said(captured.out)
        said.error, said.code = captured.err, code
        return said

    return say


def test_inspect_at_80_columns() -> None:
    assert run("inspect", "fixtures/llama", COLUMNS="80").stdout == LLAMA_80


def test_inspect_at_200_columns_has_longer_bars() -> None:
    shown = run("inspect", "fixtures/llama", COLUMNS="200").stdout
    assert "mlp                                   9      11,232  39.7 %  ████████████▊\n" in shown
    assert max(map(len, shown.splitlines())) <= 200


def test_a_pipe_gets_no_colour_no_trailing_blanks_and_whole_names() -> None:
    shown = run("tensors", "fixtures/deepseek-v3").stdout
    assert "\x1b" not in shown
    assert not [line for line in shown.splitlines() if line != line.rstrip()]
    assert "\nmodel.layers.{1–2}.mlp.experts.{0–3}.down_proj.weight_scale_inv   down_proj scale " in shown


def test_a_terminal_gets_colour_within_its_width() -> None:
    import re

    shown = in_terminal(80, "inspect", "fixtures/llama")
    assert "\x1b[1m" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert plain == LLAMA_80


def test_no_color_is_honoured() -> None:
    assert "\x1b[36m" in in_terminal(80, "inspect", "fixtures/llama")
    assert "36m" not in in_terminal(80, "inspect", "fixtures/llama", NO_COLOR="1")


def test_narrow_terminals_get_names_on_lines_of_their_own() -> None:
    roles = ["--role", "q_proj", "--role", "causal_mask", "--role", "token_embedding"]
    shown = run("tensors", "fixtures/gpt2", *roles, COLUMNS="72").stdout
    assert shown == GPT2_TENSORS


def test_ascii_streams_get_ascii() -> None:
    shown = run("inspect", "fixtures/llama", COLUMNS="80", PYTHONIOENCODING="ascii").stdout
    assert shown.isascii()
    assert "mlp                                   9      11,232  39.7 %  ###.\n" in shown


def test_markdown() -> None:
    assert run("params", "fixtures/mini-tied", "--format", "markdown").stdout == MINI_MARKDOWN


def test_inspect_json_has_the_promised_keys_in_order(say: Any) -> None:
    shown = json.loads(say("inspect", "fixtures/deepseek-v3", "--format", "json"))
    promised = ["schema_version", "model", "files", "tensors", "parameters", "bytes", "dtypes", "embeddings"]
    added = ["training", "adapter", "parts", "sentence_vectors"]
    assert list(shown) == [*promised, "quantization", "components", "findings", "buffers", *added]
    assert shown["schema_version"] == 1
    model = {k: shown["model"][k] for k in ("format", "model_type", "architecture", "family", "recognized")}
    assert model == {
        "format": "safetensors",
        "model_type": "deepseek_v3",
        "architecture": "DeepseekV3ForCausalLM",
        "family": "deepseek_v3",
        "recognized": True,
    }
    assert shown["files"] == [
        {
            "name": "model.safetensors",
            "bytes": (FIXTURES / "deepseek-v3/model.safetensors").stat().st_size,
            "tensors": 167,
        }
    ]
    assert shown["tensors"] == {"total": 167, "recognized": 167, "unrecognized": []}
    counts = shown["parameters"]
    assert {"total", "active", "non_embedding", "auxiliary", "buffers", "stored_elements", "bits_per_parameter"} == set(
        counts
    )
    assert all(isinstance(counts[key], int) for key in counts if key != "bits_per_parameter")
    assert shown["embeddings"] == {"tied": False, "declared": False, "evidence": "untied"}
    quantization = shown["quantization"]
    # 38,976 weights of 8 bits, and 721 blocks of 8 × 8 or less with a float32 scale each.
    assert quantization["schemes"] == [
        {
            "scheme": "FP8 in blocks of 8 × 8",
            "method": "fp8",
            "tensors": 68,
            "parameters": 38_976,
            "bytes": 38_976,
            "scale_bytes": 2_884,
            "bits_per_parameter": 8.592,
            "bits_without_scales": 8.0,
        }
    ]
    assert {item["role"] for item in quantization["plain"]} == {"token_embedding", "router", "lm_head", "mtp_proj"}
    assert {"component", "parameters", "share", "bytes", "roles"} <= set(shown["components"][0])
    assert {"role", "tensors", "parameters", "bytes"} <= set(shown["components"][0]["roles"][0])
    assert sum(c["parameters"] for c in shown["components"] if c["component"] != "mtp") == counts["total"]
    assert sum(c["share"] for c in shown["components"]) == pytest.approx(1, abs=1e-5)
    assert sum(d["elements"] for d in shown["dtypes"]) == counts["stored_elements"]


def test_csv_is_flat_and_raw(say: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(say("inspect", "fixtures/llama", "-f", "csv"))))
    assert rows[1] == {
        "component": "attention",
        "role": "q_proj",
        "tensors": "3",
        "parameters": "1728",
        "share": "0.061069",
        "bytes": "3456",
        "inferred": "false",
    }
    assert sum(int(row["parameters"]) for row in rows) == 28296


@pytest.mark.parametrize("by", ["component", "role", "layer", "dtype", "module"])
@pytest.mark.parametrize("fixture", ["llama", "gpt2", "deepseek-v3", "mixtral", "llava", "mini", "qwen3-mlx-4bit"])
def test_every_view_adds_up(by: str, fixture: str, say: Any) -> None:
    shown = json.loads(say("params", f"fixtures/{fixture}", "--by", by, "--format", "json"))
    whole = shown["parameters"]["total"] + shown["parameters"]["auxiliary"]
    assert sum(row["parameters"] for row in shown["rows"]) == whole
    files = json.loads(say("inspect", f"fixtures/{fixture}", "--format", "json"))
    assert sum(row["bytes"] for row in shown["rows"]) + shown["buffers"]["bytes"] == files["bytes"]
    assert sum(row["share"] for row in shown["rows"]) == pytest.approx(1, abs=1e-12)
    if by != "role":
        tensors = sum(row["tensors"] for row in shown["rows"]) + shown["buffers"]["tensors"]
        assert tensors == files["tensors"]["total"]
    total = say("params", f"fixtures/{fixture}", "--by", by, "--exact").split("\ntotal")[1].splitlines()[0]
    assert f" {files['tensors']['total']:,} " in total
    assert f" {whole:,} " in total
    assert f" {files['bytes']:,} B" in total


def test_tensors_json_lists_each(say: Any) -> None:
    shown = json.loads(say("tensors", "fixtures/gpt2", "*attn.c_attn.weight", "--format", "json"))
    assert shown["tensors"] == [
        {
            "name": f"h.{layer}.attn.c_attn.weight",
            "component": "attention",
            "roles": ["q_proj", "k_proj", "v_proj"],
            "kind": "weight",
            "dtype": "F32",
            "shape": [24, 72],
            "parameters": 1728,
            "bytes": 6912,
            "layer": layer,
            "file": "pytorch_model.bin",
            "inferred": False,
        }
        for layer in (0, 1)
    ]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["*.bias"], 15),
        (["--role", "lm_head"], 1),
        (["--layer", "1"], 14),
        (["--layer", "0-1"], 28),
        (["--dtype", "bool"], 2),
        (["--dtype", "BOOL", "--layer", "0"], 1),
        (["nothing*"], 0),
    ],
)
def test_tensors_filters(options: list[str], count: int, say: Any) -> None:
    """gpt2: 2 layers of 12 weights and biases, a mask and a masked_bias; two embeddings, two of ln_f, the head."""
    assert len(json.loads(say("tensors", "fixtures/gpt2", *options, "--format", "json"))["tensors"]) == count
    assert f"\n{count} of 33 tensors" in say("tensors", "fixtures/gpt2", *options)


def test_expand_shows_each_tensor(say: Any) -> None:
    assert len([line for line in say("tensors", "fixtures/llama", "--expand").splitlines() if ".weight" in line]) == 30


def test_config_alone_counts_what_has_no_weights(say: Any) -> None:
    shown = json.loads(say("params", "fixtures/llama/config.json", "--format", "json"))
    assert shown["model"]["format"] == "config"
    assert shown["parameters"]["total"] == 28296
    assert shown["parameters"]["bits_per_parameter"] is None
    assert "Bytes" not in say("params", "fixtures/llama/config.json")


def test_index_alone_is_taken_for_what_it_is(say: Any, tmp_path: Path) -> None:
    for name in ("model.safetensors.index.json", "config.json"):
        (tmp_path / name).write_bytes((FIXTURES / "llama" / name).read_bytes())
    said = say("inspect", str(tmp_path / "model.safetensors.index.json"))
    assert said.code == 0
    words = " ".join(said.split())
    assert "index alone, no weights · 56.6 kB" in words
    assert (
        "30 of 30 tensors recognized. Names match config.json; shapes were not checked, because an index has none."
        in words
    )


def test_values_decide_whether_a_stored_head_is_tied(say: Any) -> None:
    def embeddings(*options: str) -> dict[str, Any]:
        return dict(json.loads(say("inspect", "fixtures/mixtral", "-f", "json", *options))["embeddings"])

    assert embeddings() == {"tied": True, "declared": True, "evidence": "declared"}
    assert embeddings("--values") == {"tied": True, "declared": True, "evidence": "equal-values"}


def test_output_goes_to_a_file(say: Any, tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    said = say("inspect", "fixtures/llama", "--format", "json", "--output", str(target))
    assert (said, said.error, said.code) == ("", "", 0)
    assert json.loads(target.read_text())["parameters"]["total"] == 28296
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_no_file_of_the_model_is_overwritten(name: str, say: Any, tmp_path: Path) -> None:
    for file in ("config.json", "model.safetensors"):
        (tmp_path / file).write_bytes((FIXTURES / "mini" / file).read_bytes())
    before = (tmp_path / name).read_bytes()
    said = say("inspect", str(tmp_path), "--output", str(tmp_path / "." / name))
    assert said.code == 2
    assert said.error.count("\n") == 1
    assert name in said.error
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize("target", ["/no/such/folder/out.json", "."])
def test_unwritable_output_is_one_line(target: str, say: Any) -> None:
    said = say("inspect", "fixtures/llama", "--output", target)
    assert said.code == 2
    assert said.error.startswith(f"weightscope: {target}: cannot be written")
    assert said.error.count("\n") == 1


def test_version(say: Any) -> None:
    assert say("--version") == f"weightscope {__version__}\n"


def test_completion_is_offered_and_completes() -> None:
    assert "--install-completion" in run("--help").stdout
    shown = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['weightscope']; from weightscope.cli import main; main()"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"_WEIGHTSCOPE_COMPLETE": "complete_bash", "COMP_WORDS": "weightscope in", "COMP_CWORD": "1"},
        check=False,
    )
    assert "inspect" in shown.stdout.split()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["inspect"], "Missing argument"),
        (["inspect", "fixtures/llama", "--format", "yaml"], "yaml"),
        (["inspct", "fixtures/llama"], "No such command"),
        (["params", "fixtures/llama", "--by", "colour"], "colour"),
        (["inspect"], "Try 'weightscope inspect --help'."),
        (["tensors", "fixtures/llama", "--top", "0"], "Try 'weightscope tensors --help'."),
        (["inspct", "fixtures/llama"], "Try 'weightscope --help'."),
        (["params", "fixtures/llama", "--depth", "1"], "--depth requires --by module"),
        (["params", "fixtures/llama", "--json", "-f", "csv"], "--json and --format csv are mutually exclusive"),
        (["params", "fixtures/llama/config.json", "--by", "dtype"], "--by dtype needs weights"),
        (["tensors", "fixtures/llama", "--role", "q_prj"], "did you mean q_proj"),
        (["tensors", "fixtures/llama", "--layer", "first"], "neither a number nor a range"),
        (["tensors", "fixtures/llama", "--dtype", "float3"], "no dtype 'FLOAT3'"),
        (["inspect", "meta-llama/Llama-3.1-8B"], "HF_HUB_OFFLINE is set"),
        (["inspect", "no-such-folder"], "no such file or directory"),
    ],
)
def test_bad_usage_exits_with_2(arguments: list[str], said: str, say: Any) -> None:
    result = say(*arguments)
    assert result.code == 2
    assert result == ""
    assert said in result.error
    assert "Traceback" not in result.error


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m weightscope tensors fixtures/deepseek-v3 --expand --format csv | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.stdout.startswith("name,")
    assert done.stderr == ""


def test_names_from_a_file_cannot_forge_output(tmp_path: Path, say: Any) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    name = "evil\x1b[2Jname\nerror: all is well|`"
    save_file({name: np.zeros((2, 3), np.float32)}, tmp_path / "model.safetensors")
    for written in ("table", "markdown"):
        shown = say("tensors", str(tmp_path), "--format", written)
        assert "\x1b" not in shown
        assert "\nerror: all" not in shown
    assert json.loads(say("tensors", str(tmp_path), "-f", "json"))["tensors"][0]["name"] == name


@pytest.mark.parametrize("redirect", [">&-", "2>&-", ">/dev/full"])
def test_streams_that_take_nothing(redirect: str) -> None:
    model = "fixtures/llama" if redirect != "2>&-" else "/no/such/model"
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m weightscope inspect {model} {redirect}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == (0 if redirect == ">&-" else 2)


@pytest.mark.parametrize(
    "arguments", [["inspect"], ["inspect", "fixtures/llama", "--format", "yaml"], ["inspct"], ["inspect", ""]]
)
def test_bad_usage_is_one_line(arguments: list[str], say: Any) -> None:
    said = say(*arguments)
    assert (said.code, str(said)) == (2, "")
    assert said.error.startswith("weightscope: ")
    assert said.error.count("\n") == 1


def test_no_summary_of_a_command_is_cut_at_80_columns(say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    listed = say("--help").partition("Commands:")[2]
    assert "inspect" in listed
    assert "..." not in listed


def test_without_arguments_there_is_help(say: Any) -> None:
    said = say()
    assert said.code == 0
    assert "Commands:" in said


def test_file_names_that_are_no_text(tmp_path: Path, say: Any) -> None:
    name = os.fsdecode(b"m\xff.safetensors")
    (tmp_path / name).write_bytes((FIXTURES / "mini" / "model.safetensors").read_bytes())
    shown = json.loads(say("inspect", str(tmp_path), "--format", "json"))
    assert shown["files"][0]["name"] == "m\\xff.safetensors"
    assert "xff.safetensors" in say("tensors", str(tmp_path), "--format", "json")


def test_an_index_alone_without_a_config_claims_no_counts(say: Any, tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_bytes((FIXTURES / "llama" / index.name).read_bytes())
    assert "Parameters  unknown: an index gives names and total size, no shapes" in say("inspect", str(index))
    assert say("params", str(index)).code == 2


def test_narrow_terminals_lose_the_bars_first() -> None:
    shown = run("inspect", "fixtures/llama", COLUMNS="56").stdout
    assert "█" not in shown
    assert "attention                            12       4,608  16.3 %\n" in shown
