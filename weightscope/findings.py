"""What an analysis noticed: one line a fact, with the code under which docs and CI know it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeVar

import msgspec

from weightscope.brief import Displayed, Suggesting, plural
from weightscope.errors import WeightscopeError
from weightscope.escapes import visible
from weightscope.ranges import Title, names_of

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
T = TypeVar("T")

# Every code of `check`, in one sentence; docs/findings.md has an entry for each code there is.
CODES = {
    "missing-tensor": "A tensor that the model needs is in none of the files.",
    "unexpected-tensor": "A stored tensor does not belong to the model that config.json describes.",
    "shape-mismatch": "A tensor's shape differs from the one that config.json gives.",
    "dtype-mismatch": "A tensor's dtype differs from the rest of the model, or from config.json.",
    "missing-shard": "A weight file that the index or the shard numbers name is missing.",
    "unexpected-shard": "A file is numbered like a shard but is not one of this checkpoint.",
    "index-mismatch": "The index and the shards disagree.",
    "size-mismatch": "The total size in the index is not that of the tensors.",
    "truncated-file": "A weight file is cut short.",
    "malformed-header": "A weight file does not follow its format.",
    "malformed-index": "An index file cannot be read or lacks what it needs.",
    "unsafe-path": "An index names a file outside its directory.",
    "unsafe-pickle": "A PyTorch file would run code when it is loaded.",
    "tie-mismatch": "Tying of head and embedding disagrees with config.json.",
    "prefix-mismatch": "Tensor names have an extra, missing or different prefix or suffix.",
    "other-weights": "The directory has another complete set of weights.",
    "adapter-mismatch": "An adapter does not fit its base, its settings or itself.",
    "config-missing": "config.json, or a file that usually goes with it, is missing.",
    "config-invalid": "A config file cannot be read, or contradicts itself or another file.",
    "unknown-architecture": "The model type or quantization method is not declared, so tensors were not checked.",
    "quantization-mismatch": "Quantization disagrees with config.json.",
    "non-finite": "A tensor contains NaN or infinity.",
    "all-zero": "All values of a matrix are zero.",
    "duplicate-tensor": "A tensor name is stored more than once.",
    "convention-mismatch": "Weights seem to follow another convention than the model.",
    "lock-mismatch": "The model differs from its lock.",
    "constant-tensor": "All values of a matrix are the same number.",
    "value-outlier": "A layer's values stand out from those of the layers around it.",
}
# What only a forward pass shows.
FORWARD_CODES = {
    "exploding-magnitude": "A stage of the forward pass has extremely large outputs.",
    "constant-output": "A stage of the forward pass has the same output for all tokens.",
    "uniform-loss": "The loss on real text is no better than uniform guessing.",
    "output-mismatch": "The output of the forward pass differs from what was expected.",
}
# What only `memory --gpu` tells.
MEMORY_CODES = {"does-not-fit": "The model does not fit on the devices, or they cannot divide it."}
# What only `diff` tells.
DIFF_CODES = {"different": "Two models differ."}


def passes(findings: Iterable[Finding], fail_on: Severity) -> bool:
    """Whether none of the findings is as severe as `fail_on`, or more."""
    limit = SEVERITIES.index(fail_on)
    return all(SEVERITIES.index(finding.severity) > limit for finding in findings)


def most_severe_first(items: Iterable[T], severity: Callable[[T], Severity]) -> list[T]:
    """Errors, then warnings, then notes; items of one severity stay in their order."""
    return sorted(items, key=lambda item: SEVERITIES.index(severity(item)))


# Of many findings, so many are shown.
SHOWN = 10


class Finding(Displayed, Suggesting, msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One fault or note.

    Attributes:
        code: what kind it is, as docs/findings.md lists them.
        severity: `error`, `warning` or `info`.
        message: one sentence.
        tensors: the names concerned, or titles that stand for several (`model.layers.{0–3}.mlp`); `names` lists all.
        expected: what should be there, such as a shape; None where that makes no sense.
        actual: what is there.
        config: the config keys concerned.
        hint: what it means, or what to do.
    """

    code: str
    severity: Severity
    message: str
    tensors: tuple[str, ...] = ()
    expected: object = None
    actual: object = None
    config: tuple[str, ...] = ()
    hint: str = ""

    def __repr__(self) -> str:
        return f"Finding({self.severity} {self.code}: {visible(self.message)})"

    def __post_init__(self) -> None:
        if any(isinstance(title, Title) for title in self.tensors):
            self.__dict__["titles"] = self.tensors
            msgspec.structs.force_setattr(self, "tensors", tuple(str(title) for title in self.tensors))

    @property
    def names(self) -> Iterator[str]:
        """The name of every tensor concerned."""
        titles: tuple[str, ...] = self.__dict__.get("titles", self.tensors)
        return (name for title in titles for name in names_of(title))

    @classmethod
    def of(cls, error: WeightscopeError) -> Finding:
        """A failure that is itself what there is to say."""
        place = f"{error.where}: " if error.where else ""
        return cls(
            code=error.code or "malformed-header", severity="error", message=f"{place}{error.what}", hint=error.hint
        )


class Findings(Displayed, tuple[Finding, ...]):
    """What `Model.check` found, in the order of the rules; shown with a line for each of the first ten."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self:
            return "no findings"
        lines = [f"  {finding.severity:<7} {finding.code}: {visible(finding.message)}" for finding in self[:SHOWN]]
        more = [f"  and {len(self) - SHOWN:,} more"] if len(self) > SHOWN else []
        return "\n".join([f"{plural(len(self), 'finding')}:", *lines, *more])
