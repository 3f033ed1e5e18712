"""No value of any key of any config ends in anything but a declaration or one clear error.

`WEIGHTSCOPE_SWEEP=all` tries every case, which takes minutes; otherwise a sample that is always the same.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bounded import BYTES, run_bounded
from weightscope.config import Config
from weightscope.errors import ConfigError, UndeclaredError, WeightscopeError
from weightscope.families import declaration
from weightscope.families.declaration import declare

SAMPLE = 1_500
LLAMA = {
    "model_type": "llama",
    "vocab_size": 16,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


@pytest.mark.slow
def test_any_value_of_any_key(tmp_path: Path) -> None:
    sample = None if os.environ.get("WEIGHTSCOPE_SWEEP") == "all" else SAMPLE
    done = run_bounded(
        tmp_path, program=f"sys.path.insert(0, ''); from tests.families.sweep import main; main({sample})"
    )
    assert done.code == 0, done.err
    failed = done.out.splitlines()[:-1]
    assert failed == []
    # Most of it is transformers, which makes the configs.
    assert done.bytes < BYTES


@pytest.mark.parametrize(
    "error",
    [TypeError("a"), ValueError("a"), ZeroDivisionError("a"), OverflowError("a"), MemoryError(), KeyError("a"),
     AttributeError("a"), IndexError("a"), RecursionError("a")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
@pytest.mark.parametrize("late", [False, True], ids=["while it is built", "while it is walked"])
def test_what_python_raises_is_a_line_about_the_config(
    error: Exception, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    if late:
        monkeypatch.setattr(declaration, "walk", fail)
    else:
        monkeypatch.setattr(Config, "_check_type", fail)
    with pytest.raises(ConfigError) as raised:
        declare(Config(LLAMA))
    assert raised.value.code == "config-invalid"
    assert raised.value.where == "config.json"
    assert str(raised.value).count("\n") == 0
    if not isinstance(error, ZeroDivisionError):
        assert type(error).__name__ in str(raised.value)
        assert ", after reading '" in str(raised.value)


@pytest.mark.parametrize(
    "model_type",
    ["clip", "ernie4_5_vl_moe", "fuyu", "glm4v", "hunyuan_vl", "llama4", "mllama", "paddleocr_vl", "qwen2_vl"],
)
def test_a_part_of_another_kind_is_refused_by_name(model_type: str) -> None:
    """Here eyes stand where the language model is to be."""
    config = {"model_type": model_type, "text_config": {"model_type": "clip_vision_model"}, "vision_config": {}}
    with pytest.raises(UndeclaredError, match=r"text_config\.model_type 'clip_vision_model' is not"):
        declare(Config(config))


def test_text_never_reaches_arithmetic() -> None:
    dbrx = {
        "model_type": "dbrx",
        "vocab_size": "x" * 1000,
        "d_model": 6144,
        "n_heads": 48,
        "n_layers": 40,
        "attn_config": {"kv_n_heads": 8},
        "ffn_config": {"ffn_hidden_size": 10752},
    }
    with pytest.raises(WeightscopeError) as raised:
        declare(Config(dbrx))
    assert "xxxx" in str(raised.value)
    assert raised.value.code == "config-invalid"


def test_an_activation_that_is_null_is_said() -> None:
    """Recurrent Gemma has no other key for it."""
    config = {"model_type": "recurrent_gemma", "vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 2,
              "num_attention_heads": 2, "hidden_activation": None}  # fmt: skip
    with pytest.raises(ConfigError, match="hidden_activation is null"):
        declare(Config(config), {"x"})
