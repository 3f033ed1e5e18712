"""Feed-forward layers: two matrices, or three with a gate (Shazeer 2020)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.live import Live
from weightscope.components.norm import Norm, live_in
from weightscope.components.running import At, linear
from weightscope.components.step import Moment
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem

if TYPE_CHECKING:
    import torch

    from weightscope.components.live import Widths
    from weightscope.components.state import State
    from weightscope.components.step import Step

# How many copies of what it acts on an activation of several steps needs, with its input.
COPIES = {"gelu_fast": 5, "gelu_new": 4, "relu2": 3}
# The same of one with weights: what enters, four steps, and which elements are positive.
XIELU = 5
# How many of them the backward pass needs, with what comes out.
SAVED = {"relu": 1, "gelu_new": 5, "quick_gelu": 3}
# How many gradients and copies live while the backward pass goes through them.
GRADIENTS = {"relu2": 4, "gelu_new": 3, "quick_gelu": 3}


class GatedMLP(Component, frozen=True, kw_only=True):
    """down(act(gate(x)) · up(x)); `inner` is the width between.

    `limit` bounds the gate from above and up on both sides, `lift` is added to up, and `steepness` is the s of the
    gate's activation g·sigmoid(s·g), in place of `activation` (gpt-oss). `gate_scale` multiplies what enters the
    activation, `out_scale` what leaves (Falcon-H1). `sparsity` is the share of the gate's elements that are cut off,
    the smallest, were they normally distributed (Gemma 3n). `norm` acts on the product (BitNet). `ceiling` is what
    `limit` is, but for the activated gate (Step 3.5). `outputs` is the width of what leaves, where it is another
    (Idefics 2's projector).
    """

    name: str
    items: tuple[StorageItem, ...]
    width: Size
    inner: Size
    activation: str
    limit: float | None = None
    lift: float = 0.0
    steepness: float | None = None
    gate_scale: float = 1.0
    out_scale: float = 1.0
    sparsity: float = 0.0
    norm: Norm | None = None
    ceiling: float | None = None
    outputs: Size | None = None
    word: ClassVar[str] = "mlp"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.items

    def sizes(self) -> Sizes:
        return {
            Role.GATE_PROJ: (self.inner, self.width),
            Role.UP_PROJ: (self.inner, self.width),
            Role.DOWN_PROJ: (self.width if self.outputs is None else self.outputs, self.inner),
        }

    @property
    def glance(self) -> str:
        return f"mlp {self.inner:,}"

    def equation(self, x: str = "x") -> str:
        gate, up = self._words(x)
        out = f"{self.out_scale:.4g}·" if self.out_scale != 1.0 else ""
        return f"{out}down_proj·{self._normed}({gate} ⊙ {up})"

    def terms(self) -> Mapping[Role, str]:
        gate, up = self._words("x")
        return {
            Role.GATE_PROJ: f"g = {gate}",
            Role.UP_PROJ: f"u = {up}",
            Role.DOWN_PROJ: f"down_proj·{self._normed}(g ⊙ u)",
        }

    def live(self, widths: Widths) -> tuple[Live, ...]:
        """What is added to, and what makes the product; or that and the same normed."""
        copies = max(self.copies(fused=_is_fused(self)), 1 + live_in(self.norm, widths))
        return (Live(elements=int(self.width) * (1 + widths.left) + int(self.inner) * copies),)

    def copies(self, *, fused: bool) -> int:
        """How many times `inner` lives at once: the activated gate, up and their product.

        Where gate and up are made at once both stay, with what bounds them; what is added to up is one more, and a
        gate of a steepness of its own stays beside what it becomes.
        """
        bounded = 2 if fused and self.limit is not None else 0
        return 3 + fused + bounded + (self.lift != 0.0) + (self.steepness is not None and not fused)

    def saves(self, step: Step) -> int | None:
        """What enters, the gate before and after its activation and up, and for down_proj what enters it."""
        # Up is kept for the gate's gradient, the activated gate for that of up.
        copies = SAVED.get(self.activation, 2) if step.leaves(self, Role.GATE_PROJ) else 0
        copies += 1 if step.leaves(self, Role.UP_PROJ) else 0
        norm = self.norm.saves(step.past(self)) if self.norm else 0
        entering = step.kept_before(self, Role.GATE_PROJ, Role.UP_PROJ)
        return entering + copies * int(self.inner) + norm + step.kept_before(self, Role.DOWN_PROJ)

    def saves_input(self, step: Step) -> int:
        return step.input_of(self, Role.GATE_PROJ, Role.UP_PROJ)

    def backward(self, step: Step) -> tuple[Moment, ...]:
        """The gradients of the product, the activated gate and up, or of the product beside down_proj's.

        What down_proj kept is free by then.
        """
        inner = int(self.inner)
        product = step.kept_before(self, Role.DOWN_PROJ)
        normed = self.norm.backward(step) if self.norm else ()
        made = step.made(self, Role.DOWN_PROJ, inner * int(self.width))
        return (
            Moment(elements=3 * inner - product),
            Moment(elements=inner, weight=made),
            *_adapted(self, step, inner + product),
            *(Moment(elements=moment.elements - product) for moment in normed),
        )

    def keeps(self) -> tuple[State, ...]:
        """Nothing: it sees one token at a time."""
        return ()

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, width] to [T, width], or as wide as `outputs`."""
        weights = at.weights(self)
        inner = self._gated(x, weights)
        return self._leaving(at.call(self.norm, inner) if self.norm else inner, weights)

    def mix(self, x: torch.Tensor, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """[T, width] to [T, width] by matrices that lie anywhere, without a norm."""
        return self._leaving(self._gated(x, weights), weights)

    def _gated(self, x: torch.Tensor, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The activated gate times up, [T, inner]."""
        import torch

        gate, up = linear(x, weights, Role.GATE_PROJ), linear(x, weights, Role.UP_PROJ)
        if self.gate_scale != 1.0:
            gate = gate * self.gate_scale
        if self.sparsity:
            from statistics import NormalDist

            spread = gate.std(-1, keepdim=True, correction=0) * NormalDist().inv_cdf(self.sparsity)
            gate = (gate - gate.mean(-1, keepdim=True) - spread).clamp_min(0)
        if self.limit is not None:
            gate, up = gate.clamp(max=self.limit), up.clamp(-self.limit, self.limit)
        if self.steepness is None:
            gate = activate(self.activation, gate)
        else:
            gate = gate * torch.sigmoid(self.steepness * gate)
        if self.ceiling is not None:
            gate, up = gate.clamp(max=self.ceiling), up.clamp(-self.ceiling, self.ceiling)
        # Both are this function's own: what follows needs neither as it was.
        return up.add_(self.lift).mul_(gate) if self.lift else up.mul_(gate)

    def _leaving(self, inner: torch.Tensor, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        out = linear(inner, weights, Role.DOWN_PROJ)
        return out * self.out_scale if self.out_scale != 1.0 else out

    @property
    def _normed(self) -> str:
        return self.norm.word if self.norm else ""

    def _words(self, x: str) -> tuple[str, str]:
        gate, up = f"gate_proj·{x}", f"up_proj·{x}"
        gate = f"{self.gate_scale:.4g}·{gate}" if self.gate_scale != 1.0 else gate
        gate = f"top({gate}, {1 - self.sparsity:.3g})" if self.sparsity else gate
        if self.limit is not None:
            gate, up = f"min({gate}, {self.limit:g})", f"clamp({up}, ±{self.limit:g})"
        activation = WORDS.get(self.activation, self.activation)
        activation = activation if self.steepness is None else f"swish({self.steepness:g})"
        gate = f"{activation}({gate})"
        if self.ceiling is not None:
            gate, up = f"min({gate}, {self.ceiling:g})", f"clamp({up}, ±{self.ceiling:g})"
        return gate, f"({up} + {self.lift:g})" if self.lift else up


class MLP(Component, frozen=True, kw_only=True):
    """down(act(up(x))); `learned` is an activation with weights, in the place of one that has only a name.

    `norm` acts on what is activated (Kosmos-2).
    """

    name: str
    items: tuple[StorageItem, ...]
    width: Size
    inner: Size
    activation: str
    learned: Component | None = None
    norm: Norm | None = None
    word: ClassVar[str] = "mlp"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.items

    def sizes(self) -> Sizes:
        return {Role.UP_PROJ: (self.inner, self.width), Role.DOWN_PROJ: (self.width, self.inner)}

    @property
    def glance(self) -> str:
        return f"mlp {self.inner:,}"

    def equation(self, x: str = "x") -> str:
        return f"down_proj·{self._inner(x)}"

    def terms(self) -> Mapping[Role, str]:
        return {Role.UP_PROJ: f"u = {self._inner('x')}", Role.DOWN_PROJ: "down_proj·u"}

    def live(self, widths: Widths) -> tuple[Live, ...]:
        """What is added to, up and the same activated, in one step or several; or that and the same normed."""
        activated = XIELU if self.learned else COPIES.get(self.activation, 2)
        copies = max(activated, 1 + live_in(self.norm, widths))
        return (Live(elements=int(self.width) * (1 + widths.left) + int(self.inner) * copies),)

    def saves(self, step: Step) -> int | None:
        """What enters, up before its activation and in its steps, and for down_proj what comes out."""
        if self.learned:
            return None
        reached = step.leaves(self, Role.UP_PROJ)
        return (
            step.kept_before(self, Role.UP_PROJ)
            + (int(self.inner) * (SAVED.get(self.activation, 2) - 1) if reached else 0)
            + step.kept_before(self, Role.DOWN_PROJ)
        )

    def saves_input(self, step: Step) -> int:
        return step.input_of(self, Role.UP_PROJ)

    def backward(self, step: Step) -> tuple[Moment, ...]:
        """The gradients of what the activation gave and took, or of the first beside down_proj's.

        What down_proj kept is free by then.
        """
        inner, product = int(self.inner), step.kept_before(self, Role.DOWN_PROJ)
        steps = Moment(elements=inner * GRADIENTS.get(self.activation, 2) - product)
        made = step.made(self, Role.DOWN_PROJ, inner * int(self.width))
        later = inner * (SAVED.get(self.activation, 2) - 1) + product
        return (steps, Moment(elements=inner, weight=made), *_adapted(self, step, later))

    def keeps(self) -> tuple[State, ...]:
        """Nothing: it sees one token at a time."""
        return ()

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, width] to [T, width]."""
        weights = at.weights(self)
        if self.learned is None and self.norm is None:
            return self.mix(x, weights)
        up = linear(x, weights, Role.UP_PROJ)
        inner = at.call(self.learned, up) if self.learned else activate(self.activation, up)
        return linear(at.call(self.norm, inner) if self.norm else inner, weights, Role.DOWN_PROJ)

    def mix(self, x: torch.Tensor, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """[T, width] to [T, width] by matrices that lie anywhere."""
        return linear(activate(self.activation, linear(x, weights, Role.UP_PROJ)), weights, Role.DOWN_PROJ)

    def _inner(self, x: str) -> str:
        """What the second matrix acts on, in words."""
        made = f"{WORDS.get(self.activation, self.activation)}(up_proj·{x})"
        return f"{self.norm.word}({made})" if self.norm else made


def _adapted(mlp: GatedMLP | MLP, step: Step, later: int) -> Iterator[Moment]:
    """While adapters' answers are added, which is computed again under checkpointing; `later` is kept after up.

    The layer's stream, what enters the MLP, and the gradients of what leaves it live beside them.
    """
    width, inner = int(mlp.width), int(mlp.inner)
    beside = width * (2 if step.adapter == 1 else 3 + step.adapter)
    if step.rank(mlp, (Role.UP_PROJ,)):
        # Where gate and up are one matrix, the gate is not activated yet.
        fused = _is_fused(mlp)
        made = step.adding(2 * inner) - 2 * inner if fused else step.adding(inner)
        yield Moment(elements=beside + made - later)
    if step.rank(mlp, (Role.DOWN_PROJ,)):
        plain = inner * width if step.quantized else 0
        yield Moment(elements=beside + width + (inner if step.adapter > 1 else 0), weight=plain)


def _is_fused(mlp: GatedMLP | MLP) -> bool:
    """Whether gate and up are one matrix."""
    return any({Role.GATE_PROJ, Role.UP_PROJ} <= set(item.roles) for item in mlp.items)
