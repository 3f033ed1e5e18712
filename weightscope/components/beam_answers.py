"""Where an answer begins and ends: the likeliest beginnings, and the likeliest ends of each (XLNet, arXiv 1906.08237).

Shapes: T tokens, W their width, S beginnings, E ends of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weightscope.components.base import Component
from weightscope.components.encoder_heads import EncoderHead
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch


class BeamAnswers(EncoderHead, frozen=True, kw_only=True):
    """`begins` scores each token, `ends` each token beside a beginning, `answerable` the whole text.

    `ends` and `answerable` act on two vectors side by side.
    """

    begins: Projection
    ends: EncoderHead
    answerable: EncoderHead
    starts: int
    stops: int

    def children(self) -> Iterable[Component]:
        return self.begins, self.ends, self.answerable

    @property
    def word(self) -> str:
        return "answers"

    def equation(self, x: str = "x") -> str:
        del x
        return f"[place, probability of the {self.starts} likeliest beginnings and the {self.stops} ends of each]"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Hidden states [T, W] to [E · S, 4]: where it begins, how likely, where it ends, how likely.

        Raises:
            UsageError: fewer tokens than beginnings or ends are asked for.
        """
        import torch

        if len(x) < max(self.starts, self.stops):
            raise UsageError(
                f"{len(x):,} tokens are fewer than the {max(self.starts, self.stops):,} places of this head",
                hint="give a longer text",
            )
        scores = at.call(self.begins, x)
        at.stage("start scores", self.begins.equation(), scores)
        shares = scores[:, 0].softmax(0)
        begin, places = shares.topk(self.starts)
        beside = x[places].expand(len(x), -1, -1)
        pairs = torch.cat((x[:, None].expand_as(beside), beside), dim=-1)
        ends = at.call(self.ends, pairs.flatten(0, 1)).reshape(len(x), self.starts)
        at.stage("end scores", self.ends.equation("[x | beginning]"), ends)
        end, stops = ends.softmax(0).topk(self.stops, dim=0)
        whole = at.call(self.answerable, torch.cat((shares @ x, x[-1]))[None])
        at.stage("answer class", self.answerable.equation("[mean beginning | last x]"), whole)
        found = (places.expand_as(stops), begin.expand_as(end), stops, end)
        return torch.stack([part.flatten().to(x.dtype) for part in found], dim=1)
