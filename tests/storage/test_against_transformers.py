"""What storage reads back computes what transformers computes: queries, keys, values, gates, outputs.

Names, shapes and counts cannot tell a wrong fusing order or a missing transpose; these values can.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

import weightscope
from tests.families.tiny import TINY, Tiny
from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Component, Repeat
from weightscope.components.feed_forward.mlp import MLP, GatedMLP
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.unused import Leftover
from weightscope.components.walk import find
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.adapted import Adapted
from weightscope.storage.base import Kind, join
from weightscope.storage.shared import Copy, SharedBias
from weightscope.storage.weight_normed import WeightNormed

every_tiny = pytest.mark.parametrize("tiny", TINY, ids=lambda tiny: tiny.name)
DENSE = ["llama", "llama-biases", "llama-mqa-head_dim", "mistral", "qwen2", "gpt2", "gpt_neox", "gpt_neox-no-bias"]
DENSE += ["gemma", "gemma2", "phi3"]


class Values:
    """A scope over an opened model."""

    def __init__(self, model: weightscope.Model) -> None:
        self.model = model

    def tensor(self, name: str) -> torch.Tensor:
        return self.model.tensors[name].torch()

    def has(self, name: str) -> bool:
        return name in self.model.tensors


def read(model: weightscope.Model, kind: type[Any], layer: int) -> tuple[Any, dict[str, torch.Tensor]]:
    """The first component of a kind, and its matrices in one layer."""
    assert model.declaration is not None
    tree = model.declaration.tree
    repeat = next(part for part in find(tree, Repeat) if layer in part.indices)
    component = next(find(repeat, kind))
    prefix = join(join(model.declaration.root, repeat.name), f"{layer}.{component.name}")
    matrices: dict[str, torch.Tensor] = {}
    for item in component.stored:
        matrices |= item.read(prefix, component.sizes(), Values(model))
    return component, matrices


def linear(x: torch.Tensor, matrices: dict[str, torch.Tensor], role: Role) -> torch.Tensor:
    return torch.nn.functional.linear(x, matrices[role], matrices.get(f"{role}.bias"))


@pytest.mark.parametrize("name", DENSE)
def test_attention(name: str, saved: Callable[[str], Path]) -> None:
    """At position 0 rotation does nothing, so what reaches the attention function is what the projections gave."""
    tiny = next(tiny for tiny in TINY if tiny.name == name)
    oracle = tiny.build()
    calls: list[tuple[torch.Tensor, ...]] = []

    def record(module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any) -> Any:
        calls.append((query, key, value))
        out = torch.randn(1, 1, query.shape[1], query.shape[3], generator=torch.Generator().manual_seed(1))
        calls.append((out,))
        return out, None

    ALL_ATTENTION_FUNCTIONS.register("recording", record)
    oracle.config._attn_implementation = "recording"
    modules = {n: m for n, m in oracle.named_modules() if n.endswith((".self_attn", ".attn", ".attention"))}
    module = next(m for n, m in modules.items() if ".1." in n)
    seen: dict[str, torch.Tensor] = {}
    module.register_forward_pre_hook(
        lambda _m, args, kwargs: seen.update(x=args[0] if args else kwargs["hidden_states"]), with_kwargs=True
    )
    module.register_forward_hook(lambda _m, _args, result: seen.update(out=result[0]))
    with torch.no_grad():
        oracle(torch.tensor([[7]]))
    (query, key, value), (mixed,) = calls[2:4]
    attention, matrices = read(weightscope.open(saved(name)), Attention, 1)
    x = seen["x"][0, 0]
    for role, expected in ((Role.Q_PROJ, query), (Role.K_PROJ, key), (Role.V_PROJ, value)):
        torch.testing.assert_close(linear(x, matrices, role), expected.flatten())
        assert matrices[role].shape == tuple(attention.sizes()[role])
    torch.testing.assert_close(linear(mixed.flatten(), matrices, Role.O_PROJ), seen["out"].flatten())


@pytest.mark.parametrize("name", DENSE)
def test_feed_forward(name: str, saved: Callable[[str], Path]) -> None:
    """The activation's input is the gate, or up where there is none; the product with up enters down."""
    tiny = next(tiny for tiny in TINY if tiny.name == name)
    oracle = tiny.build()
    module = next(m for n, m in oracle.named_modules() if n.endswith("1.mlp"))
    activation = next(m for n, m in module.named_modules() if n in ("act_fn", "act", "activation_fn"))
    seen: dict[str, torch.Tensor] = {}
    module.register_forward_hook(lambda _m, args, result: seen.update(x=args[0][0, 0], out=result[0, 0]))
    activation.register_forward_hook(lambda _m, args, result: seen.update(before=args[0][0, 0], after=result[0, 0]))
    with torch.no_grad():
        oracle(torch.tensor([[7]]))
    model = weightscope.open(saved(name))
    if name.startswith("gpt"):
        _, matrices = read(model, MLP, 1)
        torch.testing.assert_close(linear(seen["x"], matrices, Role.UP_PROJ), seen["before"])
        inner = seen["after"]
    else:
        _, matrices = read(model, GatedMLP, 1)
        torch.testing.assert_close(linear(seen["x"], matrices, Role.GATE_PROJ), seen["before"])
        inner = seen["after"] * linear(seen["x"], matrices, Role.UP_PROJ)
    torch.testing.assert_close(linear(inner, matrices, Role.DOWN_PROJ), seen["out"])


