"""What a token sees, and how scores are made: against transformers' own masks and sums in float64."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import masking_utils
from transformers.models.bloom.modeling_bloom import build_alibi_tensor

from weightscope.components.attention import attend as attend_module
from weightscope.components.attention.alibi import Alibi
from weightscope.components.attention.attend import attend
from weightscope.components.attention.scores import Scores, Temperature
from weightscope.components.attention.sees import CAUSAL, EVERYTHING, Around, Chunk, Sees, Window

LENGTH = 11
# transformers' masks: whether a query (third) may see a key (fourth).
ORACLES: dict[str, tuple[Sees, Callable[..., Any]]] = {
    "causal": (CAUSAL, masking_utils.causal_mask_function),
    "window": (Window(3), masking_utils.sliding_window_causal_mask_function(3)),
    "wide window": (Window(LENGTH), masking_utils.sliding_window_causal_mask_function(LENGTH)),
    "chunk": (Chunk(4), masking_utils.chunked_causal_mask_function(4, torch.zeros(1, dtype=torch.long))),
    "everything": (EVERYTHING, masking_utils.bidirectional_mask_function),
    "around": (Around(2), masking_utils.sliding_window_bidirectional_mask_function(2)),
    "around all": (Around(LENGTH), masking_utils.sliding_window_bidirectional_mask_function(LENGTH)),
}


def seen(name: str) -> np.ndarray:
    """[queries, keys]: what transformers lets each query see."""
    allows, zero, places = ORACLES[name][1], torch.tensor(0), torch.arange(LENGTH)
    return np.array([[bool(allows(zero, zero, query, key)) for key in places] for query in places])


@pytest.mark.parametrize("name", ORACLES)
def test_what_a_token_sees_is_what_transformers_masks_allow(name: str) -> None:
    sees, allowed = ORACLES[name][0], seen(name)
    places = torch.arange(LENGTH)
    for start, stop in itertools.combinations(range(LENGTH + 1), 2):
        first, last = sees.keys(start, stop, LENGTH)
        hidden = sees.hides(places[start:stop, None], places[first:last])
        ours = np.zeros((stop - start, LENGTH), dtype=bool)
        ours[:, first:last] = True if hidden is None else ~hidden.numpy()
        assert (ours == allowed[start:stop]).all()


@pytest.mark.parametrize("name", ORACLES)
def test_torchs_kernel_is_used_only_where_it_computes_the_same(name: str) -> None:
    fused, allowed = ORACLES[name][0].fused(LENGTH), seen(name)
    whole = {True: np.tril(np.ones((LENGTH, LENGTH), dtype=bool)), False: np.ones((LENGTH, LENGTH), dtype=bool)}
    if fused is None:
        assert not any((allowed == mask).all() for mask in whole.values())
    else:
        assert (allowed == whole[fused]).all()


def by_hand(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, allowed: np.ndarray, scores: Scores, slopes: np.ndarray | None
) -> np.ndarray:
    """Attention head by head and query by query, in float64; sinks are 0.5 · head."""
    heads, length, dim = q.shape
    out = np.zeros((heads, length, v.shape[-1]))
    for head, query in itertools.product(range(heads), range(length)):
        group = head // (heads // len(k))
        keys = np.flatnonzero(allowed[query])
        logits = k[group, keys] @ q[head, query] * (dim**-0.5 if scores.scale is None else scores.scale)
        if scores.cap:
            logits = scores.cap * np.tanh(logits / scores.cap)
        if slopes is not None:
            logits = logits - slopes[head] * (query - keys)
        shares = np.exp(logits - logits.max())
        whole = shares.sum() + (np.exp(0.5 * head - logits.max()) if scores.sinks else 0)
        out[head, query] = shares / whole @ v[group, keys]
    return out


@pytest.mark.parametrize("step", [1, 4, LENGTH])
@pytest.mark.parametrize("alibi", [False, True])
@pytest.mark.parametrize("scores", [Scores(), Scores(scale=0.7), Scores(cap=0.8), Scores(sinks="sinks", cap=2.0)])
@pytest.mark.parametrize("name", ["causal", "window", "chunk", "everything", "around"])
def test_attention_is_the_sum_over_what_is_seen(
    name: str, scores: Scores, alibi: bool, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three queries to a key, values of another width, the queries taken `step` at a time."""
    monkeypatch.setattr(attend_module, "SCORES", 6 * LENGTH * step)
    generator = np.random.default_rng(0)
    q, k, v = (generator.normal(size=shape) for shape in ((6, LENGTH, 8), (2, LENGTH, 8), (2, LENGTH, 5)))
    near = Alibi(heads=6) if alibi else None
    out = attend(
        *(torch.from_numpy(part).float() for part in (q, k, v)),
        scale=scores.factor(8),
        sees=ORACLES[name][0],
        cap=scores.cap,
        bias=near,
        sinks=torch.arange(6) * 0.5 if scores.sinks else None,
    )
    expected = by_hand(q, k, v, seen(name), scores, np.array(near.slopes) if near else None)
    np.testing.assert_allclose(out.numpy(), expected, atol=2e-5)


@pytest.mark.parametrize("heads", [1, 3, 8, 12])
def test_slopes_are_blooms(heads: int) -> None:
    oracle = build_alibi_tensor(torch.ones(1, 2), heads, torch.float32)
    np.testing.assert_allclose(Alibi(heads=heads).slopes, oracle[:, 0, 1].numpy(), rtol=1e-6)


def test_queries_grow_with_the_logarithm_of_their_distance() -> None:
    """Llama 4's: 1 + 0.1 · ln(1 + ⌊(position + 1) / 4⌋)."""
    factors = Temperature(share=0.1, every=4, first=1).of(torch.arange(12)).tolist()
    assert factors == pytest.approx([1 + 0.1 * math.log(1 + (place + 1) // 4) for place in range(12)])
    assert factors[0] == 1
    assert factors[3] == pytest.approx(1.0693147)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (Scores(), "q·kᵀ/√8"),
        (Scores(scale=0.5), "q·kᵀ·0.5"),
        (Scores(cap=50.0), "cap(q·kᵀ/√8, 50)"),
        (Scores(sinks="sinks", scale=1.0), "[q·kᵀ·1 | sink]"),
    ],
)
def test_scores_in_words(scores: Scores, words: str) -> None:
    assert scores.words(8) == words


@pytest.mark.parametrize(
    ("sees", "words"),
    [
        (CAUSAL, ""),
        (Window(4096), "window 4,096"),
        (Chunk(8192), "chunks of 8,192"),
        (EVERYTHING, "bidirectional"),
        (Around(256), "bidirectional within 256"),
    ],
)
def test_what_is_seen_in_words(sees: Sees, words: str) -> None:
    assert sees.words == words
