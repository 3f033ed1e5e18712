"""The local Hugging Face cache as the real client fills it: what is in it, and what is not all there."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.remote.conftest import FIXTURES, Run, environment
from tests.remote.hub import Hub, Repo
from tests.remote.test_hub import downloaded, inspected

LLAMA_BYTES = sum(path.stat().st_size for path in (FIXTURES / "llama").iterdir())


def listed(ws: Run) -> dict[str, dict[str, Any]]:
    done = ws("cache", "--format", "json", HF_HUB_OFFLINE="1")
    assert (done.stderr, done.returncode) == ("", 0)
    shown = json.loads(done.stdout)
    assert list(shown) == ["schema_version", "cache", "bytes", "models"]
    return {model["reference"]: model for model in shown["models"]}


def download(hub: Hub, home: Path, repo: str, **options: Any) -> None:
    code = f"import huggingface_hub as h; h.snapshot_download({repo!r}, **{options!r})"
    subprocess.run([sys.executable, "-c", code], env=environment(hub, home), check=True, capture_output=True)


def test_a_complete_model(ws: Run, hub: Hub, home: Path) -> None:
    downloaded(hub, home)
    held = listed(ws)["org/llama"]
    assert Path(held.pop("path")).is_dir()
    assert held == {
        "reference": "org/llama",
        "bytes": LLAMA_BYTES,
        "model_type": "llama",
        "family": "llama",
        "parameters": 28296,
        "complete": True,
        "state": "complete",
        "detail": "",
    }


def test_each_revision_is_listed(ws: Run, hub: Hub, home: Path) -> None:
    old = hub.repos["org/llama"].refs["main"]
    download(hub, home, "org/llama")
    hub.repos["org/llama"].commit({path.name: path for path in (FIXTURES / "mini").iterdir()}, "dev")
    download(hub, home, "org/llama", revision="dev")
    hub.add("org/llama", FIXTURES / "gpt2")
    download(hub, home, "org/llama")
    models = listed(ws)
    assert {reference: model["model_type"] for reference, model in models.items()} == {
        "org/llama": "gpt2",
        "org/llama@dev": "mini",
        f"org/llama@{old}": "llama",
    }
    for reference, model in models.items():
        assert inspected(ws, reference, HF_HUB_OFFLINE="1")["model"]["model_type"] == model["model_type"]


def test_what_is_not_all_there(ws: Run, hub: Hub, home: Path) -> None:
    downloaded(hub, home, "*.json", "*-00002-*")
    held = listed(ws)["org/llama"]
    assert (held["state"], held["detail"], held["complete"]) == ("partial", "1 of 4 weight files", False)
    assert held["parameters"] == 28296
    (blob,) = {p for p in (home / "hub" / "models--org--llama" / "blobs").iterdir() if p.stat().st_size > 10_000}
    (blob.parent / f"{blob.name}.1234.incomplete").touch()
    assert listed(ws)["org/llama"]["detail"] == "1 of 4 weight files; a download was interrupted"
    blob.unlink()
    assert listed(ws)["org/llama"]["state"] == "no-weights"


def test_what_was_only_looked_at(ws: Run, hub: Hub, home: Path) -> None:
    inspected(ws, "org/llama")
    held = listed(ws)["org/llama"]
    assert (held["state"], held["detail"]) == ("no-weights", "config and index only")
    assert held["parameters"] == 28296


@pytest.mark.parametrize("size", [0, 20, 5000])
def test_a_file_that_was_cut(size: int, ws: Run, hub: Hub, home: Path) -> None:
    downloaded(hub, home)
    shard = next((home / "hub").rglob("model-00002-of-00004.safetensors")).resolve()
    shard.write_bytes(shard.read_bytes()[:size])
    held = listed(ws)["org/llama"]
    assert (held["state"], held["complete"]) == ("unreadable", False)
    assert "model-00002-of-00004.safetensors" in held["detail"]


def test_without_config_or_anything(ws: Run, hub: Hub, home: Path) -> None:
    download(hub, home, "org/llama", allow_patterns=["*.safetensors"])
    hub.repos["org/tokens"] = Repo()
    hub.repos["org/tokens"].commit({"tokenizer.json": b"{}"})
    download(hub, home, "org/tokens")
    models = listed(ws)
    assert (models["org/llama"]["state"], models["org/llama"]["detail"]) == ("partial", "no config.json")
    assert models["org/tokens"]["state"] == "no-weights"


def test_the_table(ws: Run, hub: Hub, home: Path) -> None:
    hub.add("org/mini", FIXTURES / "mini")
    hub.add("org/gpt2", FIXTURES / "gpt2")
    downloaded(hub, home, "*.json", "*-00002-*")
    download(hub, home, "org/mini")
    download(hub, home, "org/gpt2")
    done = ws("cache")
    assert done.stderr == ""
    heading, _, table = done.stdout.partition("\n\n")
    # A long path goes on in the next line.
    assert " ".join(heading.split()).startswith("Hugging Face cache /")
    assert heading.replace("\n", "").endswith(str(home / "hub"))
    assert table.splitlines() == [
        "Model      Family               Parameters     Size  State",
        "org/gpt2   gpt2                     21,408  98.1 kB  complete",
        "org/llama  llama                    28,296  20.0 kB  partial: 1 of 4 weight files",
        "org/mini   mini (not declared)      11,776  48.0 kB  complete",
        "",
        "3 models, 2 complete, 166 kB",
    ]
    rows = list(csv.DictReader(io.StringIO(ws("cache", "-f", "csv").stdout)))
    assert [(row["reference"], row["state"], row["parameters"]) for row in rows] == [
        ("org/gpt2", "complete", "21408"),
        ("org/llama", "partial", "28296"),
        ("org/mini", "complete", "11776"),
    ]
    assert "| `org/gpt2` | gpt2 | 21,408 |" in ws("cache", "-f", "markdown").stdout


def test_no_cache_at_all(ws: Run, home: Path) -> None:
    assert listed(ws) == {}
    assert ws("cache").stdout.endswith("The cache holds no models.\n")
    done = ws("check", "--cache")
    assert (done.stdout, done.returncode) == ("", 2)
    assert "no MODEL to check in the local Hugging Face cache" in done.stderr


def test_check_cache_verifies_all(ws: Run, hub: Hub, home: Path) -> None:
    hub.add("org/gpt2", FIXTURES / "gpt2")
    downloaded(hub, home)
    download(hub, home, "org/gpt2")
    hub.repos["org/tokens"] = Repo()
    hub.repos["org/tokens"].commit({"tokenizer.json": b"{}"})
    download(hub, home, "org/tokens")
    hub.requests.clear()
    done = ws("check", "--cache", "--format", "json")
    assert done.returncode == 0
    assert [model["reference"] for model in json.loads(done.stdout)["models"]] == ["org/gpt2", "org/llama"]
    assert done.stderr == "weightscope: org/tokens: no weights in the local cache, not checked\n"
    next((home / "hub").rglob("model-00002-of-00004.safetensors")).unlink()
    done = ws("check", "--cache", "--format", "json")
    assert done.returncode == 1
    (model,) = (model for model in json.loads(done.stdout)["models"] if not model["ok"])
    assert (model["reference"], model["findings"][0]["code"]) == ("org/llama", "missing-shard")
    assert hub.requests == []
    for kind in ("table", "github", "sarif", "junit", "markdown", "csv"):
        assert ws("check", "--cache", "--format", kind).returncode == 1


def test_other_things_in_the_cache_folder_are_passed_over(ws: Run, hub: Hub, home: Path) -> None:
    downloaded(hub, home)
    (home / "hub" / "datasets--a--b" / "snapshots" / "x").mkdir(parents=True)
    (home / "hub" / "models--broken").touch()
    (home / "hub" / "models--a--empty" / "snapshots").mkdir(parents=True)
    (home / "hub" / "models--org--llama" / "refs" / "torn").write_bytes(b"\xff\xfe")
    assert list(listed(ws)) == ["org/llama"]