class Zeros:
    """A scope of zeros in the shapes that an item declared; it remembers what was asked for."""

    def __init__(self, shapes: dict[str, tuple[int, ...]]) -> None:
        self.shapes = shapes
        self.asked: set[str] = set()

    def tensor(self, name: str) -> torch.Tensor:
        self.asked.add(name)
        return torch.zeros(self.shapes[name])

    def has(self, name: str) -> bool:
        return name in self.shapes


@every_tiny
def test_tensors_and_read_are_inverse(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    """Whatever an item says it stores, and only that, is asked for when it is read, and comes back whole."""
    declaration = weightscope.open(saved(tiny.name)).declaration
    assert declaration is not None
    for component in find(declaration.tree, Component):
        sizes = component.sizes()
        for item in component.stored:
            # One reads what components of its own declare, too, the other nothing.
            if isinstance(item, Adapted | Leftover):
                continue
            # Of a parameter under several names one is read.
            named = isinstance(item, SharedBias | Copy)
            stored = [part for part in item.tensors("p", sizes) if not (named and part.kind is Kind.COPY)]
            scope = Zeros({part.name: tuple(part.shape) for part in stored})
            matrices = item.read("p", sizes, scope)
            assert scope.asked == set(scope.shapes)
            # Lengths of a normed kernel are parameters too, as transformers counts them, and go into the kernel.
            gone = int(sizes[item.role][-1]) if isinstance(item, WeightNormed) else 0
            assert sum(matrix.numel() for matrix in matrices.values()) == sum(part.logical for part in stored) - gone
            assert {key.partition(".")[0] for key in matrices} == set(map(str, item.roles))


@pytest.mark.parametrize(("name", "layer"), [("mixtral", 1), ("mixtral-top3", 2), ("deepseek_v3", 1)])
def test_experts(name: str, layer: int, saved: Callable[[str], Path]) -> None:
    """In memory transformers packs all experts as (expert, [gate; up], in): its own conversion is the oracle."""
    oracle = next(tiny for tiny in TINY if tiny.name == name).build()
    packed = {n: p for n, p in oracle.named_parameters() if f"layers.{layer}." in n and ".experts." in n}
    gate_up = next(p for n, p in packed.items() if n.endswith("gate_up_proj"))
    down = next(p for n, p in packed.items() if n.endswith("down_proj"))
    model = weightscope.open(saved(name))
    assert model.declaration is not None
    mixture = next(find(model.declaration.tree, MixtureOfExperts))
    for number in range(mixture.experts):
        matrices: dict[str, torch.Tensor] = {}
        for item in mixture.expert.stored:
            prefix = f"model.layers.{layer}.{mixture.name}.experts.{number}"
            matrices |= item.read(prefix, mixture.expert.sizes(), Values(model))
        torch.testing.assert_close(torch.cat((matrices[Role.GATE_PROJ], matrices[Role.UP_PROJ])), gate_up[number])
        torch.testing.assert_close(matrices[Role.DOWN_PROJ], down[number])


def test_a_normed_kernel_is_what_torch_makes_of_it() -> None:
    """`torch.nn.utils.parametrizations.weight_norm` over the places of a kernel, as wav2vec 2.0 has it."""
    torch.manual_seed(0)
    convolution = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(6, 4, 3, groups=2), dim=2)
    with torch.no_grad():
        convolution.parametrizations.weight.original0.uniform_(0.5, 2)
    state: dict[str, torch.Tensor] = {f"c.{name}": value for name, value in convolution.state_dict().items()}

    class State:
        def tensor(self, name: str) -> torch.Tensor:
            return state[name]

        def has(self, name: str) -> bool:
            return name in state

    sizes = {Role.CONVOLUTION: (Size(4), Size(3), Size(3))}
    found = WeightNormed("c", Role.CONVOLUTION).read("", sizes, State())
    torch.testing.assert_close(found[Role.CONVOLUTION], convolution.weight.detach())
    torch.testing.assert_close(found[f"{Role.CONVOLUTION}.bias"], convolution.bias.detach())
