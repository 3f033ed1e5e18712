"""GPTQ against what AutoGPTQ and AutoRound store and compute (fixtures/quantized), and in whole models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import weightscope
from tests.quantization.bench import (
    Quantized,
    check_bounds,
    check_caught,
    check_every_tensor_matters,
    check_planted_faults,
    check_sound,
    check_stripped,
    difference,
    faults_of,
    llama,
    logits_of,
    mixture,
    quantize,
    write,
)
from tests.quantization.written import MODULE, Written, check_written, scheme_of, told, variants, weight_of
from weightscope.config import Config
from weightscope.errors import ConfigError, WeightscopeError
from weightscope.quantization.registry import method_of

VARIANTS = {title: written for title, written in variants("gptq").items() if not title.startswith("auto-round")}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": False}


@pytest.mark.parametrize("title", VARIANTS)
def test_a_matrix_is_what_the_library_stores_and_computes(title: str) -> None:
    check_written(VARIANTS[title])


@pytest.mark.parametrize("title", ["v1-2", "v1-3", "v1-4", "v1-8", "ordered", "row"])
def test_a_matrix_is_told_by_its_tensors(title: str) -> None:
    """Without g_idx as well, and without the declared shape; the version is told by settings or symmetric zeros."""
    written = VARIANTS[title]
    inputs = written.tensors.keys() - {".g_idx"}
    for tensors in (written.tensors, {mark: written.tensors[mark] for mark in inputs}):
        if title == "ordered" and tensors.keys() == inputs:
            continue
        one = Written(written.settings, tensors, written.expected)
        for shape in (None, tuple(written.expected.shape)):
            found = told(one, "gptq", "awq", shape=shape, settings={"checkpoint_format": "gptq"})
            assert found is not None
            assert found[1] == tuple(written.expected.shape)
            read = found[0].read(f"{MODULE}.weight", one.raw)
            torch.testing.assert_close(read, written.expected, rtol=0, atol=0)


def bits_of(values: np.ndarray[Any, Any], bits: int) -> torch.Tensor:
    """Codes [M, C] as 32-bit words [N, C]: one stream of bits down each column, the lowest first."""
    stream = (values[:, None, :] >> np.arange(bits)[None, :, None]) & 1
    stream = stream.reshape(-1, values.shape[1])
    stream = np.concatenate([stream, np.zeros((-len(stream) % 32, stream.shape[1]), stream.dtype)])
    words = (stream.reshape(-1, 32, stream.shape[1]).astype(np.uint64) << np.arange(32, dtype=np.uint64)[:, None]).sum(
        1
    )
    return torch.from_numpy(words.astype(np.uint32).view(np.int32))


class Packer:
    """GPTQ by its published rules: random codes, zero points and scales, and the matrix in float64."""

    def __init__(
        self, bits: int = 4, group: int = 32, *, short: int = 1, order: bool = False, sym: bool = False
    ) -> None:
        self.bits, self.group, self.short, self.order, self.sym = bits, group, short, order, sym
        self.noise = np.random.default_rng(0)

    def __call__(self, module: str, shape: torch.Size) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        (rows, columns), most = shape, (1 << self.bits) - 1
        group = self.group if self.group > 0 else columns
        groups = -(-columns // group)
        codes = self.noise.integers(0, most + 1, (columns, rows))
        zeros = self.noise.integers(self.short, most + 1, (groups, rows))
        if self.sym:
            zeros[:] = (most + 1) // 2
        scales = (self.noise.uniform(0.1, 1, (groups, rows)) / (most + 1)).astype(np.float16)
        index = np.arange(columns) // group
        if self.order:
            index = self.noise.permutation(index)
        weight = (codes - zeros[index]).astype(np.float64) * scales[index].astype(np.float64)
        tensors = {
            ".qweight": bits_of(codes, self.bits),
            ".qzeros": bits_of((zeros - self.short).T, self.bits).T.contiguous(),
            ".scales": torch.from_numpy(scales),
            ".g_idx": torch.from_numpy(index.astype(np.int32)),
        }
        return tensors, torch.from_numpy(weight.T.astype(np.float32))


def settings(**own: Any) -> dict[str, Any]:
    return {"quantization_config": GPTQ | own}


def quantized(packer: Packer, **own: Any) -> Quantized:
    mine = {"bits": packer.bits, "group_size": packer.group, "desc_act": packer.order}
    form = {"checkpoint_format": "gptq" if packer.short else "gptq_v2"}
    return quantize(llama(), packer, settings(**mine, **form, **own))


@pytest.mark.parametrize(
    "packer",
    [
        Packer(2, 32), Packer(3, 32), Packer(4, 32), Packer(8, 32), Packer(4, -1), Packer(4, 16, short=0, order=True),
        Packer(3, 48, short=0), Packer(4, 32, sym=True), Packer(2, 64, order=True),
    ],
    ids=lambda p: f"{p.bits}-{p.group}-{p.short}-{p.order}",
)  # fmt: skip
def test_models(packer: Packer, tmp_path: Path) -> None:
    check_sound(quantized(packer), tmp_path)


def test_a_mixture_whose_experts_are_modules(tmp_path: Path) -> None:
    check_sound(quantize(mixture(), Packer(), settings()), tmp_path)


def test_every_tensor_matters(tmp_path: Path) -> None:
    check_every_tensor_matters(quantized(Packer(order=True, group=16)), tmp_path)


@pytest.mark.parametrize("order", [False, True])
def test_planted_faults(order: bool, tmp_path: Path) -> None:
    model = quantized(Packer(order=order, group=16))
    module = "model.layers.1.mlp.down_proj"
    check_planted_faults(model, module, tmp_path, scales=[".scales"], optional=() if order else (".g_idx",))
    check_bounds(model, module, tmp_path, marks=[".scales"])
    check_bounds(model, module, tmp_path, marks=[".g_idx"], bad=(-1, 10))


def test_a_group_that_is_not_there_is_not_computed(tmp_path: Path) -> None:
    model = quantized(Packer(order=True, group=16))
    name = "model.layers.1.mlp.down_proj.g_idx"
    for bad in (-1, 10):
        wrong = model.tensors | {name: torch.full_like(model.tensors[name], bad)}
        with pytest.raises(WeightscopeError, match=r"down_proj\.g_idx names groups beyond the 10"):
            weightscope.open(write(tmp_path, wrong, model.config)).forward([1, 2])


def test_tensors_that_contradict_each_other_are_not_computed(tmp_path: Path) -> None:
    model = quantized(Packer())
    for mark, wrong in ((".qweight", torch.float32), (".scales", torch.int32), (".qzeros", torch.int16)):
        name = f"model.layers.0.mlp.down_proj{mark}"
        changed = model.tensors | {name: model.tensors[name].to(wrong)}
        with pytest.raises(WeightscopeError, match=rf"down_proj\{mark} is stored in"):
            weightscope.open(write(tmp_path, changed, model.config)).forward([1, 2])


def test_without_settings(tmp_path: Path) -> None:
    """Symmetric zero points tell the version by themselves; others do not, and are not guessed."""
    for short in (0, 1):
        check_stripped(quantized(Packer(sym=True, short=short)), tmp_path / str(short))
    model = quantized(Packer())
    check_stripped(model, tmp_path / "2", computed=False)
    bare = {key: value for key, value in model.config.items() if key != "quantization_config"}
    with pytest.raises(WeightscopeError, match="checkpoint_format does not say which"):
        weightscope.open(write(tmp_path / "3", model.tensors, bare)).forward([1, 2])


def test_a_bias_of_zeros_in_every_module(tmp_path: Path) -> None:
    """AutoGPTQ's writers gave one to each; it is no parameter, and one that is not zero is not left out silently."""
    model = quantized(Packer())
    zeros = {f"{module}.bias": torch.zeros(len(model.dense[f"{module}.weight"])) for module in model.modules}
    biased = model._replace(tensors=model.tensors | {name: zero.half() for name, zero in zeros.items()})
    check_sound(biased, tmp_path)
    name = "model.layers.0.mlp.up_proj.bias"
    check_caught(biased, {name: zeros[name].half() + 1}, "quantization-mismatch", tmp_path, values=True)
    wrong = biased.tensors | {name: zeros[name] + 1}
    with pytest.raises(WeightscopeError, match="bias is not zero"):
        weightscope.open(write(tmp_path, wrong, biased.config)).forward([1, 2])


