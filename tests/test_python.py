"""The Python objects: what they show of themselves, and what is said of names that there are not."""

from __future__ import annotations

import copy
import gc
import pickle
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import weightscope as ws
from benchmarks.ghost import write_ghost
from tests.helpers import F32, safetensors_bytes
from weightscope.errors import UnknownAttributeError, UnknownTensorError

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "fixtures"
PUBLIC = [
    "Finding",
    "Findings",
    "Model",
    "Result",
    "Tensor",
    "Tensors",
    "WeightscopeError",
    "__version__",
    "diff",
    "download",
    "open",
]


@pytest.fixture(scope="module")
def model() -> ws.Model:
    return ws.open(FIXTURES / "llama")


def test_the_module_lists_its_public_names() -> None:
    assert dir(ws) == sorted(ws.__all__) == PUBLIC
    code = "import weightscope; before = dir(weightscope); weightscope.Model; print(before == dir(weightscope), before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == f"True {PUBLIC}\n"
    assert all(getattr(ws, name) is not None for name in ws.__all__)


SHOWN = r"""
Model('fixtures/llama': llama, safetensors, 30 tensors, 28,296 parameters)
Tensors(30: 'model.embed_tokens.weight', 'model.layers.0.self_attn.k_proj.weight', 'model.layers.0.self_attn.o_proj.weight', …)
Tensor('model.norm.weight', role='final_norm', dtype='BF16', shape=(24,))
2 findings:
  info    config-missing: generation_config.json is missing
  info    config-missing: the tokenizer is missing
Finding(info config-missing: the tokenizer is missing)
Parameters(total=28296, active=28296, non_embedding=16008, auxiliary=0, buffers=0, stored_elements=28296, bits_per_parameter=16.0)
RoleShare(role='token_embedding', tensors=1, parameters=6144, bytes=12288, inferred=False)
'embedding'
Config(llama, 25 keys)
Checkpoint(path='llama', folder=<LocalFolder>, location=<Location>, files=<4 items>, tensors=<30 items>, whole=True)
LocalFolder('fixtures/llama')
RMSNorm(name='norm', auxiliary=False, role='final_norm', size=24, eps=1e-06, offset=0, weighted=True, optional=False, leaf='weight', wide=False)
"""  # noqa: E501 - as they are shown


