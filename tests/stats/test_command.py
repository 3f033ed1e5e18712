"""`weightscope stats` as a person or a script meets it."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

ROOT = Path(__file__).parents[2]
FOREGROUND = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
PATH = "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
MAIN = "from weightscope.cli import main\nmain()\n"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "weightscope", "stats", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


def said(*arguments: str) -> str:
    return " ".join(run(*arguments).stdout.split())


def write(folder: Path, **tensors: np.ndarray[Any, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_the_exit_code_follows_fail_on(tmp_path: Path) -> None:
    write(tmp_path / "zeros", w=np.zeros((4, 4), np.float32))
    write(tmp_path / "nan", w=np.full((4, 4), np.nan, np.float32))
    assert [run(str(tmp_path / name), "-q").returncode for name in ("zeros", "nan")] == [0, 1]
    failed = run(str(tmp_path / "zeros"), "-q", "--fail-on", "warning")
    assert (failed.stdout, failed.returncode) == ("failed\n", 1)


def test_csv_has_a_row_a_tensor() -> None:
    rows = list(csv.DictReader(io.StringIO(run("fixtures/llama", "-f", "csv").stdout)))
    assert len(rows) == 30
    norm = next(row for row in rows if row["name"] == "model.norm.weight")
    assert {key: norm[key] for key in ("roles", "dtype", "shape", "elements", "mean", "std", "zeros", "nan")} == {
        "roles": "final_norm", "dtype": "BF16", "shape": "[24]", "elements": "24", "mean": "1.0", "std": "0.0",
        "zeros": "0", "nan": "0",
    }  # fmt: skip


def test_a_baseline(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = {name: rng.standard_normal((16, 8)) for name in ("a", "b", "c")}
    before, after = write(tmp_path / "before", **weights), tmp_path / "after"
    kept = tmp_path / "kept.json"
    assert run(str(before), "--json", "-o", str(kept)).returncode == 0
    assert f"all 3 tensors as in {kept}" in said(str(before), "--baseline", str(kept))
    write(after, a=weights["a"], b=2 * weights["b"], d=weights["c"])
    shown = json.loads(run(str(after), "--baseline", str(kept), "--json").stdout)["baseline"]
    assert (shown["same"], shown["added"], shown["removed"]) == (1, ["d"], ["c"])
    (drift,) = shown["drifted"]
    assert (drift["name"], drift["std_ratio"], drift["zeros"]) == ("b", pytest.approx(2), 0)
    assert f"1 as in {kept}, 1 changed, 1 new, 1 missing" in said(str(after), "--baseline", str(kept))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not the JSON of stats"),
        ("[" * 100_000, "not the JSON of stats"),
        ("{}", "not the JSON of stats"),
        (None, "cannot be read"),
        ('{"schema_version": 2, "complete": true, "stored": false, "sample": null, "tensors": []}', "schema_version 2"),
        ('{"schema_version": 1, "complete": true, "stored": true, "sample": null, "tensors": []}', "another --stored"),
        (
            '{"schema_version": 1, "complete": true, "stored": false, "sample": null, "tensors": []}',
            "no tensor in common",
        ),
    ],
)
def test_a_baseline_that_is_none(content: str | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    if content is not None:
        file.write_text(content)
    done = run("fixtures/llama", "--baseline", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"weightscope: {file}: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_shows_what_is_known(tmp_path: Path) -> None:
    """Each tensor takes a while: a file that is read by a patched reader, which says when it begins."""
    write(tmp_path / "m", **{f"t{number:03}": np.ones((64, 64), np.float32) for number in range(200)})
    slow = (
        "import time, weightscope.analyses.stats.gathering as g\n"
        "old = g.chunks\n"
        "def chunks(*a):\n    time.sleep(0.1)\n    open('begun', 'w').close()\n    yield from old(*a)\n"
        "g.chunks = chunks\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", FOREGROUND + PATH + slow + MAIN, str(ROOT), "stats", "m", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    end = time.monotonic() + 60
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "weightscope: interrupted\n")
    shown = json.loads(out)
    assert (shown["complete"], shown["ok"]) == (False, False)
    assert 0 < len(shown["tensors"]) < 200


def test_stats_imports_no_torch_where_nothing_is_quantized() -> None:
    code = (
        "import sys\nsys.argv = ['weightscope', 'stats', 'fixtures/llama', '-q']\nfrom weightscope.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "ok\nFalse\n"
