"""What one more token costs beside the products with weights: attention to other tokens, a recurrence's memory."""

from __future__ import annotations

import msgspec


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """`fixed` multiply-adds, and `each` for every entry that is seen, at most `most` of them.

    An entry stands for `rate` tokens; `of_source` entries are what cross-attention looks at.
    """

    fixed: int = 0
    each: int = 0
    most: int | None = None
    rate: int = 1
    of_source: bool = False

    def at(self, seen: int, source: int) -> int:
        """Multiply-adds of a token that sees so many tokens, itself included."""
        entries = source if self.of_source else self._entries(seen)
        return self.fixed + self.each * entries

    def over(self, tokens: int, source: int) -> int:
        """Of all tokens of a text of so many, each of which sees those before it and itself."""
        if self.of_source:
            return tokens * self.at(1, source)
        # The first `rising` tokens see more and more whole entries, the others the most.
        rising = tokens if self.most is None else min(tokens, self.most * self.rate)
        whole, rest = divmod(rising, self.rate)
        entries = self.rate * whole * (whole - 1) // 2 + whole * (rest + 1)
        beyond = (tokens - rising) * (self.most or 0)
        return tokens * self.fixed + self.each * (entries + beyond)

    def _entries(self, seen: int) -> int:
        return seen // self.rate if self.most is None else min(seen // self.rate, self.most)
