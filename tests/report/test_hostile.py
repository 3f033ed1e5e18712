"""Names of any characters: the page has the same elements whatever they are, and its data gives them back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers import safetensors_bytes
from tests.report.pages import HOSTILE, Page
from weightscope.api.opening import open_model
from weightscope.api.reporting import contents_of
from weightscope.output.report.model_page import model_page

SCARY = [
    "<",
    ">",
    "&",
    '"',
    "'",
    "`",
    "/",
    "script",
    "<!--",
    "-->",
    "]]>",
    "{",
    "}",
    "{}",
    ".",
    "0",
    "\\",
    "\u2028",
    "\u202e",
]
# A header with a lone surrogate is malformed; a config may have one.
CHARACTERS = st.characters(exclude_categories=["Cs"])
NAMES = st.lists(st.one_of(st.sampled_from(SCARY), CHARACTERS), min_size=1, max_size=12).map("".join)
# Names of each file; a tensor each.
FILES = st.lists(st.one_of(NAMES, st.sampled_from(HOSTILE)), min_size=1, max_size=6, unique=True)


def page_of(folder: Path, names: list[str], text: str = "") -> Page:
    ends = range(16, 16 * len(names) + 1, 16)
    header = {
        name: {"dtype": "F32", "shape": [2, 2], "data_offsets": [end - 16, end]}
        for name, end in zip(names, ends, strict=True)
    }
    (folder / "model.safetensors").write_bytes(safetensors_bytes(json.dumps(header), bytes(ends[-1])))
    (folder / "config.json").write_text(json.dumps({"model_type": text, "architectures": [text]}))
    return Page(model_page(contents_of(open_model(folder, tolerant=True))))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=FILES, text=st.one_of(NAMES, st.sampled_from(HOSTILE), st.characters()))
def test_no_name_makes_an_element_or_leaves_its_place(names: list[str], text: str, tmp_path: Path) -> None:
    page = page_of(tmp_path, names, text)
    plain = page_of(tmp_path, [f"name{place}x" for place, _ in enumerate(names)], "text")
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags} | {"details", "summary", "ul", "dt", "dd"}
    assert [tag for tag, _ in page.tags if tag in ("script", "style", "meta")] == [
        tag for tag, _ in plain.tags if tag in ("script", "style", "meta")
    ]
    attributes = {name for _, each in page.tags for name in each}
    assert not [name for name in attributes if name.startswith("on") or name in ("style", "src", "srcdoc")]
    assert all(each.get("href", "#").startswith("#") for _, each in page.tags)
    assert page.policy == plain.policy
    assert sum(each["tensors"] for each in page.data["sets"]) == len(names)


@pytest.mark.parametrize("name", HOSTILE)
def test_the_data_gives_a_name_back(name: str, tmp_path: Path) -> None:
    (kind,) = page_of(tmp_path, [name]).data["kinds"]
    assert kind["template"].replace("{{", "{").replace("}}", "}") == name
