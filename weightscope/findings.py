"""What an analysis noticed: one line a fact, with the code under which docs and CI know it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from weightscope.brief import Suggesting, plural
from weightscope.errors import WeightscopeError
from weightscope.escapes import visible
from weightscope.ranges import Title, names_of

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")

# Every code of `check`, in one sentence; docs/findings.md has an entry for each code there is.
CODES = {
    "missing-tensor": "A tensor that the config's architecture has is in no file.",
    "unexpected-tensor": "A stored tensor is not of the config's architecture.",
    "shape-mismatch": "A tensor has another shape than the config gives it.",
    "dtype-mismatch": "A tensor has another element type than the rest of the model or the config.",
    "missing-shard": "A weight file that the index or the shard numbers name is not there.",
    "unexpected-shard": "A file is numbered like the shards and belongs to none of them.",
    "index-mismatch": "The index and the shards say different things.",
    "size-mismatch": "The index's total size is not that of the tensors.",
    "truncated-file": "A weight file ends before its contents do.",
    "malformed-header": "A weight file is not of the format that it claims.",
    "malformed-index": "An index file cannot be used.",
    "unsafe-path": "An index names a file outside of its directory.",
    "unsafe-pickle": "A PyTorch file wants more than tensors and plain containers.",
    "tie-mismatch": "The head is not tied to the embedding as the config says.",
    "prefix-mismatch": "Names carry, lack or exchange a prefix or suffix.",
    "other-weights": "Another complete set of weights lies beside the one that was read.",
    "config-missing": "There is no config.json, or a file that usually lies beside it is not there.",
    "config-invalid": "A config file cannot be read, or contradicts itself or its neighbours.",
    "unknown-architecture": "No declared family fits, so nothing could be checked.",
    "quantization-mismatch": "The weights are not quantized as the config says.",
    "non-finite": "A tensor holds NaN or infinity.",
    "all-zero": "A matrix holds nothing but zeros.",
    "duplicate-tensor": "The same tensor name is stored more than once.",
}
# What only a forward pass shows.
FORWARD_CODES = {
    "exploding-magnitude": "A stage of the forward pass puts out values beyond all measure.",
    "constant-output": "A stage of the forward pass puts out the same whatever the tokens are.",
    "uniform-loss": "Real text is predicted no better than by a uniform guess.",
    "output-mismatch": "The forward pass puts out something else than was expected of it.",
}


# Of many findings, so many are shown.
SHOWN = 10


class Finding(Suggesting, msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One thing noticed; `tensors` holds names or titles of several, `config` the keys to look at.

    The titles are for people; the names that they stand for are kept beside them, and `names` gives them.
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
        """Every tensor that this is about."""
        titles: tuple[str, ...] = self.__dict__.get("titles", self.tensors)
        return (name for title in titles for name in names_of(title))

    @classmethod
    def of(cls, error: WeightscopeError) -> Finding:
        """A failure that is itself what there is to say."""
        place = f"{error.where}: " if error.where else ""
        return cls(
            code=error.code or "malformed-header", severity="error", message=f"{place}{error.what}", hint=error.hint
        )


class Findings(tuple[Finding, ...]):
    """What `Model.check` found, in the order of the rules; shown with a line for each of the first ten."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self:
            return "no findings"
        lines = [f"  {finding.severity:<7} {finding.code}: {visible(finding.message)}" for finding in self[:SHOWN]]
        more = [f"  and {len(self) - SHOWN:,} more"] if len(self) > SHOWN else []
        return "\n".join([f"{plural(len(self), 'finding')}:", *lines, *more])
