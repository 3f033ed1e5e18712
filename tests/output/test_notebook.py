"""What a notebook shows: each object's HTML, read by Python's parser, and a notebook run by Jupyter's own client."""

from __future__ import annotations

import importlib.util
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope as ws
from benchmarks.ghost import write_ghost
from tests.helpers import F32, safetensors_bytes
from tests.output.html import SVG, Reader, svg
from weightscope.errors import UsageError
from weightscope.output.web.style import style

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
LLAMA = FIXTURES / "llama"


@pytest.fixture(scope="module")
def model() -> ws.Model:
    return ws.open(LLAMA)


def read(value: Any) -> Reader:
    reader = Reader(value._repr_html_())
    assert reader.tags[:2] == ["div", "style"]
    assert not {"script", "iframe", "link", "img", "object"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name == "style" or name.startswith("on")]
    return reader


def words(value: Any) -> str:
    return " ".join(read(value).words).replace(style(), "")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (lambda m: m, ["llama", "28,296", "q_proj", "Names and shapes match config.json."]),
        (lambda m: m.check(), ["2 notes:", "config-missing", "the tokenizer is missing"]),
        (lambda m: m.check()[0], ["config-missing", "generation_config.json is missing"]),
        (lambda m: m.stats(), ["ok", "30 tensors", "down_proj", "RMS of all weights by layer"]),
        (lambda m: ws.diff(m, FIXTURES / "llama-1"), ["same weights", "pytorch"]),
        (lambda m: m.memory(), ["56.6 kB loaded", "keys and values"]),
        (lambda m: m.memory(gpu="24GiB"), ["ok", "24"]),
        (lambda m: m.trainable("lora:r=4,targets=q_proj,v_proj"), ["Training lora:r=4", "960"]),
        (lambda m: m.forward([1, 2, 3]), ["3 tokens", "all finite", "[3, 256]", "Next token", "RMS after each stage"]),
        (lambda m: m.forward([1, 2], measure=False), ["2 tokens", "[2, 256]"]),
        (lambda m: m.lock(), ["30 weights", "sha256 of every weight"]),
        (lambda m: m.lock(algorithm=None), ["30 weights", "headers only, no digests"]),
        (lambda m: m.explain("model.norm.weight"), ["final_norm", "hidden_size"]),
        (lambda m: m.tensors["model.norm.weight"], ["final_norm", "[24]", "BF16", "model-00003-of-00004.safetensors"]),
        (lambda _: ws.Findings(), ["no findings"]),
        (lambda m: m.tensors, ["30 tensors", "model.norm.weight", "final_norm", "[24]"]),
        (lambda m: m.tensors["model.norm.weight"].plot(), ["model.norm.weight", "final_norm, BF16."]),
    ],
)
def test_an_object_is_shown(given: Callable[[ws.Model], Any], shown: list[str], model: ws.Model) -> None:
    found = words(given(model))
    assert [word for word in shown if word not in found] == []


@pytest.mark.parametrize("name", ["deepseek-v3", "gpt2", "llava", "mini", "mixtral", "qwen3-mlx-4bit"])
def test_any_model_is_shown(name: str) -> None:
    read(ws.open(FIXTURES / name))


def test_what_cannot_be_told_leaves_the_plain_form(model: ws.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: ws.Model) -> None:
        raise UsageError("no")

    monkeypatch.setattr(ws.Model, "summary", fails)
    assert model._repr_html_() is None


def test_names_of_a_hostile_file_stay_text(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>\x1b\" onload='x'"
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes({name: F32}, bytes(4)))
    model = ws.open(tmp_path)
    for value in (model, model.check(), model.stats(), model.tensors[name], model.lock(), model.treemap()):
        read(value)
    assert name.replace("\x1b", r"\x1b") in words(model.tensors[name])


def test_many_findings_are_cut() -> None:
    finding = ws.Finding(code="all-zero", severity="warning", message="zeros")
    shown = words(ws.Findings([finding] * 5_000))
    assert "5,000 warnings:" in shown
    assert "and 4,900 more findings" in shown


def test_it_is_shown_at_once_however_many_tensors(tmp_path: Path) -> None:
    write_ghost(ROOT / "benchmarks" / "deepseek_v3.json", tmp_path, shards=163)
    first, second = ws.open(tmp_path), ws.open(tmp_path)
    start = time.process_time()
    first.summary()
    first.usual_state()
    inspected = time.process_time() - start
    start = time.process_time()
    shown = second._repr_html_()
    assert time.process_time() - start < inspected + 1
    assert shown is not None
    assert "671,026,404,352" in shown
    assert len(shown) < 30_000
    assert len(second.treemap().svg) < 30_000
    start = time.process_time()
    assert "and 91,891 more" in words(second.tensors)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("name", ["llama", "deepseek-v3", "llava"])
def test_a_treemap_has_every_role_as_its_parameters(name: str) -> None:
    model = ws.open(FIXTURES / name)
    root = svg(model.treemap().drawn)
    areas = {}
    for group in root.iter(f"{SVG}g"):
        tile = group.find(f"{SVG}rect")
        assert tile is not None
        areas[group.findtext(f"{SVG}title", "").rpartition(" ")[0]] = float(tile.get("width", 0)) * float(
            tile.get("height", 0)
        )
    counts = {
        f"{share.component}: {role.role}": role.parameters
        for share in model.components
        for role in share.roles
        if role.parameters
    }
    assert areas.keys() == counts.keys()
    total, room = sum(counts.values()), sum(areas.values())
    for role, count in counts.items():
        assert areas[role] / room == pytest.approx(count / total, rel=0.05, abs=1e-4)


