"""What stands above every table about a model: its name, what it is, and the facts in a line each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from weightscope.analyses.summary import Summary
from weightscope.output import run_state, words

if TYPE_CHECKING:
    from weightscope.analyses.memory.state import DecodeState
    from weightscope.analyses.quantized import Quantization

# Schemes that `inspect` names; --by quantization has all.
MOST_SCHEMES = 4


def title(summary: Summary) -> str:
    """The model's name: its directory's or file's."""
    return title_of(summary.model.reference)


def title_of(reference: str) -> str:
    """The same from what names the model."""
    if "://" in reference:
        return reference.rstrip("/").rpartition("/")[2]
    path = Path(reference).resolve()
    generic = path.name == "config.json" or path.name.endswith(".index.json")
    return (path.parent if generic else path).name or str(path)


def subtitle(summary: Summary, *, exact: bool = False) -> str:
    """Architecture, format, size, dtype."""
    model = summary.model
    kind = f"{summary.adapter.words} adapter" if summary.adapter else "unknown architecture"
    parts = [
        model.architecture or model.model_type or kind,
        _format(summary),
        words.size(summary.bytes, exact=exact) if summary.bytes else "",
        dtypes(summary),
        model.quantization or "",
    ]
    return " · ".join(part for part in parts if part)


def _format(summary: Summary) -> str:
    if summary.model.format == "config":
        return "config.json alone, no weights"
    if summary.model.format == "index":
        return "index alone, no weights"
    shards = len(summary.files)
    return f"{summary.model.format} in {shards:,} shards" if shards > 1 else summary.model.format


def facts(summary: Summary, *, exact: bool = False) -> Iterable[tuple[str, str]]:
    """What is counted and what is stored, as (label, text)."""
    if summary.adapter is not None:
        from weightscope.output.adapter import adapter_facts

        yield from adapter_facts(summary.adapter)
        yield "Stored", _stored(summary, exact=exact)
        return
    if summary.parameters.total is None:
        yield "Parameters", f"unknown: {_why_unknown(summary)}"
        if summary.dtypes:
            yield "Stored", _stored(summary, exact=exact)
        return
    yield from _counts(summary, exact=exact)
    if summary.model.shape:
        yield "Shape", summary.model.shape
    if text := _embeddings(summary):
        yield "Embeddings", text
    yield "Stored", _stored(summary, exact=exact)
    yield from _quantized(summary.quantization)
    if summary.sentence_vectors:
        yield "Vectors", f"of texts: {summary.sentence_vectors}"
    yield from _parts(summary)
    yield from run_state.lines(summary, exact=exact)


def state_facts(state: DecodeState, *, exact: bool = False) -> Iterable[tuple[str, str]]:
    """What is kept of each sequence between decode steps; beyond a window, what it keeps is fixed."""
    per_token, fixed = state.total.per_token, state.total.fixed
    said = f"{words.decimal(per_token, 0 if per_token == int(per_token) else 1)} B per token"
    yield "State", f"{said}{f' + {words.size(fixed, exact=exact)} fixed' if fixed else ''}, of each sequence"


def _parts(summary: Summary) -> Iterable[tuple[str, str]]:
    """The models of a pipeline, each with its class, its parameters and its share."""
    # Dense layers of sentence-transformers are beside the model, and no part of its count.
    total = None if summary.sentence_vectors else summary.parameters.total
    for number, part in enumerate(summary.parts):
        known = part.family or "roles guessed"
        share = f", {words.percent(part.parameters / total)}" if part.parameters is not None and total else ""
        count = "unknown" if part.parameters is None else _both(part.parameters)
        yield (
            "" if number else "Parts",
            f"{part.name}: {part.architecture or 'unknown class'}, {count}{share} ({known})",
        )


def _why_unknown(summary: Summary) -> str:
    if summary.model.format == "index":
        return "an index gives names and total size, no shapes"
    if summary.files:
        return "packed integers; the number of weights in each is not known"
    return "no weight file was read"


