"""The decode state of every declared type is what transformers keeps in its cache after so many tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers
from msgspec.structs import replace

import weightscope
from tests.analyses.cache_oracle import cached_bytes, prepared
from tests.analyses.configs import config_of
from tests.families.remote_code import REMOTE, Remote, write
from tests.families.tiny import TINY, Tiny
from tests.families.tiny_hybrids import RECURRENT_GEMMA
from weightscope.analyses.memory.kept import Kept, kept_by
from weightscope.analyses.memory.state import Sizing, decode_state
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import CausalLM
from weightscope.errors import NotImplementedByWeightscope

# Below the windows and chunks of the tiny models and beyond them; tokens and sequences.
SHORT, LONG = (3, 2), (11, 1)
SOURCE = 5
# transformers keeps more than the maths needs: what is needed, by hand, in bytes at SHORT and at LONG.
NEEDED = {
    # It keeps a key for each of 6 query heads; 2 heads of 4 share one: 2·2·4 elements, 3 layers.
    "falcon-grouped-untied": (16 * 3 * 2 * 2 * 3, 16 * 11 * 2 * 3),
    "RefinedWeb": (16 * 3 * 2 * 2 * 3, 16 * 11 * 2 * 3),
    "falcon-one-norm": (24 * 3 * 2 * 2 * 3, 24 * 11 * 2 * 3),
    # It keeps all tokens in the 2 layers of 3 that have a window of 5; 2·6·4 elements each.
    "gpt_neo": (48 * 3 * 2 * 2 * 3, 48 * (11 + 4 + 4) * 2),
    "gpt_neo-inner-untied": (48 * 3 * 2 * 2 * 3, 48 * (11 + 4 + 4) * 2),
    # Its cache goes by `layer_types`, its masks by the window of 3: 3 layers of 2 tokens, 2·2·4 elements each.
    "starcoder2-listed": (16 * 2 * 2 * 2 * 3, 16 * 2 * 2 * 3),
    # It keeps all tokens in the 2 layers with a window of 5; 2 others have memories of 6 heads of 4·4.
    "minimax-window": ((16 * 3 * 2 + 96 * 2) * 2 * 2, (16 * 4 * 2 + 96 * 2) * 2),
}
GENERATES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
# What transformers cannot run with a cache.
NOT_RUN = {
    "granitemoehybrid-dense": "a cache without a layer of attention is refused",
    "bamba-all-mamba": "a cache without a layer of attention is refused",
    "rwkv": "its state is as wide as the model, and attention_hidden_size is another",
    "rwkv-base": "its state is as wide as the model, and attention_hidden_size is another",
    "idefics": "its text alone cannot be run",
    "idefics-tied": "its text alone cannot be run",
    **dict.fromkeys(("xlnet", "xlnet-untied", "xlnet-before"), "it has no cache: it fills in words of a whole text"),
}


def sizing(tokens: int, batch: int, source: int = 0, dtype: str = "BF16", kv_dtype: str = "BF16") -> Sizing:
    return Sizing(context=tokens, batch=batch, source=source, page_size=16, dtype=dtype, kv_dtype=kv_dtype)


def kept_of(config: Path) -> tuple[Kept, ...]:
    declaration = weightscope.open(config).declaration
    assert declaration
    return kept_by(declaration.tree, declaration.config.model_type)


@pytest.mark.parametrize("tiny", TINY, ids=lambda tiny: tiny.name)
def test_the_state_is_what_transformers_keeps(tiny: Tiny, tmp_path: Path) -> None:
    if tiny.name in NOT_RUN:
        pytest.skip(NOT_RUN[tiny.name])
    model = tiny.build()
    kept = kept_of(config_of(model, tmp_path))
    if not kept:
        assert_reads_only(model)
        return
    # A whole omni model has no pass, its thinker has.
    oracle = prepared(getattr(model, "thinker", model))
    source = SOURCE if oracle.config.is_encoder_decoder else 0
    for place, (tokens, batch) in enumerate((SHORT, LONG)):
        expected = needed(tiny.name, place, cached_bytes(oracle, tokens, batch, source))
        asked = sizing(tokens, batch, source)
        assert decode_state(kept, asked).total.logical == expected


def needed(name: str, place: int, cached: int) -> int:
    """What transformers keeps, or the part of it that the maths needs."""
    assert cached >= NEEDED.get(name, (0, 0))[place]
    return NEEDED[name][place] if name in NEEDED else cached


def assert_reads_only(model: transformers.PreTrainedModel) -> None:
    """It is of no class that generates, or its tokens see later ones."""
    text = model.config.get_text_config()
    both_ways = getattr(text, "use_bidirectional_attention", None) in (True, "all")
    sees_later = getattr(text, "is_causal", None) is False or both_ways
    assert sees_later or not type(model).__name__.endswith(GENERATES)


@pytest.mark.parametrize("remote", REMOTE, ids=lambda remote: remote.name)
def test_types_with_code_of_their_own(remote: Remote, tmp_path: Path) -> None:
    write(remote, tmp_path, {"none": torch.zeros(1)})
    kept, oracle = kept_of(tmp_path / "config.json"), remote.oracle.build()
    if remote.prepare:
        with torch.no_grad():
            remote.prepare(oracle)
    oracle = prepared(oracle)
    for place, (tokens, batch) in enumerate((SHORT, LONG)):
        expected = needed(remote.name, place, cached_bytes(oracle, tokens, batch))
        assert decode_state(kept, sizing(tokens, batch)).total.logical == expected


@pytest.mark.parametrize("vectors", [7, 20])
def test_images_beside_the_text(vectors: int, tmp_path: Path) -> None:
    """Llama 3.2's layers keep keys and values of the vectors that they look at."""
    tiny = next(tiny for tiny in TINY if tiny.name == "mllama_text_model")
    model = tiny.build()
    model.config.save_pretrained(tmp_path)
    kept = kept_of(tmp_path / "config.json")
    # A whole omni model has no pass, its thinker has.
    oracle = prepared(getattr(model, "thinker", model))
    ids = torch.arange(2 * 4).reshape(2, 4)
    images = torch.randn(2, vectors, oracle.config.hidden_size).bfloat16()
    with torch.no_grad():
        cache = oracle(input_ids=ids, cross_attention_states=images, use_cache=True).past_key_values
    expected = sum(t.numel() * 2 for layer in cache.layers for t in (layer.keys, layer.values) if t is not None)
    assert decode_state(kept, sizing(4, 2, source=vectors)).total.logical == expected