def test_a_quantized_head(tmp_path: Path) -> None:
    head = quantize(
        llama(vocab_size=128), Packer(), settings(lm_head=True), covers=lambda m: m.endswith(("_proj", "head"))
    )
    check_sound(head, tmp_path)
    unsaid = head.config | settings()
    assert "quantization-mismatch" in {finding.code for finding in faults_of(head.tensors, unsaid, tmp_path / "unsaid")}


@pytest.mark.parametrize("inside", [["mlp.up_proj", "self_attn.q_proj"], [["mlp.up_proj"], ["self_attn.q_proj"]]])
def test_modules_that_the_settings_name(inside: list[Any], tmp_path: Path) -> None:
    """`modules_in_block_to_quantize`, as AutoGPTQ writes it and flat."""
    covered = ("mlp.up_proj", "self_attn.q_proj")
    own = settings(modules_in_block_to_quantize=inside)
    model = quantize(llama(), Packer(), own, covers=lambda module: module.endswith(covered))
    check_sound(model, tmp_path)
    plain = {"model.layers.0.mlp.up_proj.weight": torch.zeros(160, 64)}
    tensors = {name: t for name, t in model.tensors.items() if not name.startswith("model.layers.0.mlp.up_proj.")}
    found = faults_of(tensors | plain, model.config, tmp_path / "plain")
    assert [finding.code for finding in found] == ["quantization-mismatch"]


