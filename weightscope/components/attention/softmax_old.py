"""Softmax attention with any grouping of heads (Vaswani et al. 2017; grouped queries: Ainslie et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.attention.attend_old import Alibi, Temperature, attend
from weightscope.components.attention.rope import Rope
from weightscope.components.base import Component, Conflict
from weightscope.components.norm import Norm, NumberedNorms
from weightscope.components.running import At, linear
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class Attention(Component, frozen=True, kw_only=True):
    """softmax(q·kᵀ · scale)·v over `heads` query heads that share `kv_heads` key and value heads.

    `window` is how many positions a token sees, itself included; `softcap` bounds the scores (Gemma 2). `norms` act
    on each head's queries and keys (Qwen 3), with `whole_norms` on those of all heads together (OLMo 2), with
    `turned_norms` after the rotation (Hunyuan). `scale` is 1/sqrt(head_dim) where the family says nothing else.
    `alibi` takes from a score in proportion to the distance (Press et al. 2022). `clip` bounds what the projections
    give (OLMo). `temperature` makes queries of late positions larger (Ministral 3). With `gated` each element that the
    heads put out counts as much as a gate of its own says (Qwen3-Next). `sinks` is the name of a score for each head
    that takes its share of the softmax and gives nothing (gpt-oss). With a `chunk` a token sees only those
    before it among as many that begin at a multiple of it (Llama 4). With `keys_are_values` what makes the keys makes
    the values too (Gemma 4). Layers of one `share` have one set of keys and values: the last that does not take them
    leaves them for those that do (Gemma 3n).
    """

    name: str
    items: tuple[StorageItem, ...]
    width: Size
    heads: Size
    kv_heads: Size
    head_dim: Size
    rope: Rope | None = None
    norms: tuple[Norm | NumberedNorms, ...] = ()
    causal: bool = True
    window: int | None = None
    softcap: float | None = None
    scale: float | None = None
    alibi: Alibi | None = None
    whole_norms: bool = False
    turned_norms: bool = False
    clip: float | None = None
    temperature: Temperature | None = None
    gated: bool = False
    sinks: str | None = None
    chunk: int | None = None
    keys_are_values: bool = False
    share: str = ""
    takes: bool = False

    @property
    def stored(self) -> Iterable[StorageItem]:
        """The four projections, fused or not, what buffers old checkpoints hold, and the sinks."""
        return (*self.items, Plain(self.sinks, Role.SINK, leaf="")) if self.sinks else self.items

    def sizes(self) -> Sizes:
        """q, k and v project from the model's width, o back to it."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            Role.Q_PROJ: (queries, self.width),
            Role.K_PROJ: (keys, self.width),
            **({} if self.keys_are_values else {Role.V_PROJ: (keys, self.width)}),
            Role.O_PROJ: (self.width, queries),
            Role.ATTENTION_GATE: (queries, self.width),
            Role.SINK: (self.heads,),
        }

    def children(self) -> Iterable[Component]:
        """The query and key norms, where there are any."""
        return self.norms

    @property
    def word(self) -> str:
        """Attention."""
        return "attention"

    @property
    def glance(self) -> str:
        """Heads, and what a token sees if that is not all before it."""
        shared = f" ({self.kv_heads:,} kv)" if self.kv_heads != self.heads else ""
        window = f", window {self.window:,}" if self.window else ""
        return f"{self.heads:,} heads of {self.head_dim:,}{shared}{window}"

    def notes(self, roles: Iterable[Role]) -> Iterable[str]:
        """How positions enter queries and keys, and what a token sees."""
        turned = {Role.Q_PROJ, Role.K_PROJ} & set(roles)
        if self.rope and turned:
            yield f"{self.rope.words[0].upper()}{self.rope.words[1:]}."
        if self.window and turned:
            yield f"A token sees itself and the {int(self.window) - 1:,} before it."

    def conflicts(self) -> Iterable[Conflict]:
        """Queries that no number of keys shares equally, a width that no number of heads does."""
        heads, keys = self.heads, self.kv_heads
        if keys and heads % keys:
            yield Conflict(
                f"{heads:,} query heads ({heads.text}) are no multiple of {keys:,} key/value heads ({keys.text})",
                (*heads.keys, *keys.keys),
            )
        derived = set(heads.keys) & set(self.head_dim.keys)
        if derived and self.width % heads:
            yield Conflict(
                f"{self.width.text} {self.width:,} is not a multiple of {heads:,} {heads.text}, "
                "and no head_dim is given",
                (*self.width.keys, *heads.keys),
            )

    def equation(self, x: str = "x") -> str:
        """Softmax over the positions that a token sees."""
        scale = f"·{self.scale:.4g}" if self.scale else f"/√{int(self.head_dim)}"
        scores = f"q·kᵀ{scale}"
        scores = f"cap({scores}, {self.softcap:g})" if self.softcap else scores
        scores += " − slope·distance" if self.alibi else ""
        scores = f"[{scores} | sink]" if self.sinks else scores
        mixed = f"softmax({scores})·v"
        return f"o_proj·(sigmoid(attention_gate·{x}) ⊙ {mixed})" if self.gated else f"o_proj·{mixed}"

    def terms(self) -> Mapping[Role, str]:
        """Queries, keys and values of each head, and what mixes the heads."""
        rotated = "rope({})" if self.rope else "{}"
        normed = {norm.role: "norm({})" for norm in self.norms}
        made = "clip({})" if self.clip else "{}"
        heads = f"{int(self.heads)} heads of {int(self.head_dim)}"
        keys = f"{int(self.kv_heads)} heads of {int(self.head_dim)}"
        keys += f", each for {self.heads // self.kv_heads} of the queries" if self.kv_heads < self.heads else ""
        query, key = (
            (normed.get(role, "{}"), rotated) if self.turned_norms else (rotated, normed.get(role, "{}"))
            for role in (Role.Q_NORM, Role.K_NORM)
        )
        q = query[0].format(query[1].format(made.format("q_proj·x")))
        k = key[0].format(key[1].format(made.format("k_proj·x")))
        late = "(1 + late)·" if self.temperature else ""
        return {
            Role.Q_PROJ: f"q = {late}{q}   in {heads}",
            Role.K_PROJ: f"k = {k}   in {keys}",
            Role.V_PROJ: f"v = {normed.get(Role.V_NORM, '{}').format(made.format('v_proj·x'))}   in {keys}",
            Role.O_PROJ: "o_proj·[heads side by side]",
            Role.ATTENTION_GATE: "sigmoid(attention_gate·x) multiplies the heads",
            Role.SINK: "a score of each head that no position has: its share is given to none",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        weights = at.weights(self)
        q = self._placed(self._made(x, weights, Role.Q_PROJ, at), Role.Q_NORM, at)
        if self.takes:
            k, v = at.run.shared[f"keys and values of {self.share}"]
        else:
            k, v = self._keys_and_values(x, weights, at)
        if self.temperature:
            q = q * self.temperature.of(at.run.positions)[:, None].to(q.dtype)
        mixed = attend(
            q,
            k,
            v,
            scale=self.scale or self.head_dim**-0.5,
            causal=self.causal,
            window=self.window,
            softcap=self.softcap,
            alibi=self.alibi,
            sinks=weights.get(Role.SINK),
            chunk=self.chunk,
        )
        flat = mixed.transpose(0, 1).flatten(1)
        if self.gated:
            flat = flat * linear(x, weights, Role.ATTENTION_GATE).sigmoid()
        return linear(flat, weights, Role.O_PROJ)

    def _keys_and_values(
        self, x: torch.Tensor, weights: Mapping[str, torch.Tensor], at: At
    ) -> tuple[torch.Tensor, torch.Tensor]:
        k = self._made(x, weights, Role.K_PROJ, at)
        v = self._normed(k if self.keys_are_values else self._made(x, weights, Role.V_PROJ, at), Role.V_NORM, at)
        k, v = self._placed(k, Role.K_NORM, at), v.transpose(0, 1)
        if self.share:
            at.run.shared[f"keys and values of {self.share}"] = k, v
        return k, v

    def _placed(self, x: torch.Tensor, role: Role, at: At) -> torch.Tensor:
        """Queries or keys [T, heads, d] to [heads, T, d], normed and rotated in the order that the family has."""
        x = x if self.turned_norms else self._normed(x, role, at)
        x = x.transpose(0, 1)
        x = self.rope.turn(x, at.rotation(self.rope)) if self.rope else x
        return self._normed(x, role, at) if self.turned_norms else x

    def _made(self, x: torch.Tensor, weights: Mapping[str, torch.Tensor], role: Role, at: At) -> torch.Tensor:
        """One of q, k and v, [T, heads, head_dim]."""
        made = linear(x, weights, role)
        if self.whole_norms:
            made = self._called(made, _NORM_OF.get(role), at)
        if self.clip:
            made = made.clamp(-self.clip, self.clip)
        return made.unflatten(-1, (-1, int(self.head_dim)))  # type: ignore[no-untyped-call,no-any-return]

    def _normed(self, x: torch.Tensor, role: Role, at: At) -> torch.Tensor:
        return x if self.whole_norms else self._called(x, role, at)

    def _called(self, x: torch.Tensor, role: Role | None, at: At) -> torch.Tensor:
        norm = next((norm for norm in self.norms if norm.role is role), None)
        return x if norm is None else at.call(norm, x)


_NORM_OF = {Role.Q_PROJ: Role.Q_NORM, Role.K_PROJ: Role.K_NORM}