def test_a_layer_that_says_nothing_is_refused(tmp_path: Path) -> None:
    """No decode state is guessed for a mixer that does not state one."""

    class Unknown(Component, frozen=True, kw_only=True):
        """Mixes tokens in a way that nobody described."""

    tiny = next(tiny for tiny in TINY if tiny.name == "llama")
    tiny.build().config.save_pretrained(tmp_path)
    tree = weightscope.open(tmp_path / "config.json").declaration.tree  # type: ignore[union-attr]
    assert isinstance(tree, CausalLM)
    layer = Repeat(name="layers", indices=range(3), child=Unknown())
    broken = CausalLM(decoder=replace(tree.decoder, blocks=(layer,)), head=tree.head)
    with pytest.raises(NotImplementedByWeightscope, match="the decode state of mystery is not declared"):
        kept_by(broken, "mystery")


def test_other_types_of_keys_and_of_the_computation(tmp_path: Path) -> None:
    """Keys and values have one type, convolutions that of the computation, a recurrence its own float32."""
    transformers.RecurrentGemmaConfig(**RECURRENT_GEMMA).save_pretrained(tmp_path)
    rows = decode_state(kept_of(tmp_path / "config.json"), sizing(3, 1, dtype="F16", kv_dtype="F8_E4M3")).rows
    assert {row.kind: row.dtype for row in rows} == {
        "convolution": "F16",
        "recurrence": "F32",
        "keys_and_values": "F8_E4M3",
    }
