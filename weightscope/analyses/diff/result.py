"""What `weightscope diff` found, in the words of its JSON."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from weightscope.brief import Displayed, clipped
from weightscope.escapes import visible
from weightscope.findings import Finding

Kind = Literal[
    "identical",
    "same-weights",
    "rounded",
    "norm-offset",
    "multiplied",
    "quantization",
    "lora-merge",
    "fine-tune",
    "unrelated-values",
    "incomplete",
    "same-shapes",
    "compatible",
    "incompatible",
    "unrelated",
]


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two models.

    Attributes:
        reference: what was opened.
        model_type: the config's.
        format: of its files.
        weights: how many it has.
        precision: the dtype of most of its weights, or how they are quantized.
        parameters: its weights, without what an adapter adds; None where nothing tells.
        auxiliary: weights beside those, which the main model runs without; None where nothing tells.
    """

    reference: str
    model_type: str
    format: str
    weights: int
    precision: str
    parameters: int | None
    auxiliary: int | None


class ComponentDiff(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of a component in both models.

    Attributes:
        component: such as `attention`.
        a: A's; None where nothing tells.
        b: B's; None where nothing tells.
    """

    component: str
    a: int | None
    b: int | None


class ConfigChange(msgspec.Struct, frozen=True, kw_only=True):
    """A key that means something else.

    Attributes:
        key: its name.
        a: A's value, or the default of its class.
        b: B's value, or the default of its class.
    """

    key: str
    a: Any
    b: Any


class Reshaped(msgspec.Struct, frozen=True, kw_only=True):
    """A weight with another shape.

    Attributes:
        address: where it is in the model.
        a: its shape in A.
        b: its shape in B.
        rows_added: rows of B beyond A's, where only the first dimension differs; otherwise None.
    """

    address: str
    a: tuple[int, ...]
    b: tuple[int, ...]
    rows_added: int | None


class Retyped(msgspec.Struct, frozen=True, kw_only=True):
    """Weights that are stored in another dtype.

    Attributes:
        a: the dtype in A.
        b: the dtype in B.
        weights: how many.
        titles: which, with ranges.
    """

    a: str
    b: str
    weights: int
    titles: tuple[str, ...]


class WeightDiff(msgspec.Struct, frozen=True, kw_only=True):
    """The values of one weight in both models, over the rows that both have.

    Attributes:
        address: where it is in the model.
        role: such as `q_proj`.
        component: such as `attention`.
        layer: the layer's number; None outside of layers.
        elements: how many were compared.
        differing: how many of them differ.
        relative: ‖A−B‖/‖A‖; None where a value is not finite in one model alone.
        cosine: of the angle between A and B; None as above.
        largest: the largest difference; None as above.
        rounded: whether B is A in B's dtype, or A is B in A's.
        rank: of the difference, where it is far below what it could be.
        stored_alike: whether both have the same bytes; equal numbers may be stored as others, such as codes with other
            scales.
    """

    address: str
    role: str
    component: str
    layer: int | None
    elements: int
    differing: int
    relative: float | None
    cosine: float | None
    largest: float | None
    rounded: bool = False
    rank: int | None = None
    stored_alike: bool = False

    @property
    def equal(self) -> bool:
        """Whether all numbers are the same; NaN equals NaN."""
        return not self.differing


class RoleDiff(msgspec.Struct, frozen=True, kw_only=True):
    """All weights of a role.

    Attributes:
        role: such as `q_proj`.
        component: such as `attention`.
        weights: how many were compared.
        equal: how many of them are equal.
        relative: ‖A−B‖/‖A‖ over all of them.
        cosine: of the angle between A and B.
        largest: the largest difference.
        rank: of the difference in each of them; None where there is none to tell.
    """

    role: str
    component: str
    weights: int
    equal: int
    relative: float | None
    cosine: float | None
    largest: float | None
    rank: int | None


class ForwardDiff(msgspec.Struct, frozen=True, kw_only=True):
    """The logits of both models on the same tokens, over the tokens that both vocabularies have.

    Attributes:
        tokens: the token ids.
        prompt: the text that they are of, if any.
        vocabulary: tokens that both vocabularies have.
        largest: the largest difference, relative to the RMS of A's logits.
        nmse: ‖A−B‖²/‖A‖².
        kl: the mean divergence of B from A, in nats.
        top1: the share of positions with the same likeliest token, from 0 to 1.
    """

    tokens: tuple[int, ...]
    prompt: str | None
    vocabulary: int
    largest: float
    nmse: float
    kl: float
    top1: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What B is to A.

    Attributes:
        kind: in a word.
        text: in a sentence.
        rank: of a merged LoRA; otherwise None.
    """

    kind: Kind
    text: str
    rank: int | None = None


class Diff(Displayed, msgspec.Struct, frozen=True, kw_only=True):
    """Two models side by side, key for key the JSON of `weightscope diff`.

    Weights are named by address, such as `layers.3.attention.q_proj`; docs/lock.md says how.

    Attributes:
        schema_version: of the JSON.
        ok: whether they differ in their form alone.
        complete: whether all was compared; False after an interruption.
        verdict: what B is to A, in a word and in a sentence.
        a: the first model.
        b: the second.
        components: the parameters of each component in both.
        config: keys that mean something else.
        both: how many weights both have.
        added: addresses of weights that B alone has.
        removed: addresses of weights that A alone has.
        reshaped: weights with another shape.
        retyped: weights in another dtype.
        renamed: how many tensors have another name.
        values: by weight; None unless values were compared.
        roles: by role; None unless values were compared.
        untouched: kinds of weights that are equal throughout.
        forward: how far the logits are apart; None unless asked for.
        findings: `different`.
    """

    schema_version: int = 1
    ok: bool
    complete: bool = True
    verdict: Verdict
    a: Side
    b: Side
    components: tuple[ComponentDiff, ...]
    config: tuple[ConfigChange, ...]
    both: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    reshaped: tuple[Reshaped, ...]
    retyped: tuple[Retyped, ...]
    renamed: int
    values: tuple[WeightDiff, ...] | None = None
    roles: tuple[RoleDiff, ...] | None = None
    untouched: tuple[str, ...] = ()
    forward: ForwardDiff | None = None
    findings: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        return f"Diff({clipped(self.a.reference)}, {clipped(self.b.reference)}: {visible(self.verdict.text)})"
