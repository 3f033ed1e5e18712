"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): keys and values from one small latent vector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from weightscope.components.attention.attend import attend
from weightscope.components.attention.indexer import Indexer
from weightscope.components.attention.rope import Rope
from weightscope.components.attention.scores import Temperature
from weightscope.components.attention.sees import CAUSAL, Sees
from weightscope.components.base import Component
from weightscope.components.live import Live
from weightscope.components.norm import RMSNorm
from weightscope.components.running import At, linear
from weightscope.components.state import PerToken, State
from weightscope.components.step import Moment
from weightscope.components.work import Work
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.heads_apart import HeadsApart
from weightscope.storage.linear import Linear

if TYPE_CHECKING:
    import torch

    from weightscope.components.live import Widths
    from weightscope.components.step import Step

# transformers and DeepSeek's own code give these two norms no epsilon of the config's.
LATENT_EPS = 1e-6
# Under this name an indexer's choice is left for the layers that follow it.
CHOSEN = "chosen positions"


class LatentAttention(Component, frozen=True, kw_only=True):
    """Queries go through rank `q_rank` (none: projected directly), keys and values through rank `kv_rank`.

    A head's query and key have `nope` elements without and `rope_dim` with rotation; the rotated part of the key is
    shared by all heads; without `rope` it is shared all the same (Kimi Linear). `bias` is on the projections from and
    to the model's width. Of what it `sees`, a token with an `indexer` sees only the positions that this chooses
    (DeepSeek-V3.2); a layer that `follows` sees those of the last one before it that had one (GLM-5.2). Heads `apart`
    are how MLX stores `kv_b_proj`. Normed latents are multiplied by `q_scale` and `kv_scale` (LongCat-Flash), queries
    by the `temperature` of their position (Mistral Small 4). What a head puts out is multiplied by the sigmoid of its
    gate, where a matrix `gate` makes one for each head (Ling 3.0); `out` is the last matrix's name.
    """

    name: str
    width: Size
    heads: Size
    q_rank: Size | None
    kv_rank: Size
    nope: Size
    rope_dim: Size
    v_dim: Size
    rope: Rope | None
    bias: bool = False
    sees: Sees = CAUSAL
    indexer: Indexer | None = None
    follows: bool = False
    apart: bool = False
    q_scale: float = 1.0
    kv_scale: float = 1.0
    temperature: Temperature | None = None
    gate: str = ""
    out: str = "o_proj"
    word: ClassVar[str] = "attention"

    @property
    def stored(self) -> Iterable[StorageItem]:
        if self.q_rank:
            yield Linear("q_a_proj", Role.Q_A_PROJ, bias=self.bias)
            yield Linear("q_b_proj", Role.Q_B_PROJ)
        else:
            yield Linear("q_proj", Role.Q_PROJ)
        yield Linear("kv_a_proj_with_mqa", Role.KV_A_PROJ, bias=self.bias)
        if self.apart:
            yield HeadsApart(
                Role.KV_B_PROJ, "embed_q", "unembed_out", heads=self.heads, keys=self.nope, values=self.v_dim
            )
        else:
            yield Linear("kv_b_proj", Role.KV_B_PROJ)
        yield Linear(self.out, Role.O_PROJ, bias=self.bias)
        if self.gate:
            yield Linear(self.gate, Role.ATTENTION_GATE)
        if self.rope:
            yield self.rope.table("rotary_emb.inv_freq")

    def sizes(self) -> Sizes:
        """`kv_a` makes the latent and the shared rotated key; `kv_b` each head's key (nope) and value in turn."""
        queries = self.heads * (self.nope + self.rope_dim)
        sizes = {
            Role.KV_A_PROJ: (self.kv_rank + self.rope_dim, self.width),
            Role.KV_B_PROJ: (self.heads * (self.nope + self.v_dim), self.kv_rank),
            Role.O_PROJ: (self.width, self.heads * self.v_dim),
            Role.ATTENTION_GATE: (self.heads, self.width),
        }
        if self.q_rank:
            return sizes | {Role.Q_A_PROJ: (self.q_rank, self.width), Role.Q_B_PROJ: (queries, self.q_rank)}
        return sizes | {Role.Q_PROJ: (queries, self.width)}

    def children(self) -> Iterable[Component]:
        if self.q_rank:
            yield RMSNorm(name="q_a_layernorm", role=Role.Q_A_NORM, size=self.q_rank, eps=LATENT_EPS)
        yield RMSNorm(name="kv_a_layernorm", role=Role.KV_A_NORM, size=self.kv_rank, eps=LATENT_EPS)
        if self.indexer:
            yield self.indexer

    @property
    def glance(self) -> str:
        return f"{self.heads:,} heads of {self.nope}+{self.rope_dim}, latent {self.kv_rank:,}"

    def notes(self, roles: Iterable[Role]) -> Iterable[str]:
        if self.rope and {Role.Q_PROJ, Role.Q_B_PROJ, Role.KV_A_PROJ} & set(roles):
            yield self.rope.words

    @property
    def sees_later(self) -> bool:
        return self.sees.later

    def mixes(self) -> tuple[Work, ...]:
        """Scores and shares over latents as they are kept: what makes keys and values of them acts on the query."""
        each = int(self.heads * (self.kv_rank * 2 + self.rope_dim))
        return (Work(each=each, most=int(self.indexer.keep) if self.indexer else None),)

    def live(self, widths: Widths) -> tuple[Live, ...]:
        """Latents; queries and keys before and after they are put together; values, also as the kernel orders them."""
        heads, plain, turned, values = map(int, (self.heads, self.nope, self.rope_dim, self.v_dim))
        latents = 2 * int(self.kv_rank + self.rope_dim)
        made = heads * (plain + turned) + heads * (plain + values) + heads * turned
        together = 2 * heads * (plain + turned)
        if self.q_scale != 1.0:
            made += heads * plain
        if self.kv_scale != 1.0:
            made += int(self.kv_rank)
        mixed = Live(elements=latents + made + together + heads * values * (1 + widths.float32))
        if self.indexer is None:
            return (mixed,)
        there = latents + made + together
        return mixed, *(replace(live, elements=there + live.elements) for live in self.indexer.live(widths))

    def saves(self, step: Step) -> int | None:
        """What enters each matrix, the norms of latents, and what the kernel takes and gives."""
        if self.indexer:
            return None
        heads, plain, turned, values = map(int, (self.heads, self.nope, self.rope_dim, self.v_dim))
        down, up = (Role.Q_A_PROJ, Role.KV_A_PROJ), (Role.Q_B_PROJ, Role.KV_B_PROJ)
        inner = sum(step.input_of(self, role) for role in up)
        inner += step.adapting(self, Role.Q_PROJ, Role.ATTENTION_GATE, *down, *up)
        # What the heads put out is kept in the kernel's order, and for o_proj in its own.
        leaving = step.kept_before(self, Role.O_PROJ)
        if not step.past(self).flows:
            return self.saves_input(step) + inner + leaving
        latent = replace(step, flows=step.leaves(self, *down))
        norms = sum(child.saves(latent) or 0 for child in self.children())
        # Queries and keys are put together of what both projections make, of which values are a part.
        mixing = 2 * heads * (plain + turned) + heads * (plain + values) + heads * values
        if self.gate:
            # What is multiplied by the gates, in its own order.
            mixing += heads * values
        return self.saves_input(step) + inner + norms + mixing + leaving

    def saves_input(self, step: Step) -> int:
        return step.input_of(self, Role.Q_PROJ, Role.Q_A_PROJ, Role.KV_A_PROJ, Role.ATTENTION_GATE)

    def backward(self, step: Step) -> tuple[Moment, ...]:
        """The gradients of queries while they are turned back, or of what the heads put out beside o_proj's."""
        mixed = int(self.heads * self.v_dim)
        turned = Moment(elements=int(self.heads * (self.nope + self.rope_dim)) * 3)
        return (turned, Moment(elements=mixed, weight=step.made(self, Role.O_PROJ, mixed * int(self.width))))

    def keeps(self) -> tuple[State, ...]:
        """The latent and the rotated key, one of each for all heads."""
        return (PerToken(kind="latent", entry=int(self.kv_rank + self.rope_dim), last=self.sees.kept),)

    def equation(self, x: str = "x") -> str:
        scaled = f"·{self._score_scale:.4g}" if self._score_scale != 1.0 else ""
        chosen = " over chosen positions" if self.indexer or self.follows else ""
        mixed = f"softmax(q·kᵀ/√{int(self.nope + self.rope_dim)}{scaled})·v{chosen}"
        return f"o_proj·(sigmoid(attention_gate·{x}) ⊙ {mixed})" if self.gate else f"o_proj·{mixed}"

    def terms(self) -> Mapping[Role, str]:
        heads = f"in {int(self.heads)} heads"
        by_position = " rotated by position" if self.rope else ""
        turned = f"the last {int(self.rope_dim)} of each{by_position or ' beside r'}"
        late = "(1 + late)·" if self.temperature else ""
        queries = f"c = {_times(self.q_scale)}norm(q_a_proj·x)   the latent of the queries"
        latent = f"l = {_times(self.kv_scale)}norm(l) is the latent, of size {int(self.kv_rank)}"
        return {
            Role.Q_A_PROJ: f"{queries}, of size {int(self.q_rank or 0)}",
            Role.Q_B_PROJ: f"q = {late}q_b_proj·c   {heads} of {int(self.nope + self.rope_dim)}, {turned}",
            Role.Q_PROJ: f"q = {late}q_proj·x   {heads} of {int(self.nope + self.rope_dim)}, {turned}",
            Role.KV_A_PROJ: f"[l | r] = kv_a_proj·x   {latent}; r,"
            f"{f'{by_position},' if by_position else ''} is part of the key of every head",
            Role.KV_B_PROJ: f"[k | v] = kv_b_proj·l   {heads}, keys of {int(self.nope)}, values of {int(self.v_dim)}",
            Role.O_PROJ: "o_proj·[heads side by side]",
            Role.ATTENTION_GATE: "sigmoid(attention_gate·x) multiplies each head",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]; queries and keys are [nope | rotated], the rotated key is one for all heads."""
        import torch

        weights = at.weights(self)
        norms = {norm.role: norm for norm in self.children() if isinstance(norm, RMSNorm)}
        nope, rope_dim, kv_rank, v_dim = int(self.nope), int(self.rope_dim), int(self.kv_rank), int(self.v_dim)
        allowed = at.run.shared[CHOSEN] if self.follows else None
        if self.q_rank:
            latent = at.call(norms[Role.Q_A_NORM], linear(x, weights, Role.Q_A_PROJ)) * self.q_scale
            q = linear(latent, weights, Role.Q_B_PROJ)
            if self.indexer:
                allowed = at.run.shared[CHOSEN] = self.indexer.choose(x, latent, at.below(self.indexer))
        else:
            q = linear(x, weights, Role.Q_PROJ)
        q = q.reshape(len(x), -1, nope + rope_dim).transpose(0, 1)
        latent, k_rope = torch.split(linear(x, weights, Role.KV_A_PROJ), [kv_rank, rope_dim], dim=-1)
        kv = linear(at.call(norms[Role.KV_A_NORM], latent) * self.kv_scale, weights, Role.KV_B_PROJ)
        k, v = torch.split(kv.reshape(len(x), -1, nope + v_dim).transpose(0, 1), [nope, v_dim], dim=-1)
        k_rope = k_rope[None]
        if self.rope:
            rotation = at.rotation(self.rope)
            q = torch.cat((q[..., :nope], self.rope.turn(q[..., nope:], rotation)), dim=-1)
            k_rope = self.rope.turn(k_rope, rotation)
        if self.temperature:
            q = q * self.temperature.of(at.run.positions)[:, None].to(q.dtype)
        k = torch.cat((k, k_rope.expand(len(k), -1, -1)), dim=-1)
        mixed = attend(q, k, v, scale=(nope + rope_dim) ** -0.5 * self._score_scale, sees=self.sees, allowed=allowed)
        if self.gate:
            mixed = mixed * linear(x, weights, Role.ATTENTION_GATE).sigmoid().T[..., None]
        return linear(mixed.transpose(0, 1).flatten(1), weights, Role.O_PROJ)

    @property
    def _score_scale(self) -> float:
        return self.rope.scaling.score_scale if self.rope else 1.0


def _times(scale: float) -> str:
    return f"{scale:.4g}·" if scale != 1.0 else ""
