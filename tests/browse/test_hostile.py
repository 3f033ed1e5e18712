"""Names that would move the cursor, hide, reorder, or be markup are shown spelled out, and nothing of them runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browse.session import Session, browse
from tests.helpers import write_safetensors

HOSTILE = {
    "esc\x1b[31mred.weight": r"esc\x1b[31mred",
    "bell\x07.weight": r"bell\x07",
    "two\nlines.weight": r"two\x0alines",
    "tab\there.weight": r"tab\x09here",
    "\u202egnp.weight": r"\u202egnp",
    "zero\u200bwidth.weight": r"zero\u200bwidth",
    "[bold]loud[/bold].weight": "[bold]loud[/bold]",
    "[red on blue]x.weight": "[red on blue]x",
    "[@click=app.quit]click[/].weight": "[@click=app.quit]click[/]",
    "[/]close.weight": "[/]close",
    "$primary.weight": "$primary",
    "back\\[slash.weight": "back\\[slash",
    "{}.weight": "{}.weight",
    "日本語.weight": "日本語",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_tree_the_page_and_the_clipboard_have_it_spelled_out(name: str, tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", name, "plain.weight")

    async def test(session: Session) -> None:
        for view in ("role", "name"):
            assert await session.app.panes.tensors.reveal(name)
            await session.shows(HOSTILE[name])
            await session.until(lambda: HOSTILE[name].replace(" ", "") in session.screen.replace(" ", ""))
            await session.press("y")
            assert HOSTILE[name] in session.app.clipboard
            assert session.app.clipboard.isprintable()
            everything = session.screen + session.detail
            assert all(character.isprintable() or character == "\n" for character in everything)
            if view == "role":
                await session.press("b")
                await session.says("By name")

    browse(tmp_path, test, size=(120, 40))


def test_the_directory_s_own_name_too(tmp_path: Path) -> None:
    folder = tmp_path / "[bold]m\x1b[2J\n"
    folder.mkdir()
    write_safetensors(folder / "model.safetensors", "x.weight")

    async def test(session: Session) -> None:
        assert r"[bold]m\x1b[2J\x0a" in session.screen.split("\n")[0]
        await session.press("f")
        await session.until(lambda: "config-missing" in session.screen)
        assert "\x1b" not in session.screen

    browse(folder, test, size=(120, 40))


def test_a_name_as_long_as_may_be_is_cut_in_the_tree(tmp_path: Path) -> None:
    long = "a" * 500
    write_safetensors(tmp_path / "model.safetensors", f"{long}.weight", f"{long}.bias")

    async def test(session: Session) -> None:
        assert await session.app.panes.tensors.reveal(f"{long}.weight")
        # Folded for the pane, it is there whole.
        await session.until(lambda: long in session.detail.replace("\n", "").replace(" ", ""))
        await session.press("b")
        await session.says("By name")
        assert all(len(label) < 300 for label in session.labels)

    browse(tmp_path, test)


def test_a_search_is_no_markup(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", "x.weight")

    async def test(session: Session) -> None:
        await session.type("[bold]x[/]")
        await session.says("No tensor matches [bold]x[/]")

    browse(tmp_path, test)


def test_names_of_nothing_but_dots_are_names(tmp_path: Path) -> None:
    odd = ["", ".", "..", "a..b", ".weight", " ", "a.", "a"]
    write_safetensors(tmp_path / "model.safetensors", *odd)

    async def test(session: Session) -> None:
        for view in ("role", "name"):
            for name in odd:
                assert await session.app.panes.tensors.reveal(name)
                await session.until(lambda: session.app.panes.chosen is not None)
                chosen = session.app.panes.chosen
                assert chosen is not None
                assert chosen.row.name == name
            if view == "role":
                await session.press("b")
                await session.says("By name")

    browse(tmp_path, test)
