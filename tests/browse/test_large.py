"""DeepSeek-V3 with its 91,991 tensors: nothing is made before it is opened, and the keys are heard all the time."""

from __future__ import annotations

import asyncio
import gc
import time

from textual.widgets import Tree

from tests.browse.session import ROOT, Session, browse
from weightscope.browse.nodes import MOST

DEEPSEEK = ROOT / "benchmarks" / "deepseek_v3.json"
TENSORS = 91_991


def made(session: Session) -> int:
    """Nodes that the widget has."""
    return len(session.app.panes.tensors._tree_nodes)


def test_nodes_are_made_when_they_are_opened() -> None:
    async def test(session: Session) -> None:
        assert session.app.panes.tensors.root.data is not None
        assert session.app.panes.tensors.root.data.amounts.tensors == TENSORS
        # The root and its components.
        assert made(session) < 12
        assert session.app.panes._views.__dict__.keys() == {"_model", "by_role"}
        await session.type("model.layers.30.mlp.experts.200.up_proj.weight")
        await session.until(lambda: session.label in ("expert 200", "weight"))
        # Roles, layers and the experts of one layer.
        assert made(session) < 500
        await session.press("b")
        await session.says("By name")
        await session.until(lambda: session.label == "weight")
        assert made(session) < 500
        await session.type("weight")
        await session.says("1 of ")
        assert made(session) < 600

    browse(DEEPSEEK, test)


def test_the_widest_node_has_few_nodes_below_it() -> None:
    async def test(session: Session) -> None:
        tree = session.app.panes.tensors

        def widest(node: object, depth: int = 0) -> int:
            below = tree.children_of(node)  # type: ignore[arg-type]
            deeper = [widest(child, depth + 1) for child in below[:3]] if depth < 4 else []
            return max([len(below), *deeper])

        assert tree.root.data is not None
        assert widest(tree.root.data) <= MOST
        assert widest(session.app.panes._views.by_name) <= MOST

    browse(DEEPSEEK, test)


def all_nodes() -> float:
    """Seconds that Textual takes to make a node for each tensor."""
    tree: Tree[None] = Tree("all")
    before = time.perf_counter()
    for number in range(TENSORS):
        tree.root.add_leaf(f"tensor {number}")
    return time.perf_counter() - before


def test_the_loop_is_free_meanwhile() -> None:
    """No step of the event loop takes a third of the time in which a tree gets a node for each tensor.

    Both are measured on the same machine at the same time.
    """

    async def test(session: Session) -> None:
        longest = 0.0

        async def watch() -> None:
            nonlocal longest
            while True:
                before = time.perf_counter()
                await asyncio.sleep(0.005)
                longest = max(longest, time.perf_counter() - before)

        whole = all_nodes()
        watching = asyncio.create_task(watch())
        await session.press("b")
        await session.says("By name")
        await session.type("*.experts.17.*")
        await session.says("1 of ")
        await session.press("n", "n")
        watching.cancel()
        print(f"longest step {longest:.3f} s, {longest / whole:.2f} of the time for all nodes")
        assert longest < whole / 3

    # As the command does: what the process holds already is not looked through again.
    gc.collect()
    gc.freeze()
    try:
        browse(DEEPSEEK, test)
    finally:
        gc.unfreeze()
