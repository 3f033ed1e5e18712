"""How llama.cpp's converter would lay out a declared model."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.walk import Slot
from weightscope.config import FLAT, LANGUAGE, Config
from weightscope.errors import NotImplementedByWeightscope
from weightscope.families.common.mixtures import STACKED
from weightscope.families.declaration import Declaration, declare, declare_under
from weightscope.families.siblings.t5_model import APART
from weightscope.gguf import dense, encoders, hybrids, mixtures, others, pooling, seq2seq, windows
from weightscope.gguf.architecture import Architecture
from weightscope.gguf.layout import laid_out, nameless
from weightscope.gguf.table import ARCHITECTURES
from weightscope.roles import SENSES, Role

# Those that the table of architectures has not: there a file's metadata or tensors choose one.
CHOSEN = (
    dense.LLAMA, dense.OLMO2, windows.OLMO3, mixtures.MIXTRAL, mixtures.DEEPSEEK_V2, mixtures.DEEPSEEK_V3,
    hybrids.BAMBA, hybrids.GRANITE_HYBRID, others.FALCON, encoders.BERT, encoders.DISTILBERT, seq2seq.T5, seq2seq.UMT5,
)  # fmt: skip
# Types that the converter writes as another, tensor for tensor.
ALIKE = {
    "mistral": "llama", "internlm3": "llama", "qwen2_5_vl_text": "qwen2_vl_text", "granitemoe": "granitemoeshared",
    "kimi_k2": "deepseek_v3", "RefinedWeb": "falcon", "RefinedWebModel": "falcon",
    "gemma4_unified_text": "gemma4_text",
}  # fmt: skip
BY_TYPE = {found.model_type: found for found in (*ARCHITECTURES.values(), *CHOSEN) if isinstance(found, Architecture)}
# Types whose layers that predict further tokens are written too; of others the converter leaves them out.
WRITES_AHEAD = frozenset({"glm4_moe", "qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "exaone_moe"})


def known() -> tuple[str, ...]:
    """The model types whose layout is known."""
    return tuple(sorted({*BY_TYPE, *ALIKE}))


def apart(declaration: Declaration) -> tuple[Declaration, tuple[Slot, ...]]:
    """The language model of a wrapper, and what sees or hears, which the converter writes into another file."""
    senses = tuple(slot for slot in declaration.slots if slot.section in SENSES)
    inner = _text_config(declaration) if senses else None
    language = declare(inner) if inner else None
    return (declaration, ()) if language is None else (language, senses)


def _text_config(declaration: Declaration) -> Config | None:
    """The part of a wrapper's config that is of its language model; None where there is none."""
    config = declaration.config
    key = next((key for key in LANGUAGE if isinstance(config.data.get(key), dict)), "")
    if not key and config.model_type not in FLAT:
        return None
    data = dict(config.data[key]) if key else {**config.data, "model_type": FLAT[config.model_type]}
    data["tie_word_embeddings"] = declaration.tied
    return Config(data, source=config.source, prefix=f"{key}." if key else "")


def converted(declaration: Declaration) -> Declaration:
    """The declaration with the tensors of the file for slots, without a head that is the embedding.

    Raises:
        NotImplementedByWeightscope: it is not known how a model of this type, or a part of it, would be laid out.
    """
    architecture = BY_TYPE.get(written_as(declaration))
    if architecture is None:
        raise NotImplementedByWeightscope(
            f"how llama.cpp would quantize {declaration.family.model_type} is not known",
            hint=f"known are {', '.join(known())}",
        )
    whole = _as_converted(declaration, architecture)
    if (slot := nameless(whole, architecture)) is not None:
        role = slot.stored.parts[0][0]
        raise NotImplementedByWeightscope(f"how llama.cpp would quantize {slot.template} ({role}) is not known")
    laid = laid_out(whole, architecture, None)
    if not whole.tied:
        return laid
    slots = (slot for slot in laid.slots if slot.auxiliary or slot.stored.parts[0][0] is not Role.LM_HEAD)
    return replace(laid, slots=tuple(slots))


def written_as(declaration: Declaration) -> str:
    """The model type as which the converter writes it."""
    model_type = declaration.family.model_type
    return ALIKE.get(model_type, model_type)


def _as_converted(declaration: Declaration, architecture: Architecture) -> Declaration:
    """The declaration with the experts of a layer in one tensor, without a pooler and what is not written."""
    whole = declare_under(declaration.config, _spellings(declaration))
    assert whole is not None
    if architecture.cut is not None:
        return pooling.as_converted(whole)
    ahead = architecture.model_type in WRITES_AHEAD
    return replace(whole, slots=tuple(slot for slot in whole.slots if ahead or not slot.auxiliary))


def _spellings(declaration: Declaration) -> tuple[str, ...]:
    """Those that the converter wants: the experts of a layer in one tensor, and T5's own head where it has one."""
    if any(slot.chosen != (1, 1) for slot in declaration.slots):
        return (STACKED,)
    return (APART,) if declaration.config.data.get("tie_word_embeddings") is False else ()