def test_a_treemap_of_an_unknown_number(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "llama" / "model.safetensors.index.json", tmp_path)
    with pytest.raises(UsageError, match="the number of parameters is not known"):
        ws.open(tmp_path / "model.safetensors.index.json").treemap()


def test_the_stages_of_a_pass(model: ws.Model) -> None:
    result = model.forward([1, 2, 3])
    root = svg(result.plot().drawn)
    titles = [group.findtext(f"{SVG}title") for group in root.iter(f"{SVG}g")]
    assert titles == [f"{stage.stage}: RMS {stage.rms:.4g}" for stage in result.stages]
    with pytest.raises(UsageError, match="recorded no stages"):
        model.forward([1], measure=False).plot()


@pytest.mark.parametrize(
    ("fixture", "name", "shape"),
    [
        ("llama", "model.layers.0.mlp.up_proj.weight", (52, 24)),
        ("llama", "model.norm.weight", (1, 24)),
        ("deepseek-v3", "model.layers.0.mlp.up_proj.weight", (52, 24)),
        ("deepseek-v3", "model.layers.0.mlp.down_proj.weight_scale_inv", (3, 7)),
        ("llava", "model.vision_tower.vision_model.embeddings.patch_embedding.weight", None),
    ],
)
def test_values_as_a_heatmap(fixture: str, name: str, shape: tuple[int, int] | None) -> None:
    tensors = ws.open(FIXTURES / fixture).tensors
    tensor = tensors[next(known for known in tensors if known.endswith(name.removeprefix("model.")))]
    rows, columns = shape or (tensor.shape[0], int(np.prod(tensor.shape[1:])))
    root = svg(tensor.plot().drawn)
    assert root.findtext(f"{SVG}title") == tensor.name
    assert f"{rows:,} rows, {columns:,} columns" in (root.findtext(f"{SVG}desc") or "")


@pytest.mark.parametrize("shape", [[], [0], [0, 3], [3, 0], [2, 3, 4]])
def test_values_of_any_shape(shape: list[int], tmp_path: Path) -> None:
    size = int(np.prod(shape)) * 4
    header = {"x": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes(header, bytes(size)))
    svg(ws.open(tmp_path).tensors["x"].plot().drawn)


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> ws.Model:
    """Eight layers of random weights, of which the fourth layer's are ten times as large."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("scaled")
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "vocab_size": 128}
    transformers.LlamaForCausalLM(transformers.LlamaConfig(num_hidden_layers=8, **sizes)).save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        if "layers.3." in name and tensor.ndim == 2:
            tensors[name] = tensor * 10
    save_file(tensors, folder / "model.safetensors")
    return ws.open(folder)


def test_layers_that_stand_out_are_marked(scaled: ws.Model) -> None:
    stats = scaled.stats()
    root = svg(stats.plot("up_proj").drawn)
    titles = [group.findtext(f"{SVG}title", "") for group in root.iter(f"{SVG}g")]
    values = dict(re.findall(r"^mlp up_proj, layer (\d): (.*)$", "\n".join(titles), re.MULTILINE))
    for layer in range(8):
        weight = scaled.tensors[f"model.layers.{layer}.mlp.up_proj.weight"].numpy().astype(np.float64)
        assert float(values[str(layer)]) == pytest.approx(np.sqrt((weight**2).mean()), rel=1e-3)
    assert [text.text for text in root.iter(f"{SVG}text") if text.get("class") == "ws-marked"] == ["3"]
    whole = svg(stats.plot().drawn)
    assert [text.text for text in whole.iter(f"{SVG}text") if text.get("class") == "ws-marked"] == ["3"]


def test_roles_that_no_layer_has(model: ws.Model) -> None:
    stats = model.stats()
    with pytest.raises(UsageError, match=r"no layer has the role 'up_porj'; did you mean up_proj\?"):
        stats.plot("up_porj")
    with pytest.raises(UsageError, match="no layer has the role 'lm_head'"):
        stats.plot("lm_head")


def test_a_role_that_only_some_layers_have() -> None:
    root = svg(ws.open(FIXTURES / "deepseek-v3").stats().plot("router", "q_a_proj").drawn)
    titles = [group.findtext(f"{SVG}title", "") for group in root.iter(f"{SVG}g")]
    assert [title.partition(":")[0] for title in titles if "router" in title] == [
        "moe router, layer 1",
        "moe router, layer 2",
        "mtp router, layer 3",
    ]
    assert not [title for title in titles if "not finite" in title]


def test_a_figure_is_saved_whole(model: ws.Model, tmp_path: Path) -> None:
    figure = model.treemap()
    figure.save(tmp_path / "map.svg")
    text = (tmp_path / "map.svg").read_text()
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert root.findtext(f"{SVG}title") == "Parameters of llama"
    assert ".ws-attention" in root.findtext(f"{SVG}style", "")
    assert text == figure.svg
    assert repr(figure).startswith("Figure('Parameters of llama': ")
    with pytest.raises(UsageError, match="figures are saved as SVG"):
        figure.save(tmp_path / "map.png")


def test_a_notebook_runs_and_holds_the_html() -> None:
    for package in ("nbclient", "ipykernel"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    import nbclient
    import nbformat

    notebook = nbformat.read(  # type: ignore[no-untyped-call]
        ROOT / "docs" / "notebooks.ipynb", as_version=4
    )
    assert not [cell for cell in notebook.cells if cell.get("outputs")]
    client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT / "docs")}})
    client.execute()
    shown = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(shown) >= 10
    for cell in shown:
        (output,) = cell.outputs
        assert 'class="weightscope"' in output.data["text/html"], cell.source
        assert not output.data["text/plain"].startswith("<"), cell.source
        Reader(output.data["text/html"])
