"""How a router's scores become a choice of experts and their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    import torch


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """`score` is softmax, sigmoid or √softplus of the router's logits, or sparsemixer; the highest are chosen.

    Logits are held within a `cap`: cap · tanh(logits / cap), unless it is 0 (Laguna).
    Of `groups` of experts only the `kept` best count, a group being as good as its `best` experts together.
    `normalize` divides a token's weights by their `power`-norm, to which `added` is added, or by `least` where that is
    more; `scale` multiplies them. `early` weights what goes into an expert rather than what comes out (Llama 4).
    `jitter` is sparsemixer's.
    Defaults are Mixtral's; groups are DeepSeek-V3's (arXiv 2412.19437, section 2.1.2).
    """

    score: Literal["softmax", "sigmoid", "sqrtsoftplus", "sparsemixer"] = "softmax"
    groups: int = 1
    kept: int = 1
    best: int = 2
    normalize: bool = True
    power: float = 1.0
    least: float = 0.0
    scale: float = 1.0
    early: bool = False
    jitter: float = 0.0
    added: float = 1e-20
    cap: float = 0.0

    def words(self, logits: str) -> str:
        """The score as part of an equation."""
        return f"{self.score}(cap({logits}, {self.cap:g}))" if self.cap else f"{self.score}({logits})"

    def choose(
        self, logits: torch.Tensor, correction: torch.Tensor | None, count: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights and numbers [T, count] of each token's experts; `correction` [experts] shifts the choice alone."""
        if self.score == "sparsemixer":
            return self._sparsemixer(logits, count)
        scores = self._scores(logits)
        ranked = scores if correction is None else scores + correction
        experts = self._among_groups(ranked).topk(count, dim=-1).indices
        return self._weigh(scores, experts), experts

    def weigh(self, logits: torch.Tensor, experts: torch.Tensor) -> torch.Tensor:
        """Weights [T, k] of experts [T, k] that were chosen otherwise."""
        return self._weigh(self._scores(logits), experts)

    def _scores(self, logits: torch.Tensor) -> torch.Tensor:
        import torch

        if self.cap:
            logits = self.cap * torch.tanh(logits / self.cap)
        if self.score == "sqrtsoftplus":
            return torch.nn.functional.softplus(logits).sqrt()
        return logits.sigmoid() if self.score == "sigmoid" else logits.softmax(-1)

    def _weigh(self, scores: torch.Tensor, experts: torch.Tensor) -> torch.Tensor:
        weights = scores.gather(1, experts)
        if self.normalize:
            whole = weights.norm(p=self.power, dim=-1, keepdim=True) if self.power != 1 else weights.sum(-1, True)
            weights = weights / (whole + self.added).clamp(min=self.least)
        return weights * self.scale

    def _among_groups(self, ranked: torch.Tensor) -> torch.Tensor:
        """The scores [T, experts] with those of all but the best groups at -inf."""
        import torch

        if self.groups == 1:
            return ranked
        grouped = ranked.unflatten(1, (self.groups, -1))  # type: ignore[no-untyped-call]
        best = grouped.topk(self.best, dim=-1).values.sum(-1).topk(self.kept, dim=-1).indices
        kept = torch.zeros(grouped.shape[:2], dtype=torch.bool, device=ranked.device).scatter_(1, best, value=True)
        limited: torch.Tensor = grouped.masked_fill(~kept[..., None], float("-inf")).flatten(1)
        return limited

    def _sparsemixer(self, logits: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """SparseMixer-v2 (arXiv 2409.12136) as it is used after training.

        One expert after the other: each weight is a softmax over what is left and within 2·jitter, relative, of the
        best that is left.
        """
        import torch

        left, weights, experts = logits, [], []
        for _ in range(count):
            best, chosen = left.max(dim=-1, keepdim=True)
            far = (best - left) / logits.abs().clamp(min=best) > 2 * self.jitter
            weights.append(left.masked_fill(far, float("-inf")).softmax(-1).gather(1, chosen))
            experts.append(chosen)
            left = left.scatter(1, chosen, float("-inf"))
        return torch.cat(weights, dim=-1), torch.cat(experts, dim=-1)
