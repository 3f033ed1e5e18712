"""Every key does what the help says, at 80×24."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browse.session import FIXTURES, LLAMA, Session, browse, printed
from weightscope.browse.detail import Detail
from weightscope.browse.findings import FindingsScreen
from weightscope.browse.help import KEYS, HelpScreen


def test_the_tree_opens_level_by_level() -> None:
    async def test(session: Session) -> None:
        assert session.labels == ["llama", "  embedding", "  attention", "  mlp", "  norm", "  head"]
        await session.press("down", "down", "right")
        await session.until(lambda: "    q_proj" in session.labels)
        await session.press("right", "right")
        await session.until(lambda: "      layer 2" in session.labels)
        await session.press("right")
        assert session.label == "layer 0"
        await session.press("left", "left")
        assert "      layer 0" not in session.labels
        assert session.label == "q_proj"
        await session.shows("attention › q_proj   3 tensors")

    browse(LLAMA, test)


def test_the_page_of_the_model_is_that_of_inspect() -> None:
    async def test(session: Session) -> None:
        width = session.app.panes.detail.scrollable_content_region.width
        assert session.detail + "\n" == printed("inspect", "fixtures/llama", width=width)

    browse(LLAMA, test, size=(120, 40))
    browse(LLAMA, test, size=(200, 50))


@pytest.mark.parametrize(
    ("fixture", "typed", "name"),
    [
        ("llama", "k_proj", "model.layers.0.self_attn.k_proj.weight"),
        ("deepseek-v3", "*.2.mlp.experts.1.up_proj.weight", "model.layers.2.mlp.experts.1.up_proj.weight"),
        ("llava", "linear_1.bias", "multi_modal_projector.linear_1.bias"),
        ("qwen3-mlx-4bit", "layers.1.self_attn.v_proj.scales", "model.layers.1.self_attn.v_proj.scales"),
    ],
)
def test_the_page_of_a_tensor_is_that_of_explain(fixture: str, typed: str, name: str) -> None:
    async def test(session: Session) -> None:
        await session.type(typed)
        await session.shows(name.rpartition(".")[0])
        await session.shows("Stored")
        width = session.app.panes.detail.scrollable_content_region.width
        said = printed("explain", f"fixtures/{fixture}", name, width=width).rstrip("\n").split("\n")
        shown = session.detail.split("\n")
        added = [line for line in shown if line.startswith("Bytes ")]
        assert len(added) == 1
        assert [line for line in shown if line not in added] == said

    browse(FIXTURES / fixture, test)
    if fixture == "llama":
        browse(FIXTURES / fixture, test, size=(200, 50))


def test_search_goes_from_match_to_match_and_round() -> None:
    async def test(session: Session) -> None:
        await session.type("q_proj")
        await session.says("/q_proj   1 of 3")
        await session.shows("model.layers.0.self_attn.q_proj.weight")
        await session.press("n")
        await session.says("2 of 3")
        await session.shows("model.layers.1.self_attn.q_proj.weight")
        await session.press("N", "N")
        await session.says("3 of 3")
        await session.shows("model.layers.2.self_attn.q_proj.weight")
        await session.press("n")
        await session.says("1 of 3")
        await session.press("escape")
        assert session.app.status.text == ""
        await session.press("n")
        await session.says("/ begins")

    browse(LLAMA, test)


def test_search_takes_names_patterns_and_roles() -> None:
    async def test(session: Session) -> None:
        for typed, count in (
            ("*.1.*", 9),  # a layer has nine tensors
            ("model.layers.{0-1}.mlp.up_proj.weight", 2),
            ("input_norm", 3),  # a role, which is in no name
            ("LM_HEAD", 1),
            ("norm", 7),
            ("*", 30),
        ):
            await session.type(typed)
            await session.says(f"/{typed}   1 of {count}")

    browse(LLAMA, test)


def test_search_takes_the_architectures_names_of_a_gguf_file() -> None:
    async def test(session: Session) -> None:
        for typed in ("model.layers.1.self_attn.q_proj", "model.layers.{1}.self_attn.q_proj.*", "blk.1.attn_q."):
            await session.type(typed)
            await session.says(f"/{typed}   1 of 1")
            await session.shows("blk.1.attn_q.weight")

    browse(FIXTURES / "gguf" / "llama.gguf", test)


def test_a_search_without_a_match_says_so_and_one_that_is_given_up_says_nothing() -> None:
    async def test(session: Session) -> None:
        await session.type("no such tensor")
        await session.says("No tensor matches no such tensor")
        await session.type("a/b")
        await session.says("No tensor matches a/b")
        await session.press("slash", "q", "escape")
        assert session.app.panes.tensors.has_focus
        assert session.app.matches is None

    browse(LLAMA, test)


def test_by_name_the_tree_has_the_modules_and_keeps_the_tensor() -> None:
    async def test(session: Session) -> None:
        await session.type("k_proj")
        await session.press("n", "b")
        await session.says("By name")
        await session.until(lambda: session.label == "k_proj.weight")
        assert session.labels[:6] == [
            "llama", "  model", "    embed_tokens.weight", "    layers", "      0", "      1",
        ]  # fmt: skip
        assert session.labels[-2:] == ["    norm.weight", "  lm_head.weight"]
        await session.press("b")
        await session.says("By component and role")
        await session.until(lambda: session.label == "layer 1")

    browse(LLAMA, test)


def test_sorted_by_size_the_largest_comes_first() -> None:
    async def test(session: Session) -> None:
        await session.press("s")
        await session.says("largest first")
        # 11,232 parameters in the MLPs, 6,144 in embedding and head, 4,608 in attention, 168 in norms.
        assert session.labels[1:] == ["  mlp", "  embedding", "  head", "  attention", "  norm"]
        await session.press("down", "down", "s")
        await session.says("forward pass")
        assert session.labels[1] == "  embedding"
        assert session.label == "llama"
        await session.shows("Shape       3 layers")

    browse(LLAMA, test)


def test_enter_gives_a_tensor_the_whole_screen_and_escape_takes_it_back() -> None:
    async def test(session: Session) -> None:
        await session.type("lm_head")
        await session.shows("lm_head.weight")
        await session.press("enter")
        await session.until(lambda: not session.app.panes.tensors.display)
        assert session.app.panes.detail.has_focus
        await session.type("k_proj")
        await session.shows("model.layers.0.self_attn.k_proj.weight")
        await session.press("n")
        await session.shows("model.layers.1.self_attn.k_proj.weight")
        await session.press("escape")
        await session.until(lambda: session.app.panes.tensors.display)
        assert session.app.panes.tensors.has_focus

    browse(LLAMA, test)


def test_help_names_every_key_and_closes() -> None:
    async def test(session: Session) -> None:
        await session.press("question_mark")
        await session.shows("Keys")
        for key, meaning in KEYS:
            assert key in session.screen
            assert meaning in session.screen
        await session.press("escape")
        assert not isinstance(session.app.screen, HelpScreen)

    browse(LLAMA, test)


def test_the_name_is_copied() -> None:
    async def test(session: Session) -> None:
        await session.type("final_norm")
        await session.shows("model.norm.weight")
        await session.press("y")
        assert session.app.clipboard == "model.norm.weight"
        await session.says("Copied model.norm.weight")

    browse(LLAMA, test)


def test_dark_and_light() -> None:
    async def test(session: Session) -> None:
        themes = {session.app.theme}
        await session.press("t")
        themes.add(session.app.theme)
        assert themes == {"textual-dark", "textual-light"}

    browse(LLAMA, test)


def test_the_other_pane_scrolls() -> None:
    async def test(session: Session) -> None:
        await session.press("tab", "down", "down")
        await session.until(lambda: session.app.panes.detail.scroll_offset.y > 0)

    browse(LLAMA, test)


@pytest.mark.parametrize(("key", "code"), [("q", 0), ("ctrl+c", 130)])
def test_the_keys_that_end_it(key: str, code: int) -> None:
    async def test(session: Session) -> None:
        await session.press(key)

    async def test_in_help(session: Session) -> None:
        await session.press("question_mark", "ctrl+c")

    codes: list[int | None] = []

    async def remember(session: Session) -> None:
        await test(session)
        codes.append(session.app.return_code)

    browse(LLAMA, remember)
    assert codes == [code]
    browse(LLAMA, test_in_help)


def test_findings_are_told_with_their_page_and_lead_to_the_tensors(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import load_file, save_file

    broken = load_file(FIXTURES / "llava" / "model.safetensors")
    name = next(name for name in broken if name.endswith("layers.0.mlp.up_proj.weight"))
    broken[name] = np.zeros((3, 5), np.float16)
    save_file(broken, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((FIXTURES / "llava" / "config.json").read_bytes())

    async def test(session: Session) -> None:
        await session.until(lambda: "error" in session.screen.split("\n")[0])
        await session.press("f")
        await session.until(lambda: isinstance(session.app.screen, FindingsScreen))
        await session.until(lambda: "shape-mismatch" in session.screen)
        while "[3, 5]" not in session.detail:
            await session.press("down")
        assert name in session.detail
        width = session.app.screen.query_one(Detail).scrollable_content_region.width
        page = printed("check", "--explain", "shape-mismatch", width=width)
        meaning = page.split("\n\n", 1)[1].rstrip()
        assert session.detail.endswith(f"What this code means\n\n{meaning}")
        await session.press("enter")
        await session.shows(name)
        await session.shows("[3, 5]")
        await session.says("shape-mismatch   1 of 1")
        # And the tensor's own page has it.
        await session.shows("error shape-mismatch")

    browse(tmp_path, test)


def test_a_finding_without_stored_tensors_says_so() -> None:
    async def test(session: Session) -> None:
        await session.press("f")
        await session.until(lambda: isinstance(session.app.screen, FindingsScreen))
        await session.shows("generation_config.json")
        await session.press("enter")
        await session.says("config-missing: none of its tensors is stored here")

    browse(LLAMA, test)
