"""Towers and T5's heads whose names have or lack the prefix of the base model: transformers loads all of them."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import transformers
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.tiny import TINY

MOVED = {
    ("ViT", "Model"), ("ViT", "ForImageClassification"), ("DeiT", "Model"), ("Beit", "Model"),
    ("Beit", "ForImageClassification"), ("Data2VecVision", "Model"), ("Dinov2", "Model"),
    ("Dinov2WithRegisters", "ForImageClassification"), ("Swin", "Model"), ("Swin", "ForImageClassification"),
    ("ConvNext", "Model"), ("ConvNextV2", "ForImageClassification"), ("ViTMAE", "ForPreTraining"), ("T5", "Model"),
    ("T5", "ForSequenceClassification"),
}  # fmt: skip
ONE_OF_EACH = {(tiny.kind, tiny.model): tiny for tiny in reversed(TINY) if (tiny.kind, tiny.model) in MOVED}


@pytest.mark.parametrize("moved", sorted(MOVED), ids="".join)
def test_only_info_where_transformers_loads_all(moved: tuple[str, str], tmp_path: Path) -> None:
    model = ONE_OF_EACH[moved].build()
    base = f"{model.base_model_prefix}."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(tmp_path)
        tensors = load_file(tmp_path / "model.safetensors")
        added = moved[1] == "Model"
        spelled = {f"{base}{name}" if added else name.removeprefix(base): x for name, x in tensors.items()}
        save_file(spelled, tmp_path / "model.safetensors", metadata={"format": "pt"})
        _, loading = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    opened = weightscope.open(tmp_path)
    (finding,) = (finding for finding in opened.check() if finding.code == "prefix-mismatch")
    assert finding.severity == "info"
    assert f"transformers {'removes' if added else 'adds'} it" in (finding.hint or "")
    assert [finding for finding in opened.check() if finding.severity != "info"] == []
    assert opened.parameters.total == model.num_parameters()


@pytest.mark.parametrize("kind", ["Beit", "Swin", "ConvNext", "ConvNextV2"])
def test_a_backbone_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    """It has norms of its own in the place of the last one."""
    keys = next(tiny.keys for tiny in TINY if tiny.kind == kind)
    config = getattr(transformers, f"{kind}Config")(**keys)
    getattr(transformers, f"{kind}Backbone")(config).save_pretrained(tmp_path)
    opened = weightscope.open(tmp_path)
    assert opened.declaration is None
    assert f"the head of {kind}Backbone is not declared" in opened.notices[0].message
