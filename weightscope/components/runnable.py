"""What a pass can start with: a language model, one that sees, a vision encoder alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from weightscope.components.base import Component
from weightscope.components.embedding import Embedding
from weightscope.components.walk import find
from weightscope.errors import NotImplementedByWeightscope, UsageError

if TYPE_CHECKING:
    import torch

    from weightscope.components.inner_adapters import InnerAdapter

Inputs = Mapping[str, "torch.Tensor"]
PIXELS = "pixel_values"
# What logits are of: the token after each, each token itself (a masked model's), or no tokens.
Predicts = Literal["next", "same", ""]


def no_tokens(model: Runnable) -> UsageError:
    """Tokens for a model that reads none."""
    return UsageError("this model takes no tokens", hint=f"it takes {' and '.join(model.takes)}")


def refuse(why: str) -> None:
    """Raise a NotImplementedByWeightscope where the maths is refused, and say why."""
    if why:
        raise NotImplementedByWeightscope(f"the forward pass is not implemented: {why}")


class Runnable(Component, frozen=True, kw_only=True):
    """A whole model, or a part that can run alone, with the names of what it takes besides tokens."""

    @property
    def takes_tokens(self) -> bool:
        """Whether it reads tokens at all: towers and models that hear speech do not."""
        return True

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of its processor's arrays that the model takes."""
        return ()

    @property
    def beside(self) -> tuple[str, ...]:
        """Those of them that only say how images are written among the tokens; no other implementation takes them."""
        return ()

    @property
    def processor(self) -> str:
        """The image processor where the settings do not name one, by its class in transformers."""
        return ""

    @property
    def marks(self) -> tuple[int, ...]:
        """The tokens at whose places the vectors of images or audio stand."""
        return ()

    @property
    def reader(self) -> Runnable | None:
        """The part that reads its tokens, where it is not the model itself."""
        return None

    @property
    def words(self) -> Embedding | None:
        """The table of its tokens."""
        return self.reader.words if self.reader else None

    @property
    def learned(self) -> Embedding | None:
        """The table of its positions, where they are learned."""
        return self.reader.learned if self.reader else None

    @property
    def layers(self) -> int:
        """How many layers a pass over tokens goes through."""
        return self.reader.layers if self.reader else 0

    @property
    def logits_of(self) -> Predicts:
        """What its logits are of."""
        return ""

    @property
    def writer(self) -> Component | None:
        """The part that writes a text token by token, and keeps a state for that; None where nothing does."""
        return self if self.logits_of == "next" else None

    @property
    def decoder_start(self) -> int | None:
        """The token with which a decoder beside an encoder begins, where the config says one."""
        return None

    def looks_at(self, context: int) -> int:
        """How many vectors the writing part usually looks at while it writes so many tokens: an encoder's."""
        del context
        return 0

    def scored(self, tokens: tuple[int, ...], inputs: Inputs) -> tuple[int, ...]:
        """The tokens that the rows of the output are of: those that the pass runs on, or an encoder-decoder writes."""
        del inputs
        return tokens

    def completed(self, inputs: Mapping[str, Any], tokens: tuple[int, ...]) -> Mapping[str, Any]:
        """The arrays of an image processor with what the model's whole processor makes of the tokens besides."""
        return inputs

    def inner_adapter(self, task: str, inputs: Inputs) -> InnerAdapter | None:
        """The LoRA among its own weights that a pass adds to them: for a task, or for inputs; None for none.

        Raises:
            UsageError: there is none for that task.
        """
        del inputs
        if task:
            raise UsageError("this model has no LoRA for a task", hint="leave out --task")
        return None

    def checked(self, inputs: Inputs, tokens: tuple[int, ...]) -> None:
        """Hold the inputs of a pass against each other and the tokens.

        Raises:
            UsageError: one is missing or unknown, or their shapes do not fit.
        """
        for name in inputs:
            if name not in self.takes:
                what = "images" if name == PIXELS else name
                hint = f"it takes {' and '.join(self.takes)}" if self.takes else ""
                raise UsageError(f"this model does not take {what}", hint=hint)
        if tokens and not self.takes_tokens:
            raise no_tokens(self)

    def positions_of(self, tokens: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        """The positions [T], or [axes, T], of the tokens [T]."""
        import torch

        return torch.arange(len(tokens))


def runnable_in(tree: Component) -> Runnable | None:
    """The model in a declaration, which may lie below the name of a wrapper."""
    return next(find(tree, Runnable), None)


def beside_padding(tokens: torch.Tensor, padding: int) -> torch.Tensor:
    """The positions [T] of tokens [T], of which only those that are no padding count; padding has -1."""
    words = tokens != padding
    return (words.cumsum(0) - 1).masked_fill(~words, -1)
