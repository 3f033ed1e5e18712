"""What an adapter says of itself: its method, its ranks and scales, and which modules of which base it is for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import msgspec

from weightscope.adapters.common.patterns import Patterns, Targets

Library = Literal["peft", "mlx", "diffusers", "kohya"]
LORA, ADALORA, DORA = "lora", "adalora", "dora"


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """How OFT makes rotations of what is stored: exactly, or by the first `terms` of a series.

    `limit` is the greatest length of what is stored, over the root of the number of blocks; None for any length. A
    `shared` rotation is that of all blocks.
    """

    terms: int = 0
    limit: float | None = None
    shared: bool = False


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The same for all libraries; what a file does not say is None or empty.

    `method` is the library's word in lower case, `base` how it names the base model, `task` what the adapter was
    trained for. The scale of a low-rank product is `scale` where a file gives it, else alpha / rank, or with `rslora`
    alpha / √rank. `ranks` and `alphas` are those of modules that match a pattern. `saved` are modules that are
    stored whole, `tokens` the rows of tables that are trained, by module. `feedforward` modules have their inputs
    scaled (IA3), `rotation` is OFT's. `replicates` where layers of the base are repeated, each with changes of its own
    (PEFT's `layer_replication`). `unapplied` says in words what of the settings changes the maths in a way that is
    not implemented.
    """

    library: Library
    source: Path | None = None
    method: str = LORA
    base: str = ""
    task: str = ""
    rank: int | None = None
    alpha: float | None = None
    scale: float | None = None
    ranks: Patterns = Patterns()
    alphas: Patterns = Patterns()
    rslora: bool = False
    dora: bool = False
    bias: str = "none"
    targets: Targets = Targets()
    saved: tuple[str, ...] = ()
    tokens: tuple[tuple[str, tuple[int, ...]], ...] = ()
    parameters: tuple[str, ...] = ()
    feedforward: tuple[str, ...] = ()
    rotation: Rotation | None = None
    replicates: bool = False
    unapplied: str = ""

    def rank_of(self, module: str) -> int | None:
        """The rank that the settings give a module; None where they do not tell."""
        found = self.ranks.value_of(module)
        return self.rank if found is None else int(found)

    def alpha_of(self, module: str) -> float | None:
        """The same of its alpha."""
        found = self.alphas.value_of(module)
        return self.alpha if found is None else found

    def scale_of(self, module: str, rank: int) -> float | None:
        """What a module's product is multiplied by; None where nothing tells."""
        if self.scale is not None:
            return self.scale
        alpha = self.alpha_of(module)
        if alpha is None or not rank:
            return None
        return alpha / (math.sqrt(rank) if self.rslora else rank)

    @property
    def known(self) -> bool:
        """Whether the method is one that is read here; of PEFT's others, tensors are counted as stored."""
        return self.library != "peft" or self.method in NAMES

    @property
    def words(self) -> str:
        """The method for people: `LoRA (rank-stabilized)`, `DoRA`."""
        name = NAMES.get(self.method, self.method)
        if self.method == LORA and self.dora:
            name = NAMES[DORA]
        return f"{name} (rank-stabilized)" if self.rslora else name


NAMES = {
    LORA: "LoRA", ADALORA: "AdaLoRA", DORA: "DoRA", "ia3": "IA3", "loha": "LoHa", "lokr": "LoKr",
    "vera": "VeRA", "oft": "OFT", "boft": "BOFT",
    "prompt_tuning": "prompt tuning", "p_tuning": "p-tuning", "prefix_tuning": "prefix tuning",
    "multitask_prompt_tuning": "multitask prompt tuning", "cpt": "context-aware prompt tuning",
    "trainable_tokens": "trainable tokens", "ln_tuning": "LayerNorm tuning",
}  # fmt: skip
