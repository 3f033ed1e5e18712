"""A pass held against a golden file: what an earlier pass put out, stage by stage."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import msgspec

from weightscope.analyses.forward.measuring import MARKS
from weightscope.analyses.forward.request import MAX_TOKENS, too_many_tokens
from weightscope.analyses.forward.result import Candidate, Result
from weightscope.analyses.forward.stages import Stage
from weightscope.errors import UsageError
from weightscope.escapes import json_text
from weightscope.findings import Finding

# The tokens of the longest pass and some hundred bytes for each stage are far less.
MAX_GOLDEN = 10_000_000
KIND = "weightscope forward"
# Of the size of what is expected: far above what other machines round otherwise, far below what a wrong order does.
RTOL = {"float32": 1e-3, "float64": 1e-3, "bfloat16": 5e-2}


class Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """How far values may be from expected ones: `atol` + `rtol` · the root mean square of those expected."""

    atol: float = 0.0
    rtol: float = 1e-3

    @classmethod
    def of(cls, compute_dtype: str, atol: float | None, rtol: float | None) -> Tolerance:
        """As a user wants it, or as the compute type allows.

        Raises:
            UsageError: a tolerance that is none.
        """
        for name, value in (("--atol", atol), ("--rtol", rtol)):
            if value is not None and not 0 <= value < math.inf:
                raise UsageError(f"{name} {value} is not a tolerance", hint="give a number from 0 up")
        default = RTOL.get(compute_dtype, cls.rtol)
        return cls(atol=atol or 0.0, rtol=default if rtol is None else rtol)

    def allows(self, difference: float, size: float) -> bool:
        """Whether a difference is small beside values of that root mean square."""
        return difference <= self.atol + self.rtol * size


Whole = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What a golden file keeps of a stage."""

    stage: str
    shape: tuple[Whole, ...]
    rms: float | None
    absmax: float | None
    fingerprint: tuple[float, ...] | None


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """What `--record` keeps of a pass: small enough for a repository, and enough to name the stage that changed.

    `top` are the likeliest tokens after each of the last few positions; `decoder_tokens` those that an
    encoder-decoder's decoder was given.
    """

    schema_version: int = 1
    kind: str = KIND
    model_type: str
    compute_dtype: str
    tokens: tuple[Whole, ...]
    decoder_tokens: tuple[Whole, ...] | None = None
    image: str | None = None
    stages: tuple[Mark, ...]
    top: tuple[tuple[Candidate, ...], ...]

    @classmethod
    def of(cls, result: Result, model_type: str, *, image: str | None = None, has_decoder: bool = False) -> Golden:
        """The golden file of a pass; the model `has_decoder` beside an encoder.

        Raises:
            UsageError: the pass put out NaN or infinity, which nothing can be held against.
        """
        if not result.finite:
            raise UsageError("a pass with NaN or infinity cannot be recorded", hint="the findings say where")
        return cls(
            model_type=model_type,
            compute_dtype=result.compute_dtype,
            tokens=result.tokens,
            decoder_tokens=result.scored if has_decoder else None,
            image=image,
            stages=tuple(
                Mark(stage=s.stage, shape=s.shape, rms=s.rms, absmax=s.absmax, fingerprint=s.fingerprint)
                for s in result.stages
            ),
            top=tuple(tuple(row) for row in result.top(last=4)),
        )

    def to_json(self) -> str:
        """One stage a line, so that a repository shows which changed; tokens of a decoder only where there is one."""
        left = ("stages", "top") if self.decoder_tokens is not None else ("stages", "top", "decoder_tokens")
        fields = [
            f' "{name}": {json_text(getattr(self, name), indent=None)}'
            for name in self.__struct_fields__
            if name not in left
        ]
        lists = [
            f' "{name}": [\n' + ",\n".join(f"  {json_text(item, indent=None)}" for item in getattr(self, name)) + "\n ]"
            for name in ("stages", "top")
        ]
        return "{\n" + ",\n".join([*fields, *lists]) + "\n}\n"


def read_golden(path: Path) -> Golden:
    """A golden file.

    Raises:
        UsageError: it cannot be read or is none.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_GOLDEN + 1)
        if len(raw) > MAX_GOLDEN:
            raise UsageError(
                f"is larger than {MAX_GOLDEN:,} bytes", where=path, hint="files that --record writes are smaller"
            )
        golden = msgspec.json.decode(raw, type=Golden)
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror})", where=path, hint="check the path") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"is not a golden file ({error})", where=path, hint="write one with --record") from None
    if golden.kind != KIND or golden.schema_version != 1:
        raise UsageError("is not a golden file of this version", where=path, hint="write one with --record")
    for tokens in (golden.tokens, golden.decoder_tokens or ()):
        if len(tokens) > MAX_TOKENS:
            raise too_many_tokens(len(tokens))
    if any(len(stage.fingerprint or ()) != MARKS for stage in golden.stages):
        raise UsageError("has damaged fingerprints", where=path, hint="record it again")
    return golden


def against_golden(result: Result, golden: Golden, tolerance: Tolerance) -> tuple[tuple[Finding, ...], float]:
    """What differs, the first stage named, and the largest difference of a fingerprint relative to its stage's size."""
    expected, found = [s.stage for s in golden.stages], [s.stage for s in result.stages]
    if expected != found:
        return (_other_stages(expected, found),), math.inf
    largest, first = 0.0, None
    for before, stage in zip(golden.stages, result.stages, strict=True):
        difference, size = _difference(before, stage), before.rms or 0.0
        largest = max(largest, difference / size if size else difference)
        if first is None and (before.shape != stage.shape or not tolerance.allows(difference, size)):
            first = stage, before, difference
    if first is None:
        return (), largest
    stage, before, difference = first
    share = f"{difference / before.rms * 100:.3g} % of its RMS" if before.rms else f"{difference:.3g}"
    return (
        Finding(
            code="output-mismatch",
            severity="error",
            message=f"{stage.stage} is the first stage that differs from the golden file, by {share}"
            if before.shape == stage.shape
            else f"{stage.stage} has the shape {list(stage.shape)}, in the golden file {list(before.shape)}",
            tensors=stage.weights,
            expected=list(before.fingerprint or ()),
            actual=list(stage.fingerprint or ()),
            hint=f"all stages before it agree: check its weights ({', '.join(stage.roles)}), their order and layout",
        ),
    ), largest


def _difference(before: Mark, stage: Stage) -> float:
    """The root mean square over the fingerprint's numbers, each as far off as an element is."""
    if before.fingerprint is None or stage.fingerprint is None or before.shape != stage.shape:
        return math.inf
    # Squares of giant numbers would overflow; this scales them first.
    by_marks = math.dist(before.fingerprint, stage.fingerprint) / math.sqrt(MARKS)
    return max(by_marks, abs((before.rms or 0.0) - (stage.rms or 0.0)))


def _other_stages(expected: list[str], found: list[str]) -> Finding:
    pairs = zip([*expected, "the end"], [*found, "the end"], strict=False)
    there, here = next(((a, b) for a, b in pairs if a != b), ("the end", "the end"))
    return Finding(
        code="output-mismatch",
        severity="error",
        message=f"the pass has {len(found):,} stages, the golden file {len(expected):,}; the first"
        f" difference is {here!r:.80} instead of {there!r:.80}",
        hint="the golden file is of another model, or of a pass that stopped at another layer",
    )