def test_settings_of_single_modules(tmp_path: Path) -> None:
    """GPTQModel's `dynamic`: the first pattern that fits counts."""
    dynamic = {
        r"-:.*\.0\.self_attn\.": {},
        r"+:.*\.1\.mlp\.(?:gate|up)_proj": {"bits": 8, "group_size": 16},
        r"^model\.layers\.0\.mlp\.down_proj$": {"group_size": -1, "bits": 2},
        r".*down_proj": {"bits": 3},
    }
    packers = {"gate": Packer(8, 16), "up": Packer(8, 16), "down": Packer(2, -1), "else": Packer()}

    def pack(module: str, shape: torch.Size) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        if "1.mlp.gate" in module or "1.mlp.up" in module:
            return packers["up"](module, shape)
        if module.endswith("down_proj"):
            return (packers["down"] if ".0." in module else Packer(3))(module, shape)
        return packers["else"](module, shape)

    covers = lambda module: module.endswith("_proj") and ".0.self_attn." not in module  # noqa: E731
    check_sound(quantize(llama(), pack, settings(dynamic=dynamic), covers=covers), tmp_path)


def test_single_experts_left_out(tmp_path: Path) -> None:
    out = "model.layers.1.mlp.experts.2.up_proj"
    model = quantize(
        mixture(), Packer(), settings(dynamic={f"-:^{out}$": {}}), covers=lambda m: m.endswith("_proj") and m != out
    )
    check_sound(model, tmp_path)


def test_a_router_may_be_quantized_or_not(tmp_path: Path) -> None:
    """Settings say nothing of it; GPTQModel leaves it plain, optimum's quantizer does not."""
    plain = mixture(num_experts=32, num_experts_per_tok=2)
    both = quantize(plain, Packer(), settings(), covers=lambda m: m.endswith(("_proj", "mlp.gate")))
    check_sound(both, tmp_path)


