"""Whole screens, as they are painted."""

from __future__ import annotations

import pytest

from tests.browse.session import LLAMA, Session, browse

FOOTER = " v Values  s Sort  b Role/name  / Search  n Next  f Findings  ? Help  q Quit"
START = """\
 llama   LlamaForCausalLM · safetensors in 4 shards · 56.6 kB · BF16    2 notes
▼ llama                      28.3 K│ llama   LlamaForCausalLM ·
├ ▶ embedding                6.14 K│ safetensors in 4 shards · 56.6 kB · BF16
├ ▶ attention                4.61 K│
├ ▶ mlp                      11.2 K│ Parameters  28,296  (28.3 K)   16.0 K
├ ▶ norm                        168│             without embeddings and head
└ ▶ head                     6.14 K│ Shape       3 layers · hidden 24 ·
                                   │             6 heads of 4 (2 kv) ·
                                   │             mlp 52 · vocabulary 256
                                   │ Embeddings  untied: lm_head is stored
                                   │             separately (6,144)
                                   │ Stored      BF16 56.6 kB
                                   │             16 bits per parameter
                                   │ State       96 B per token, of each
                                   │             sequence
                                   │
                                   │ Part       Params   Share
                                   │ embedding   6,144  21.7 %  █▊
                                   │ attention   4,608  16.3 %  █▎
                                   │ mlp        11,232  39.7 %  ███▏
                                   │ norm          168   0.6 %  ▏"""
ATTENTION = """\
├ ▼ attention                4.61 K│ Parameters  1,728   6.1 % of all
│ ├ ▼ q_proj                 1.73 K│ Bytes       3.46 kB
│ │ ├   layer 0                 576│
│ │ ├   layer 1                 576│ Part     Params   Share
│ │ └   layer 2                 576│ layer 0     576  33.3 %  ██▋
│ ├ ▶ k_proj                    576│ layer 1     576  33.3 %  ██▋
│ ├ ▶ v_proj                    576│ layer 2     576  33.3 %  ██▋
│ └ ▶ o_proj                 1.73 K│
"""


def test_the_start_at_80_by_24() -> None:
    async def test(session: Session) -> None:
        await session.until(lambda: "2 notes" in session.screen and FOOTER in session.screen)
        lines = session.screen.split("\n")
        assert len(lines) == 24
        assert "\n".join(lines[:21]) == START
        assert lines[-1] == FOOTER
        assert max(map(len, lines)) <= 80

    browse(LLAMA, test)


def test_a_role_at_80_by_24() -> None:
    async def test(session: Session) -> None:
        await session.press("down", "down", "right")
        await session.until(lambda: "    q_proj" in session.labels)
        await session.press("down", "right")
        await session.until(lambda: "      layer 2" in session.labels)
        await session.shows("33.3 %")
        await session.until(lambda: ATTENTION in session.screen)

    browse(LLAMA, test)


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (200, 50), (60, 20)])
def test_nothing_is_wider_than_its_pane(size: tuple[int, int]) -> None:
    async def test(session: Session) -> None:
        await session.type("q_proj")
        await session.shows("self_attn.q_proj.weight")
        await session.press("v")
        await session.shows("Corner")
        width = session.app.panes.detail.scrollable_content_region.width
        assert max(map(len, session.detail.split("\n"))) <= width
        assert len(session.screen.split("\n")) == size[1]

    browse(LLAMA, test, size=size)


def test_text_is_laid_out_again_for_another_width() -> None:
    async def test(session: Session) -> None:
        await session.type("q_proj")
        await session.shows("self_attn.q_proj.weight")
        detail = session.app.panes.detail
        for width in (200, 60, 80):
            await session.pilot.resize_terminal(width, 24)
            await session.pilot.pause(0.2)
            assert session.app.size.width == width
            assert max(map(len, session.detail.split("\n"))) <= detail.scrollable_content_region.width
            assert ("num_attention_heads·head_dim × hidden_size" in session.detail) == (width == 200)

    browse(LLAMA, test)
