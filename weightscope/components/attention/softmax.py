"""Softmax attention with any grouping of heads (Vaswani et al. 2017; grouped queries: Ainslie et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from weightscope.components.attention.heads import Heads, SharedKeys
from weightscope.components.attention.norms import NO_NORMS, QueryKeyNorms
from weightscope.components.attention.positions import NOWHERE, Positions
from weightscope.components.attention.scores import PLAIN, Scores
from weightscope.components.attention.sees import CAUSAL, EVERYTHING, Chunk, Sees, Segments, Window
from weightscope.components.base import Component, Conflict
from weightscope.components.norm import Norm
from weightscope.components.running import At, Pass, linear
from weightscope.components.state import PerSource, State, keys_and_values
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

    from weightscope.components.attention.attend import Bias
    from weightscope.components.live import Live, Widths
    from weightscope.components.step import Moment, Step
    from weightscope.components.work import Work


class Attention(Component, frozen=True, kw_only=True):
    """o·softmax(scores)·v, composed of heads, norms, positions, what a token `sees`, and how `scores` are made.

    What `projections` hold decides two things more: with an `attention_gate` among their roles, each element that the
    heads put out is multiplied by a `gate` of its own (Qwen3-Next); without a `v_proj`, what makes the keys makes the
    values too (Gemma 4). `clip` bounds what the projections give (OLMo). `value_scale` multiplies the
    values (MiMo-V2). `out_norm` acts on all heads side by side (BitNet). What leaves is as wide as what enters
    unless `out_width` says otherwise (Zamba). Where the attention `gates_heads`, a whole head has one gate (Step 3.5).
    Keys and values are made of what the pass shares as `source`, where one is named: of what an encoder put out. That
    is as wide as x unless `source_width` says otherwise (BLIP).
    """

    name: str
    projections: tuple[StorageItem, ...]
    width: Size
    heads: Heads
    norms: QueryKeyNorms = NO_NORMS
    positions: Positions | None = None
    sees: Sees | Segments = CAUSAL
    scores: Scores = PLAIN
    clip: float | None = None
    value_scale: float = 1.0
    shares: SharedKeys | None = None
    out_norm: Norm | None = None
    out_width: Size | None = None
    source: str = ""
    source_width: Size | None = None
    gates_heads: bool = False
    gate: Literal["sigmoid", "softplus"] = "sigmoid"
    word: ClassVar[str] = "attention"

    @property
    def placing(self) -> Positions:
        """How it knows where tokens stand; it need not."""
        return self.positions or NOWHERE

    @property
    def stored(self) -> Iterable[StorageItem]:
        """The projections, fused or not, the sinks, and the rotary table that old checkpoints hold."""
        yield from self.projections
        if self.scores.sinks:
            yield Plain(self.scores.sinks, Role.SINK, leaf="")
        yield from self.placing.stored

    def sizes(self) -> Sizes:
        count, gates = self.heads.count, self.heads.count * self.heads.value_size
        return {
            **self.heads.sizes(self.width, source=self.source_width, out=self.out_width),
            Role.ATTENTION_GATE: (count if self.gates_heads else gates, self.width),
            Role.SINK: (count,),
            **self.placing.sizes(count),
        }

    def turned(self, role: Role) -> int:
        return self.placing.halves if role in (Role.Q_PROJ, Role.K_PROJ) else 0

    def turned_in_neighbours(self, role: Role) -> int:
        return self.placing.neighbours if role in (Role.Q_PROJ, Role.K_PROJ) else 0

    def heads_of(self, role: Role) -> int:
        by_role = {Role.Q_PROJ: self.heads.count, Role.K_PROJ: self.heads.keys, Role.V_PROJ: self.heads.keys}
        return int((by_role | {Role.O_PROJ: self.heads.count}).get(role, 0))

    def children(self) -> Iterable[Component]:
        return (*self.norms.parts(), *((self.out_norm,) if self.out_norm else ()))

    @property
    def glance(self) -> str:
        if self.source:
            return f"cross-attention with {self.heads.words}"
        return ", ".join(filter(None, (self.heads.words, self.sees.words)))

    def conflicts(self) -> Iterable[Conflict]:
        """Queries that no number of keys shares equally; a width that the heads do not, where the class minds."""
        yield from self.heads.conflicts()
        heads = self.heads.count
        derived = set(heads.keys) & set(self.heads.size.keys)
        if self.heads.even and derived and self.width % heads:
            yield Conflict(
                f"{self.width.text} {self.width:,} is not a multiple of {heads:,} {heads.text}, "
                "and no head_dim is given",
                (*self.width.keys, *heads.keys),
            )

    @property
    def sees_later(self) -> bool:
        return self.sees.later and not self.source

    def mixes(self) -> tuple[Work, ...]:
        """Each head's score of a key and its share of the value."""
        from weightscope.components.work import Work

        heads = self.heads
        each = int(heads.count * (heads.size + heads.value_size))
        if self.source:
            return (Work(each=each, of_source=True),)
        kept = self.sees.kept
        return (Work(each=each, most=None if kept is None else kept + 1),)

    def live(self, widths: Widths) -> tuple[Live, ...]:
        from weightscope.components.attention.live import stages

        return tuple(stages(self, widths))

    def saves(self, step: Step) -> int:
        from weightscope.components.attention.kept import saved

        return self.saves_input(step) + saved(self, step)

    def saves_input(self, step: Step) -> int:
        from weightscope.components.attention.kept import INPUTS

        return step.input_of(self, *INPUTS)

    def backward(self, step: Step) -> tuple[Moment, ...]:
        from weightscope.components.attention.kept import moments

        return tuple(moments(self, step))

    def keeps(self) -> tuple[State, ...]:
        """Keys and values of what it sees, unless it takes those of another layer."""
        heads = self.heads
        if self.shares and self.shares.takes:
            return ()
        if self.source:
            entry = int(heads.keys * (heads.size + heads.value_size))
            return (PerSource(kind="cross_keys_and_values", entry=entry, parts=int(heads.keys)),)
        slides = not isinstance(self.sees, Chunk)
        return keys_and_values(heads.keys, heads.size, heads.value_size, last=self.sees.kept, slides=slides)

    def equation(self, x: str = "x") -> str:
        mixed = f"softmax({self.scores.words(int(self.heads.size), self.placing.added)})·v"
        mixed = f"{self.out_norm.word}({mixed})" if self.out_norm else mixed
        return f"o_proj·({self.gate}(attention_gate·{x}) ⊙ {mixed})" if self.gated else f"o_proj·{mixed}"

    def terms(self) -> Mapping[Role, str]:
        count, keys, size = int(self.heads.count), int(self.heads.keys), int(self.heads.size)
        groups = f", each shared by {count // keys} query heads" if 0 < keys < count else ""
        late = "(1 + late)·" if self.scores.temperature else ""
        value = f"{self.value_scale:.4g}·" if self.value_scale != 1.0 else ""
        of_values = f"{keys} heads of {int(self.heads.value_size)}{groups}"
        return {
            Role.Q_PROJ: f"q = {late}{self._term(Role.Q_PROJ)}   in {count} heads of {size}",
            Role.K_PROJ: f"k = {self._term(Role.K_PROJ)}   in {keys} heads of {size}{groups}",
            Role.V_PROJ: f"v = {value}{self._term(Role.V_PROJ)}   in {of_values}",
            Role.O_PROJ: "o_proj·[heads side by side]",
            Role.ATTENTION_GATE: f"{self.gate}(attention_gate·x) multiplies the heads",
            **self.placing.terms(),
            Role.SINK: "an extra score for each head in the softmax; its share of the output is dropped",
        }

    def notes(self, roles: Iterable[Role]) -> Iterable[str]:
        turned = {Role.Q_PROJ, Role.K_PROJ} & set(roles)
        if self.placing.words and turned:
            yield self.placing.words
        if self.sees.words and turned:
            yield f"Attention mask: {self.sees.words}."

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        import torch

        from weightscope.components.attention.attend import attend

        weights = at.weights(self)
        q = self._rotated(self._projected(x, weights, Role.Q_PROJ, at), Role.Q_PROJ, at)
        if self.shares and self.shares.takes:
            k, v = at.run.shared[f"keys and values of {self.shares.group}"]
        else:
            k, v = self._keys_and_values(at.run.shared[self.source] if self.source else x, weights, at)
        if self.scores.temperature:
            q = q * self.scores.temperature.of(at.run.positions)[:, None].to(q.dtype)
        if isinstance(self.sees, Segments):
            mixed = self._by_segment(q, k, v, at.run, self._segment_biases(weights, at))
        else:
            mixed = attend(
                q,
                k,
                v,
                scale=self.scores.factor(self.heads.size),
                sees=self.sees,
                cap=self.scores.cap,
                bias=self.placing.made(weights, at),
                sinks=weights.get(Role.SINK),
                together=None
                if at.run.whole == "in windows" and not isinstance(self.sees, Window)
                else at.run.together,
                past_windows=at.run.whole == "past windows",
            )
        flat = mixed.transpose(0, 1).flatten(1)
        if self.out_norm:
            flat = at.call(self.out_norm, flat)
        if self.gated:
            gate = linear(x, weights, Role.ATTENTION_GATE)
            gate = gate.sigmoid() if self.gate == "sigmoid" else torch.nn.functional.softplus(gate)
            flat = flat * (gate.repeat_interleave(int(self.heads.value_size), dim=-1) if self.gates_heads else gate)
        return linear(flat, weights, Role.O_PROJ)

    def _by_segment(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, run: Pass, biases: Sequence[Bias | None]
    ) -> torch.Tensor:
        """Attention of each segment to itself alone, less what is unseen in it, and what is blank to itself."""
        import torch

        from weightscope.components.attention.attend import attend

        assert isinstance(self.sees, Segments)
        lengths, unseen = run.segments[self.sees.of], run.unseen
        scale, sees = self.scores.factor(self.heads.size), CAUSAL if self.sees.causal else EVERYTHING
        kept = lengths
        if unseen is not None:
            kept = [int((~part).sum()) for part in torch.split(unseen, list(lengths))]
            k, v = k[:, ~unseen], v[:, ~unseen]
        split = ((q, lengths), (k, kept), (v, kept))
        parts = zip(*(torch.split(x, list(counts), dim=1) for x, counts in split), strict=True)
        blanks = [None] * len(lengths) if run.blank is None else torch.split(run.blank, list(lengths))
        mixed = (
            attend(
                *part,
                scale=scale,
                sees=sees,
                bias=bias,
                allowed=None if blank is None else ~(blank[:, None] & blank),
            )
            for part, bias, blank in zip(parts, biases, blanks, strict=True)
        )
        return torch.cat(list(mixed), dim=1)

    def _segment_biases(self, weights: Mapping[str, torch.Tensor], at: At) -> Sequence[Bias | None]:
        """The same for each segment: alike in all."""
        assert isinstance(self.sees, Segments)
        return [self.placing.made(weights, at)] * len(at.run.segments[self.sees.of])

    @property
    def gated(self) -> bool:
        """Whether a gate multiplies what the heads put out."""
        return self._has(Role.ATTENTION_GATE)

    def _keys_and_values(
        self, x: torch.Tensor, weights: Mapping[str, torch.Tensor], at: At
    ) -> tuple[torch.Tensor, torch.Tensor]:
        keys = self._projected(x, weights, Role.K_PROJ, at)
        values = self._projected(x, weights, Role.V_PROJ, at) if Role.V_PROJ in weights else keys
        k = self._rotated(keys, Role.K_PROJ, at)
        v = self.norms.at_heads(values, Role.V_PROJ, at).transpose(0, 1)
        v = v * self.value_scale if self.value_scale != 1.0 else v
        if self.shares:
            at.run.shared[f"keys and values of {self.shares.group}"] = k, v
        return k, v

    def _projected(self, x: torch.Tensor, weights: Mapping[str, torch.Tensor], role: Role, at: At) -> torch.Tensor:
        """One of q, k and v, [T, heads, size]."""
        made = self.norms.at_projection(linear(x, weights, role), role, at)
        if self.clip:
            made = made.clamp(-self.clip, self.clip)
        size = self.heads.value_size if role is Role.V_PROJ else self.heads.size
        return made.unflatten(-1, (-1, int(size)))  # type: ignore[no-untyped-call,no-any-return]

    def _rotated(self, x: torch.Tensor, role: Role, at: At) -> torch.Tensor:
        """Queries or keys [T, heads, size] to [heads, T, size], normed and rotated."""
        x = self.norms.at_heads(x, role, at).transpose(0, 1)
        return self.norms.at_rotated(self.placing.turned(x, at), role, at)

    def _term(self, role: Role) -> str:
        """How q, k or v comes from x."""
        source = Role.K_PROJ if role is Role.V_PROJ and not self._has(Role.V_PROJ) else role
        made = f"clip({source}·x)" if self.clip else f"{source}·x"
        rotates = self.placing.turns and role is not Role.V_PROJ
        return self.norms.words(role, made, "rope({})" if rotates else "{}")

    def _has(self, role: Role) -> bool:
        return any(role in item.roles for item in self.projections)
