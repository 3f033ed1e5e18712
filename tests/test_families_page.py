"""docs/families.md is what the code and the tests say today."""

from __future__ import annotations

from tests.families.page import PAGE, page, refusals
from weightscope.families.registry import all_families


def test_the_page_is_up_to_date_and_has_a_row_for_every_type() -> None:
    """Otherwise: `python -m tests.families.page`."""
    written = page()
    assert PAGE.read_text() == written
    for model_type in all_families():
        assert written.count(f"\n| `{model_type}` | ") == 1


def test_refusals_are_read_from_the_code() -> None:
    families = all_families()
    assert list(refusals(families["bloom"].build)) == ["BLOOM with apply_residual_connection_post_layernorm"]
    telechat = list(refusals(families["telechat"].build))
    assert "TeleChat with embed_layernorm" in telechat
    assert "TeleChat with apply_residual_connection_post_layernorm" in telechat
    assert "TeleChat with another scale_attn_weights than True" in telechat
    assert list(refusals(families["llama"].build)) == []
