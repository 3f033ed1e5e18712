"""What the hybrids add: nothing to find in a sound model, and mixers that are accounted as what they are."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import weightscope
from tests.families.tiny import Tiny
from tests.families.tiny_hybrids import TINY_HYBRIDS
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.registry import declare

# What only a mixer with a state or a convolution has.
MARK = re.compile(r"(.*\.)(A_log|conv(1d|_1d|)\.weight|time_decay)")
every_hybrid = pytest.mark.parametrize("tiny", TINY_HYBRIDS, ids=lambda tiny: tiny.name)


@every_hybrid
def test_check_finds_nothing(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    findings = weightscope.open(saved(tiny.name)).check()
    assert [finding for finding in findings if finding.severity != "info"] == []


@every_hybrid
def test_mixers_are_accounted_to_the_state_space(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    """Every weight of a recurrent or convolutional module, but for its norms, and no other."""
    model = weightscope.open(saved(tiny.name))
    modules = tuple(found[1] for name in model.tensors if (found := MARK.fullmatch(name)))
    mixers = {name for name in model.tensors if name.startswith(modules) and "norm" not in name}
    assert mixers == {name for name, tensor in model.tensors.items() if tensor.component == "state_space"}
    assert mixers


@pytest.mark.parametrize(("name", "key"), [("lfm2-layer_types", "layer_types")])
def test_unknown_kinds_of_layers_are_refused_by_name(name: str, key: str, saved: Callable[[str], Path]) -> None:
    config = json.loads((saved(name) / "config.json").read_text())
    config[key][1] = "chunked_attention"
    with pytest.raises(UndeclaredError, match="chunked_attention"):
        declare(Config(config))