def test_settings_beside_config_json(tmp_path: Path) -> None:
    """AutoGPTQ's own file says it where config.json does not."""
    model = quantized(Packer(sym=True))
    bare = {key: value for key, value in model.config.items() if key != "quantization_config"}
    directory = write(tmp_path / "x", model.tensors, bare)
    (directory / "quantize_config.json").write_text('{"bits": 4, "group_size": 32, "desc_act": false, "sym": true}')
    opened = weightscope.open(directory)
    expected = logits_of(model.dense, model.config, tmp_path / "dense")
    assert difference(opened.forward([7, 3, 96, 0, 42, 11]).logits, expected) < 1e-4
    assert [finding.code for finding in opened.check() if finding.severity == "error"] == []


def test_a_matrix_that_is_stored_transposed() -> None:
    """GPT-2's Conv1D: (in, out) in the model, packed as a Linear is."""
    written = VARIANTS["v1-4"]
    method = method_of(Config({"quantization_config": written.settings})).method
    assert method is not None
    stored = weight_of((64, 32), transposed=True)
    scheme = method.scheme(stored, MODULE)
    assert scheme is not None
    assert [tuple(map(int, part.shape)) for part in scheme.expand(stored)] == [(8, 32), (4, 4), (4, 32), (64,)]
    torch.testing.assert_close(scheme.read(f"{MODULE}.weight", written.raw), written.expected.T, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("own", "missing"),
    [
        ({"bits": 5}, "5 bits"), ({"checkpoint_format": "marlin"}, "marlin"), ({"is_marlin_format": True}, "marlin"),
        ({"format": "gptq_p"}, "gptq_p"), ({"pack_dtype": "int64"}, "32 bits"),
        ({"dynamic": {"(a+)+": {"bits": 4}}}, "(a+)+"),
        ({"dynamic": {f"a.*{n}": {} for n in range(300)}}, "256 patterns"),
    ],
)  # fmt: skip
def test_what_is_not_implemented_is_named(own: dict[str, Any], missing: str) -> None:
    method = method_of(Config(settings(**own))).method
    assert method is not None
    assert method.name == "gptq"
    assert missing in method.missing


@pytest.mark.parametrize(
    "own",
    [
        {"bits": None}, {"bits": "4"}, {"bits": True}, {"bits": 10**30}, {"group_size": 0}, {"group_size": -5},
        {"group_size": []}, {"desc_act": "yes"}, {"checkpoint_format": {}}, {"modules_in_block_to_quantize": "x"},
        {"modules_in_block_to_quantize": [[1]]}, {"dynamic": []}, {"dynamic": [1]}, {"dynamic": {"a": 4}},
        {"dynamic": {"+:a(": {}}}, {"dynamic": {"a": {"bits": "x"}}}, {"lm_head": 1}, {"modules_to_not_convert": 1},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(own: dict[str, Any]) -> None:
    if own == {"dynamic": []}:
        assert method_of(Config(settings(**own))) is not None
        return
    with pytest.raises(ConfigError):
        method_of(Config(settings(**own)))


def test_words() -> None:
    scheme = scheme_of(VARIANTS["ordered"])
    assert scheme.words == "GPTQ, 4 bits in groups of 16, in the order of g_idx"
    assert scheme.formula == "w = (q - (qzeros + 1)) · scale, of the group g_idx"
    assert scheme.packing == "4-bit codes in 32-bit words along the inputs, lowest bits first"


def test_a_quantized_head_is_dequantized_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is used in slabs, and none of them can be had without the whole."""
    from weightscope.components import running

    monkeypatch.setattr(running, "SLAB_ELEMENTS", 1024)
    read, names = type(scheme_of(VARIANTS["v1-4"])).read, []

    def counted(self: Any, name: str, raw: Any) -> torch.Tensor:
        names.append(name)
        return read(self, name, raw)

    monkeypatch.setattr(type(scheme_of(VARIANTS["v1-4"])), "read", counted)
    own, plain = settings(lm_head=True), llama(vocab_size=128)
    head = quantize(plain, Packer(), own, covers=lambda module: module.endswith(("_proj", "head")))
    weightscope.open(write(tmp_path, head.tensors, head.config)).forward([1, 2, 3])
    assert names.count("lm_head.weight") == 1
