"""What a pass gave: its stages, what came out last, and what follows of logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weightscope.analyses.forward.stages import Stage
from weightscope.brief import Displayed, Suggesting, plural
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import torch

    from weightscope.display import Figure

# Rows of logits whose softmax is taken at a time: few, so that their exponentials stay in the cache.
ROWS = 8


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A token that may come next.

    Attributes:
        token_id: its number in the vocabulary.
        logit: its logit.
        probability: from 0 to 1, of the softmax over the vocabulary.
        text: the token as text, where a tokenizer tells it.
    """

    token_id: int
    logit: float
    probability: float
    text: str | None = None


class Result(Displayed, Suggesting, msgspec.Struct, frozen=True, kw_only=True):
    """The result of a forward pass.

    Attributes:
        tokens: the token ids of the input.
        device: where it was computed.
        compute_dtype: the element type of the computation.
        stages: what was measured after each half of a block; empty with `measure=False`.
        output: float32 on the CPU, None where the pass was stopped. Logits [tokens, vocabulary] where `has_logits`;
            otherwise [tokens, width] of a base model, [tokens, labels] of a classifier, or a vision encoder's features.
        has_logits: whether `output` holds logits over a vocabulary.
        seconds: how long it took.
        peak_bytes: the most memory that the process has had, or on a GPU the most that was allocated there.
        broken: the weights that the first stage with NaN or infinity read.
        marks: positions at which vectors of images or audio stand instead of tokens.
        of_same: whether logits are of the token itself (masked models), and not of the one after it.
        scored: the tokens that the rows of logits belong to: of an encoder-decoder those that it writes.
    """

    tokens: tuple[int, ...]
    device: str
    compute_dtype: str
    stages: tuple[Stage, ...]
    output: torch.Tensor | None
    has_logits: bool
    seconds: float
    peak_bytes: int
    broken: tuple[str, ...] = ()
    marks: tuple[int, ...] = ()
    of_same: bool = False
    scored: tuple[int, ...] = ()

    def __repr__(self) -> str:
        parts = [
            plural(len(self.tokens), "token"),
            f"{self.compute_dtype} on {self.device}",
            plural(len(self.stages), "stage"),
            "all finite" if self.finite else "not finite",
        ]
        if self.output is not None:
            parts.append(f"{'logits' if self.has_logits else 'output'} {list(self.output.shape)}")
        return f"Result({', '.join(parts)}, {self.seconds:.2g} s)"

    @property
    def logits(self) -> torch.Tensor:
        """Float32 [tokens, vocabulary].

        Raises:
            UsageError: the pass stopped before them, or the model has no head over a vocabulary.
        """
        if self.output is None or not self.has_logits:
            raise UsageError("there are no logits: the pass was stopped, or the model has no head over a vocabulary")
        return self.output

    @property
    def finite(self) -> bool:
        """Whether all stages are free of NaN and infinity; without stages, whether the output is."""
        if not self.stages and self.output is not None:
            return bool(self.output.isfinite().all())
        return all(stage.finite for stage in self.stages)

    def plot(self) -> Figure:
        """The RMS of each stage as bars, with what is not finite marked; a notebook shows it.

        Raises:
            UsageError: the pass recorded no stages.
        """
        from weightscope.display import picture_of_stages

        return picture_of_stages(self.stages)

    def top(self, count: int = 5, last: int = 0) -> list[list[Candidate]]:
        """The likeliest tokens after each position, best first; of a masked model, the likeliest in its place.

        Args:
            count: how many tokens for each position.
            last: give only the last so many positions; 0 for all.

        Returns:
            A list for each position; empty without logits, or where they are not finite.
        """
        if not self.has_logits or not self.finite:
            return []
        rows: list[list[Candidate]] = []
        for chunk in self.logits[-last:].split(ROWS):  # type: ignore[no-untyped-call]
            best = chunk.topk(min(count, chunk.shape[-1]), dim=-1)
            shares = (best.values - chunk.logsumexp(-1, keepdim=True)).exp()
            for ids, logits, probabilities in zip(
                best.indices.tolist(), best.values.tolist(), shares.tolist(), strict=True
            ):
                rows.append(
                    [
                        Candidate(token_id=i, logit=value, probability=probability)
                        for i, value, probability in zip(ids, logits, probabilities, strict=True)
                    ]
                )
        return rows

    def losses(self) -> list[float]:
        """The negative log-probability of each token but the first, given those before it.

        Returns:
            Nats, without positions of images or audio; empty without logits, of masked models, or where not finite.
        """
        if not self.has_logits or not self.finite or self.of_same:
            return []
        import torch

        targets, marks = torch.tensor(self.scored[1:]), torch.tensor(self.marks, dtype=torch.long)
        found: list[float] = []
        for start in range(0, len(targets), ROWS):
            wanted = targets[start : start + ROWS]
            chunk = self.logits[start : start + len(wanted)]
            each = torch.nn.functional.cross_entropy(chunk, wanted.clamp(0, chunk.shape[-1] - 1), reduction="none")
            found += each[~torch.isin(wanted, marks)].tolist()
        return found