def test_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    model = ws.open("fixtures/llama")
    assert model.declaration
    tree: Any = model.declaration.tree
    given = [
        model, model.tensors, model.tensors["model.norm.weight"], model.check(), model.check()[1], model.parameters,
        model.components[0].roles[0], model.components[0].component, model.config, model.checkpoint,
        model.checkpoint.folder, tree.decoder.final_norm,
    ]  # fmt: skip
    assert "\n".join(map(repr, given)) == SHOWN.strip()


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("fixtures/llama/config.json", "Model('fixtures/llama/config.json': llama, config alone, 28,296 parameters)"),
        ("fixtures/mini", "Model('fixtures/mini': mini, safetensors, 9 tensors, 11,776 parameters)"),
        ("fixtures/gpt2", "Model('fixtures/gpt2': gpt2, pytorch, 33 tensors, 21,408 parameters)"),
    ],
)
def test_what_is_shown_of_a_model(path: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert repr(ws.open(path)) == shown


def test_what_is_shown_of_other_tensors() -> None:
    fp8 = ws.open(FIXTURES / "deepseek-v3").tensors
    scale = next(name for name in fp8 if name.endswith("layers.0.mlp.down_proj.weight_scale_inv"))
    assert repr(fp8[scale]) == f"Tensor({scale!r}, role='down_proj', kind='scale', dtype='F32', shape=(3, 7))"
    guessed = ws.open(FIXTURES / "mini").tensors
    name = next(iter(guessed))
    assert "inferred=True" in repr(guessed[name])
    fused = ws.open(FIXTURES / "gpt2").tensors["h.0.attn.c_attn.weight"]
    assert "roles=('q_proj', 'k_proj', 'v_proj')" in repr(fused)


def test_what_is_shown_of_a_pass(model: ws.Model) -> None:
    result = model.forward([1, 2, 3])
    assert re.fullmatch(
        r"Result\(3 tokens, float32 on cpu, 9 stages, all finite, logits \[3, 256\], [\d.e-]+ s\)", repr(result)
    )
    assert repr(result.stages[1]).startswith("Stage(stage='layer 0 attention', equation='x + o_proj")
    assert len(repr(result.stages[1])) < 400


def test_many_findings_are_shown_by_ten_lines(tmp_path: Path) -> None:
    assert repr(ws.Findings()) == "no findings"
    finding = ws.Finding(code="non-finite", severity="error", message="a\x1b[2J\nb")
    assert repr(finding) == r"Finding(error non-finite: a\x1b[2J\x0ab)"
    lines = repr(ws.Findings([finding] * 12)).split("\n")
    assert lines[0] == "12 findings:"
    assert lines[1:] == [r"  error   non-finite: a\x1b[2J\x0ab"] * 10 + ["  and 2 more"]
    assert ws.Findings([finding]) == (finding,)


def test_what_is_shown_of_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    model = ws.open("fixtures/llama")
    lock = model.lock(algorithm=None)
    given = [model.stats(), ws.diff(model, model), model.memory(), model.memory(gpu="24GiB"), lock, model.treemap()]
    assert [re.sub(r"[\d.]+ kB", "… kB", repr(value)) for value in given] == [
        "Stats('fixtures/llama': 30 tensors, 56,592 bytes, ok, 0 findings)",
        "Diff('fixtures/llama', 'fixtures/llama': same weights by role and shape; --values compares the numbers)",
        "Memory('fixtures/llama': 56,592 bytes of weights, 196,608 of decode state)",
        "Memory('fixtures/llama': 56,592 bytes of weights, 196,608 of decode state)",
        "Lock('llama': 30 weights, no digests)",
        "Figure('Parameters of llama': … kB of SVG)",
    ]


def everything(model: ws.Model) -> list[object]:
    """Whatever a model gives out, and what that holds."""
    first = next(iter(model.tensors))
    given: list[Any] = [
        model, model.tensors, model.tensors[first], model.tensors[first].entry, model.parameters, model.components,
        model.tying, model.config, model.declaration, model.inventory, model.inventory.groups[0], model.checkpoint,
        model.checkpoint.folder, model.checkpoint.location, model.checkpoint.index, model.checkpoint.files[0],
        model.check(), model.summary(), model.explain(first), model.breakdown("role")[0], next(iter(model.listing())),
    ]  # fmt: skip
    if model.declaration:
        given += [model.declaration.tree, model.declaration.slots[0], model.declaration.family]
    return given


@pytest.mark.parametrize("name", ["llama", "deepseek-v3", "gpt2", "llava", "mini", "qwen3-mlx-4bit"])
def test_nothing_shows_an_address_or_much(name: str) -> None:
    for value in everything(ws.open(FIXTURES / name)):
        shown = repr(value)
        assert " at 0x" not in shown, type(value)
        assert not re.search(r"[( ]_", shown), type(value)
        assert len(shown) < 8_000 if isinstance(value, tuple) else len(shown) < 1_500, (type(value), shown)


def test_it_is_shown_at_once_however_many_tensors(tmp_path: Path) -> None:
    write_ghost(ROOT / "benchmarks" / "deepseek_v3.json", tmp_path, shards=163)
    model = ws.open(tmp_path)
    start = time.process_time()
    shown = repr(model)
    assert time.process_time() - start < 3
    assert shown.endswith("deepseek_v3, safetensors, 91,991 tensors, 671,026,404,352 parameters)")
    model.inventory.group_of(next(iter(model.tensors)))
    start = time.process_time()
    given = everything(model)[:-5]
    assert max(len(repr(value)) for value in given if not isinstance(value, tuple)) < 1_500
    assert "nothing" not in model.tensors
    assert model.tensors.get("nothing") is None
    with pytest.raises(KeyError, match=r"did you mean model\.layers\.60\.mlp\.experts\.255\.up_proj\.weight\?"):
        model.tensors["model.layers.60.mlp.experts.256.up_proj.weight"]
    assert time.process_time() - start < 5
    del model, given
    gc.collect()


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("model.norm.wieght", "model.norm.weight"),
        ("model.norm", "model.norm.weight"),
        ("model.layers.1.self_attn.k_porj.weight", "model.layers.1.self_attn.k_proj.weight"),
        ("model.layers.7.self_attn.k_proj.weight", "model.layers.2.self_attn.k_proj.weight"),
        ("layers.1.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight"),
    ],
)
def test_a_tensor_that_there_is_not(asked: str, meant: str, model: ws.Model) -> None:
    with pytest.raises(UnknownTensorError) as caught:
        model.tensors[asked]
    assert str(caught.value) == f"no tensor {asked!r}; did you mean {meant}?"
    assert isinstance(caught.value, KeyError)
    assert isinstance(caught.value, ws.WeightscopeError)
    assert asked not in model.tensors
    assert model.tensors.get(asked) is None
    assert model.tensors.get(asked, 7) == 7


