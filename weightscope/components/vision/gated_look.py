"""Layers of text that attend to images, through a gate that begins closed (Flamingo, arXiv 2204.14198)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from weightscope.components.base import Component
from weightscope.components.norm import Norm
from weightscope.roles import Role
from weightscope.sizes import Shape, Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain


class Look(Component, frozen=True, kw_only=True):
    """Attention whose keys and values come of features of another width."""

    name: str
    projections: tuple[StorageItem, ...]
    width: Size
    features: Size
    inner: Size
    norms: tuple[Norm, ...] = ()

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.projections

    def sizes(self) -> Sizes:
        keys = (self.inner, self.features)
        return {
            Role.Q_PROJ: (self.inner, self.width),
            Role.K_PROJ: keys,
            Role.V_PROJ: keys,
            Role.O_PROJ: (self.width, self.inner),
        }

    def equation(self, x: str = "x") -> str:
        return f"o_proj·softmax(q·kᵀ/√d)·v,  q of {x}, k and v of the images' features"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.Q_PROJ: "q = q_proj·x",
            Role.K_PROJ: "k = k_proj·features",
            Role.V_PROJ: "v = v_proj·features",
            Role.O_PROJ: "o_proj·[heads side by side]",
        }


class GatedLook(Component, frozen=True, kw_only=True):
    """X + tanh(gate)·look(norm(x)), then x + tanh(gate)·feed_forward(norm(x)); a gate is a number or a vector."""

    norm: Norm
    look: Look
    feed_forward_norm: Norm
    feed_forward: Component
    gate: Shape

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Plain("alpha_cross_attn", Role.ATTENTION_GATE, leaf="")
        yield Plain("alpha_dense", Role.FEED_FORWARD_GATE, leaf="")

    def sizes(self) -> Sizes:
        return {Role.ATTENTION_GATE: self.gate, Role.FEED_FORWARD_GATE: self.gate}

    def equation(self, x: str = "x") -> str:
        return f"{x} + tanh(attention_gate)·{self.look.equation('n')},  n = norm({x})"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.ATTENTION_GATE: "tanh(attention_gate) multiplies what the attention to images gives",
            Role.FEED_FORWARD_GATE: "tanh(feed_forward_gate) multiplies what the feed-forward layer gives",
        }