def _counts(summary: Summary, *, exact: bool) -> Iterable[tuple[str, str]]:
    parameters, buffers = summary.parameters, summary.buffers
    total = _both(parameters.total or 0)
    if (rest := parameters.non_embedding) is not None:
        total += f"   {words.count(rest) if exact else words.short(rest)} without embeddings and head"
    yield "Parameters", total
    if parameters.active is None:
        yield "Active", "unknown: the number of experts per token is not declared"
    elif parameters.active != parameters.total:
        yield "Active", f"{_both(parameters.active)}   used per token"
    if parameters.auxiliary:
        yield "Auxiliary", f"{_both(parameters.auxiliary)}   not counted in the total"
    if buffers.tensors:
        elements = words.plural(buffers.elements, "element")
        yield "Buffers", f"{words.plural(buffers.tensors, 'tensor')}, {elements}; not parameters"


def _both(number: int) -> str:
    """All digits, and where they are many the field's suffix too."""
    return words.count(number) + (f"  ({words.short(number)})" if number >= 1000 else "")


def _quantized(quantization: Quantization | None) -> Iterable[tuple[str, str]]:
    """Each scheme with its bits, and what stayed plain."""
    if quantization is None:
        return
    for number, share in enumerate(quantization.schemes[:MOST_SCHEMES]):
        bits = ""
        if share.bits_per_parameter is not None and share.bits_without_scales is not None:
            bits = f", {share.bits_per_parameter:.4g} bits each ({share.bits_without_scales:.4g} without scales)"
        yield "" if number else "Quantized", f"{share.scheme}: {words.plural(share.tensors, 'weight')}{bits}"
    if more := len(quantization.schemes) - MOST_SCHEMES:
        yield from (("", f"and {words.plural(more, 'more scheme')} (params --by quantization)"),) if more > 0 else ()
    for number, (said, roles) in enumerate(_plain(quantization).items()):
        yield "" if number else "Plain", f"{', '.join(roles)}{said}"


def _plain(quantization: Quantization) -> dict[str, list[str]]:
    """The roles of plain matrices by what the settings say of them."""
    found: dict[str, list[str]] = {}
    for share in quantization.plain if quantization.schemes else ():
        said = f", although {quantization.source} does not say so" if share.declared is False else ""
        roles = found.setdefault(said, [])
        if share.role not in roles:
            roles.append(share.role)
    return found


def _stored(summary: Summary, *, exact: bool) -> str:
    if summary.dtypes:
        each = " · ".join(f"{share.dtype} {words.size(share.bytes, exact=exact)}" for share in summary.dtypes)
        bits = summary.parameters.bits_per_parameter
        return each + (f"   {bits:.4g} bits per parameter" if bits else "")
    if summary.model.format not in ("config", "index"):
        return "nothing: the files hold no tensors"
    return "no weights; sizes from config.json" + (f" ({summary.model.dtype})" if summary.model.dtype else "")


def _embeddings(summary: Summary) -> str:
    head = next((share for share in summary.components if share.component == "head"), None)
    count = words.count(head.parameters or 0) if head else "0"
    evidence, tied = summary.embeddings.evidence, summary.embeddings.tied
    stored = head is not None and summary.model.format != "config"
    if evidence == "absent-head" and not summary.tensors.total:
        return ""
    if evidence == "absent-head":
        return "tied: no lm_head is stored" if tied else "config.json says untied, but lm_head is missing"
    if evidence == "untied" and summary.model.format in ("config", "index"):
        return f"untied: lm_head has {count} parameters of its own"
    return {
        "shared-storage": "tied: lm_head is the embedding's own storage",
        "equal-values": "tied: lm_head is stored too, identical to the embedding",
        "declared": "tied (config.json)" + ("; lm_head is stored too (compare with --values)" if stored else ""),
        "untied": f"untied: lm_head is stored separately ({count})",
        "not-applicable": "",
    }[evidence]


def dtypes(summary: Summary) -> str:
    """BF16/F8_E4M3, at most three."""
    return "/".join(share.dtype for share in summary.dtypes[:3]) + ("/…" if len(summary.dtypes) > 3 else "")