def test_a_tensor_like_no_other(model: ws.Model) -> None:
    with pytest.raises(KeyError) as caught:
        model.tensors["???"]
    assert str(caught.value) == "no tensor '???'; list(model.tensors) has all names"
    with pytest.raises(KeyError):
        model.tensors[3]  # type: ignore[index]
    assert 3 not in model.tensors  # type: ignore[comparison-overlap]


def test_a_renamed_tensor_has_both_names(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "llama", tmp_path / "llama")
    for path in tmp_path.glob("llama/*"):
        content = path.read_bytes()
        if path.suffix == ".safetensors":
            length = int.from_bytes(content[:8], "little")
            head = (
                content[8 : 8 + length].replace(b'"model.', b'"module.model.').replace(b'"lm_head', b'"module.lm_head')
            )
            path.write_bytes(len(head).to_bytes(8, "little") + head + content[8 + length :])
        elif "index" in path.name:
            path.unlink()
    tensors = ws.open(tmp_path / "llama").tensors
    for name in ("model.norm.weight", "module.model.norm.weight"):
        assert name in tensors
        assert tensors.get(name) == tensors[name]


@pytest.mark.parametrize(
    ("given", "asked", "said"),
    [
        (lambda _: ws, "Modle", "weightscope has no attribute 'Modle'; did you mean Model?"),
        (lambda _: ws, "opne", "weightscope has no attribute 'opne'; did you mean open?"),
        (lambda _: ws, "qqq", "weightscope has no attribute 'qqq'"),
        (lambda m: m, "paramters", "Model has no attribute 'paramters'; did you mean parameters?"),
        (lambda m: m, "Tensors", "Model has no attribute 'Tensors'; did you mean tensors?"),
        (lambda m: m.tensors, "kyes", "Tensors has no attribute 'kyes'; did you mean keys?"),
        (lambda m: m.tensors["model.norm.weight"], "shpae", "Tensor has no attribute 'shpae'; did you mean shape?"),
        (lambda m: m.check()[0], "mesage", "Finding has no attribute 'mesage'; did you mean message?"),
        (lambda m: m.forward([1]), "logit", "Result has no attribute 'logit'; did you mean logits?"),
        (lambda m: m, "_repr_png_", "Model has no attribute '_repr_png_'"),
    ],
)
def test_an_attribute_that_there_is_not(
    given: Callable[[ws.Model], Any], asked: str, said: str, model: ws.Model
) -> None:
    value = given(model)
    with pytest.raises(UnknownAttributeError) as caught:
        getattr(value, asked)
    assert str(caught.value) == said
    assert isinstance(caught.value, AttributeError)
    assert isinstance(caught.value, ws.WeightscopeError)
    assert not hasattr(value, asked)
    assert getattr(value, asked, 7) == 7


def test_what_a_property_raises_is_not_hidden(model: ws.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(model), "inventory", property(lambda _: object().nothing))  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="'object' object has no attribute 'nothing'"):
        _ = ws.open(FIXTURES / "llama").inventory


def test_a_name_that_cannot_be_imported() -> None:
    with pytest.raises(ImportError):
        exec("from weightscope import Modle")


@pytest.mark.parametrize("turn", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_what_is_given_out_can_be_copied_and_sent(turn: Callable[[Any], Any], model: ws.Model) -> None:
    tensor = model.tensors["model.norm.weight"]
    assert turn(tensor) == tensor
    assert turn(model.check()) == model.check()
    assert type(turn(model.check())) is ws.Findings
    assert repr(turn(model.tensors)) == repr(model.tensors)
    assert repr(turn(model)) == repr(model)
    for asked in (lambda: model.tensors["nothing"], lambda: model.nothing):  # type: ignore[attr-defined]
        with pytest.raises(ws.WeightscopeError) as caught:
            asked()
        error = turn(caught.value)
        assert (type(error), str(error), error.hint) == (type(caught.value), str(caught.value), caught.value.hint)


def test_hostile_names_are_spelled_out(tmp_path: Path) -> None:
    name = "a\x1b[2J\n\u202e"
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes({name: F32}, bytes(4)))
    model = ws.open(tmp_path)
    for value in (model, model.tensors, model.tensors[name], *model.check()):
        assert repr(value).isprintable()
    with pytest.raises(KeyError) as caught:
        model.tensors[name[:-1]]
    assert str(caught.value).isprintable()
