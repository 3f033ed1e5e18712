"""Both trees hold every tensor of the file once, and their sums are those of the file."""

from __future__ import annotations

from math import prod
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.browse.session import FIXTURES, names
from tests.helpers import write_safetensors
from weightscope.api.opening import open_model
from weightscope.browse.by_name import modules
from weightscope.browse.nodes import MOST, Amounts, Listed, Node, in_runs, tensor_node
from weightscope.browse.views import Views


def stored(directory: Path) -> dict[str, int]:
    """Names and bytes, as the safetensors library reads them."""
    sizes = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "U32": 4}
    found = {}
    for path in directory.glob("*.safetensors"):
        with safe_open(path, "np") as file:
            for name in file.keys():  # noqa: SIM118 - no mapping
                view = file.get_slice(name)
                found[name] = prod(view.get_shape()) * sizes[view.get_dtype()]
    return found


@pytest.mark.parametrize("fixture", ["llama", "deepseek-v3", "llava", "mini", "qwen3-mlx-4bit", "adapters/peft/lora"])
def test_each_tensor_is_in_each_tree_once(fixture: str) -> None:
    views, there = Views(open_model(FIXTURES / fixture)), stored(FIXTURES / fixture)
    for root in (views.by_role, views.by_name):
        assert sorted(names(root)) == sorted(there)
        assert (root.amounts.tensors, root.amounts.bytes) == (len(there), sum(there.values()))
        assert all(root.holds(name) for name in there)
        assert not root.holds("no such tensor")
        _check(root, there)


def _check(node: Node, there: dict[str, int]) -> None:
    below = list(names(node))
    assert (node.amounts.tensors, node.amounts.bytes) == (len(below), sum(there[name] for name in below))
    assert all(node.holds(name) for name in below)
    for child in node.children():
        _check(child, there)


def test_experts_have_a_node_each_with_their_scales() -> None:
    moe = next(node for node in Views(open_model(FIXTURES / "deepseek-v3")).by_role.children() if node.label == "moe")
    gate = next(node for node in moe.children() if node.label == "gate_proj")
    layer = gate.children()[0]
    assert layer.label == "layer 1"
    assert [node.label for node in layer.children()][:4] == [
        "shared_experts.gate_proj.weight", "shared_experts.gate_proj.weight_scale_inv", "expert 0", "expert 1",
    ]  # fmt: skip
    assert [node.label for node in layer.children()[2].children()] == ["weight", "weight_scale_inv"]


def test_two_stacks_of_layers_have_a_node_each(tmp_path: Path) -> None:
    import numpy as np

    made = {
        f"{side}.layers.{n}.q_proj.weight": np.ones((2, 2), np.float32) for side in ("left", "right") for n in (0, 1)
    }
    save_file(made, tmp_path / "model.safetensors")
    (component,) = Views(open_model(tmp_path)).by_role.children()
    (role,) = component.children()
    assert [(node.label, [child.label for child in node.children()]) for node in role.children()] == [
        ("left.layers", ["layer 0", "layer 1"]),
        ("right.layers", ["layer 0", "layer 1"]),
    ]


def listed(path: Path) -> list[Listed]:
    return [Listed(group, row) for group, row in open_model(path).listing()]


def test_a_module_with_one_module_is_one_node_with_it(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", "a.b.c.x", "a.b.c.y", "a.b.z", "d.e", "f")
    made = modules(listed(tmp_path))
    assert [node.label for node in made] == ["a.b", "d.e", "f"]
    assert [node.label for node in made[0].children()] == ["c", "z"]


def test_names_of_very_many_parts_end_in_nodes_of_their_own(tmp_path: Path) -> None:
    many = [".".join(["a"] * depth) + ".x" for depth in range(1, 200)]
    write_safetensors(tmp_path / "model.safetensors", *many)
    root = Views(open_model(tmp_path)).by_name
    assert sorted(names(root)) == sorted(many)

    def depth(node: Node) -> int:
        return 1 + max(map(depth, node.children()), default=0)

    assert depth(root) < 40


def test_of_very_many_nodes_runs_are_shown(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", *(f"t{n}" for n in range(1201)))
    nodes = [tensor_node(one.row.name, one) for one in listed(tmp_path)]
    runs = in_runs(nodes)
    assert [node.label for node in runs] == ["t0 … t499", "t500 … t999", "t1000 … t1200"]
    assert runs[2].amounts == Amounts(201, 201, 804)
    assert [child.label for child in runs[2].children()][:2] == ["t1000", "t1001"]
    assert runs[1].holds("t500")
    assert not runs[1].holds("t499")
    assert in_runs(nodes[:MOST]) == nodes[:MOST]


def test_roles_that_were_guessed_are_marked(tmp_path: Path) -> None:
    write_safetensors(
        tmp_path / "model.safetensors", "layers.0.self_attn.q_proj.weight", "layers.1.self_attn.q_proj.weight"
    )
    (component,) = Views(open_model(tmp_path)).by_role.children()
    assert [node.label for node in component.children()] == ["q_proj ~"]


def test_a_node_is_described_without_what_lies_below_it() -> None:
    root = Views(open_model(FIXTURES / "llama")).by_role
    assert [repr(node) for node in (root, *root.children()[:2])] == [
        "Node('llama')", "Node('embedding')", "Node('attention')",
    ]  # fmt: skip
