"""Heads of encoders: scores of the vocabulary at each token, of classes, of where an answer begins and ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from weightscope.components.base import Component
from weightscope.components.embedding import Classifier, Embedding, Head
from weightscope.components.feed_forward.activations import WORDS, activate
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.running import At
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.shared import SharedBias

if TYPE_CHECKING:
    import torch

# Of an image: its class vector, that and the distillation vector, all patches, their mean, class vector beside mean.
OfImage = Literal["first", "marks", "patches", "mean", "first and mean"]
Of = Literal["tokens", "pooled", "last", OfImage]


class Dense(Component, frozen=True, kw_only=True):
    """norm(activation(W·x + b)): what a head does before it scores, and a pooler all in all."""

    dense: Projection
    activation: str = ""
    norm: Norm | None = None

    def equation(self, x: str = "x") -> str:
        made = self.dense.equation(x)
        made = f"{WORDS.get(self.activation, self.activation)}({made})" if self.activation else made
        return f"{self.norm.word}({made})" if self.norm else made

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, width] to [N, width]."""
        made = at.call(self.dense, x)
        made = activate(self.activation, made) if self.activation else made
        return at.call(self.norm, made) if self.norm else made


class EncoderHead(Component, frozen=True, kw_only=True):
    """What is made of an encoder's output: `of` all tokens, the pooled vector, the first token's, the mean, an image's.

    `before` acts on it, then `out` scores classes; without `out` it is a pooler. Of `averaged` scores the mean over
    all tokens comes out (EuroBERT).
    """

    of: Of = "tokens"
    before: Dense | Norm | None = None
    out: Classifier | Projection | None = None
    averaged: bool = False

    @property
    def pools(self) -> bool:
        """Whether it makes one vector, which is only a stage beside the features."""
        return self.out is None

    @property
    def word(self) -> str:
        return "pooled" if self.pools else "class scores"

    def equation(self, x: str = "x") -> str:
        x = self.before.equation(x) if self.before else x
        x = self.out.equation(x) if self.out else x
        return f"mean({x})" if self.averaged else x

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[N, width] to [N, labels], or of a pooler to [N, width]; [1, labels] of `averaged` scores."""
        x = at.call(self.before, x) if self.before else x
        x = at.call(self.out, x) if self.out else x
        return x.mean(0, keepdim=True) if self.averaged else x


class VectorHead(EncoderHead, frozen=True, kw_only=True):
    """The vector of a text that is compared with those of sounds (CLAP)."""

    section: Section | None = Section.HEAD

    @property
    def word(self) -> str:
        return "text vector"


class MaskedHead(EncoderHead, frozen=True, kw_only=True):
    """Scores of the vocabulary for each token: `decoder`, often the token embedding again, after `before`.

    The bias is a parameter beside the matrix; files may have it under the matrix's name too (`copies`). A matrix that
    is not tied has a bias of its own, and the other is stored and not used.
    """

    decoder: Head
    bias: str = "bias"
    copies: tuple[str, ...] = ("decoder.bias",)
    section: Section | None = Section.HEAD

    @property
    def stored(self) -> Iterable[StorageItem]:
        copies = self.copies if self.decoder.tied else ()
        return (SharedBias(self.bias, Role.LM_HEAD, copies),) if self.bias else ()

    def sizes(self) -> Sizes:
        return {Role.LM_HEAD: (Size(self.decoder.vocabulary), self.decoder.width)}

    @property
    def word(self) -> str:
        return "logits"

    def equation(self, x: str = "x") -> str:
        scores = self.decoder.equation(self.before.equation(x) if self.before else x)
        return scores + (" + bias" if self.bias or self.decoder.bias else "")

    def terms(self) -> Mapping[Role, str]:
        return {Role.LM_HEAD: self.equation()}

    def score(self, x: torch.Tensor, at: At, words: Embedding, table: At) -> torch.Tensor:
        """[T, width] to logits [T, vocabulary]; `words` is the token embedding and `table` its place."""
        x = at.call(self.before, x) if self.before else x
        place = at.below(self.decoder)
        owner, lies = (words, table) if self.decoder.tied else (self.decoder, place)
        scores = self.decoder.score(x, place, owner, lies)
        beside = self.bias and not self.decoder.bias
        bias = at.weights(self).get(f"{Role.LM_HEAD}.bias") if beside else None
        return scores if bias is None else scores + bias
