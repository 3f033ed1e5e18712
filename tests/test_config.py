"""Configs as families read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import GPT2Config

from weightscope.config import Config, Nullable, read_config
from weightscope.errors import ConfigError

DEFAULTS = {"hidden_size": 4096, "head_dim": None, "bias": False, "eps": 1e-6, "act": "silu"}
HEADS = {"heads": 8}


def test_integers_know_their_key() -> None:
    config = Config({"hidden_size": 64, "text_config": {"heads": 4}}, defaults=DEFAULTS)
    assert (config["hidden_size"], config["hidden_size"].text) == (64, "hidden_size")
    assert config.nested("text_config").with_defaults(HEADS)["heads"].text == "text_config.heads"


def test_absent_keys_have_their_class_s_default_and_null_stays_null() -> None:
    config = Config({"head_dim": None}, defaults=DEFAULTS)
    assert config["hidden_size"] == 4096
    assert config["head_dim"] is None
    assert config["bias"] is False


def test_keys_that_were_read_are_known() -> None:
    config = Config({"hidden_size": 64, "other": 1, "text_config": {"heads": 4}}, defaults=DEFAULTS)
    config["hidden_size"]
    config.nested("text_config").with_defaults(HEADS)["heads"]
    assert config.read == {"hidden_size", "text_config", "text_config.heads"}


def test_the_attribute_map_has_other_spellings_of_one_key() -> None:
    config = Config({"hidden_size": 64}, defaults={"n_embd": 768}, attribute_map={"hidden_size": "n_embd"})
    assert (config["n_embd"], config["n_embd"].text) == (64, "hidden_size")
    both = Config({"hidden_size": 64, "n_embd": 32}, defaults={"n_embd": 768}, attribute_map={"hidden_size": "n_embd"})
    assert both["n_embd"] == GPT2Config(hidden_size=64, n_embd=32).n_embd == 64


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("hidden_size", "64", "not a whole number"),
        ("hidden_size", 64.5, "not a whole number"),
        ("hidden_size", True, "not a whole number"),
        ("hidden_size", -64, "cannot be negative"),
        ("bias", 1, "not true or false"),
        ("eps", "small", "not a number"),
        ("act", 3, "not a string"),
    ],
)
def test_a_value_of_another_kind_is_an_error_that_names_it(key: str, value: Any, kind: str) -> None:
    with pytest.raises(ConfigError, match=f"'{key}' is .*{kind}") as error:
        Config({key: value}, defaults=DEFAULTS, source=Path("m/config.json"))[key]
    assert error.value.code == "config-invalid"
    assert str(error.value).startswith("m/config.json: ")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "is nan, not a finite number"),
        (float("-inf"), "is -inf, not a finite number"),
        (10**5000, "has 5001 digits"),
        (-(10**30), "has 31 digits"),
        ("x" * 1001, "has 1,001 characters"),
        ([0] * 100_001, "has 100,001 items"),
    ],
    ids=["nan", "infinite", "5,001 digits", "31 digits", "text", "list"],
)
def test_no_key_has_a_value_beyond_measure(value: Any, said: str) -> None:
    """Whether the class tells its type or not."""
    for default in (None, Nullable(object)):
        with pytest.raises(ConfigError, match=f"'key' {said}"):
            Config({"key": value}, defaults={"key": default})["key"]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "b": [{"c": 1.5e-3, "d": null}, {"c": 12345678901234567890, "d": -0.0}], "e": {}}',
        '{"url": "https://x:8080", "é": "a: \\u00e9 \\ud83d\\ude00"}',
        '{"nested": {"nested": {"nested": [[], [{}], "x"]}}, "limit": [0, Infinity]}',
    ],
)
def test_a_config_is_decoded_as_the_standard_library_does(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    decoded = read_config(tmp_path / "config.json").data
    assert decoded == json.loads(text)
    assert repr(decoded) == repr(json.loads(text))


def test_half_of_a_surrogate_pair_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(r'{"a": "\ud83d\ude00", "b": ["\\ud800"]}')
    assert read_config(tmp_path / "config.json").data["a"] == "\U0001f600"
    for text in (r'{"a": {"b": ["\ud800"]}}', r'{"\uDC00": 1}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ConfigError, match="half of a surrogate pair"):
            read_config(tmp_path / "config.json")


@pytest.mark.parametrize("keys", [{}, {"vocab_size": 7}], ids=["absent", "in the file"])
def test_reading_what_is_not_declared_is_the_programmer_s_error(keys: dict[str, Any]) -> None:
    config = Config({"model_type": "llama"} | keys, defaults=DEFAULTS)
    assert not config.declares("vocab_size")
    with pytest.raises(AssertionError, match="llama reads 'vocab_size', which it does not declare"):
        config["vocab_size"]


@pytest.mark.parametrize(
    ("keys", "dtype"),
    [
        ({"torch_dtype": "bfloat16"}, "BF16"),
        ({"dtype": "float16"}, "F16"),
        ({"dtype": "torch.float32"}, "F32"),
        ({"text_config": {"dtype": "bfloat16"}}, "BF16"),
        ({"dtype": "float16", "torch_dtype": "bfloat16"}, "F16"),
        ({}, None),
        ({"dtype": "auto"}, None),
        ({"dtype": 16}, None),
    ],
)
def test_both_spellings_of_the_dtype(keys: dict[str, Any], dtype: str | None) -> None:
    assert Config(keys).dtype == dtype


@pytest.mark.parametrize(
    ("architectures", "base"),
    [
        (["LlamaModel"], True),
        (["LlamaForCausalLM"], False),
        (["GPT2LMHeadModel"], False),
        (["Qwen2ForProcessRewardModel"], False),
        (["RoFormerModel"], True),
        ([], False),
        (None, False),
        ("x", False),
    ],
)
def test_base_models_are_told_by_their_architecture(architectures: Any, base: bool) -> None:
    assert Config({"architectures": architectures}).is_base_model is base


def test_infinity_is_read_as_mamba_2_publishes_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('\ufeff{"time_step_limit": [0.0, Infinity]}', encoding="utf-8")
    assert read_config(tmp_path / "config.json").data["time_step_limit"] == [0.0, float("inf")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"[]", "not a JSON object"),
        (b"{} and more", r"ends at line 1, column 4, and 8 more characters follow \('and more'\)"),
        (b'{"a": 1, "b": {"c": 2, "c": [3]}}', r"gives 'c' twice, as 2 and as \[3\]"),
        (b'{"a": {"b": 1}, "a": "\\u003a\\u003a"}', "gives 'a' twice"),
        (b'{"a": ', "not JSON"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_not_a_config_is_an_error(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match=said) as error:
        read_config(tmp_path / "config.json")
    assert error.value.code == "config-invalid"


def test_published_config_with_text_after_its_json(tmp_path: Path) -> None:
    """As xinlai/LISA-7B's copy was published: the object, then more."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}) + "\nof the model\n")
    with pytest.raises(ConfigError, match="the JSON ends at line 2, column 1, and 13 more characters follow"):
        read_config(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({}, "id2label"),
        ({"id2label": {"0": "no", "1": "yes", "2": "maybe"}}, "id2label"),
        ({"num_labels": 50}, "num_labels"),
        ({"num_labels": 50, "id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, "num_labels"),
    ],
)
def test_classes_as_transformers_counts_them(keys: dict[str, Any], key: str) -> None:
    labels = Config(keys).labels
    assert (labels, labels.text) == (GPT2Config(**keys).num_labels, key)
