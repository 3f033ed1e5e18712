"""The lines of `inspect` about an adapter."""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.adapting.summary import AdapterInfo, TargetShare
from weightscope.output import words

LIBRARIES = {"peft": "PEFT", "mlx": "mlx-lm", "diffusers": "diffusers", "kohya": "kohya's scripts"}
# Names of modules that are shown; adapters of all linear layers have seven.
MOST = 10


def adapter_facts(info: AdapterInfo) -> Iterator[tuple[str, str]]:
    """Method, targets, base and what was trained, as (label, text)."""
    yield "Adapter", ", ".join(_method(info))
    for number, target in enumerate(info.targets[:MOST]):
        yield "" if number else "Targets", _target(target)
    if (more := len(info.targets) - MOST) > 0:
        yield "", f"and {words.plural(more, 'more name')}"
    if info.modules_to_save:
        yield "Saved", f"{', '.join(info.modules_to_save[:MOST])}   trained and stored whole"
    if info.trained_tokens:
        yield "Tokens", f"{words.plural(info.trained_tokens, 'row')} of the embeddings, trained alone"
    yield "Base", _base(info)
    yield "Trained", _trained(info)
    if info.frozen:
        yield "Frozen", f"{words.plural(info.frozen, 'element')} of the base, stored beside and not trained"


def _method(info: AdapterInfo) -> Iterator[str]:
    yield f"{info.words}, as {LIBRARIES[info.library]} writes it"
    ranks = info.ranks or ((info.rank,) if info.rank is not None else ())
    if ranks:
        yield f"rank{'' if len(ranks) == 1 else 's'} {_several(ranks)}"
    if info.alpha is not None:
        yield f"alpha {info.alpha:g}"
    if info.scales:
        yield f"scale{'' if len(info.scales) == 1 else 's'} {_several(info.scales)}"


def _several(numbers: tuple[float, ...]) -> str:
    """All where they are few, else the smallest and the largest."""
    if len(numbers) <= 4:
        return ", ".join(f"{number:.4g}" for number in numbers)
    return f"{numbers[0]:.4g} to {numbers[-1]:.4g}"


def _target(target: TargetShare) -> str:
    role = "" if target.role in ("unknown", target.module) else f" ({target.role})"
    rank = f", rank {_several(target.ranks)}" if target.ranks else ""
    count = words.plural(target.parameters, "parameter")
    return f"{target.module}{role}: {words.plural(target.modules, 'module')}{rank}, {count}"


def _base(info: AdapterInfo) -> str:
    named = info.base or "not named"
    if info.held_against is None:
        return f"{named}   not here; give it with --base"
    size = "" if info.base_parameters is None else f", {words.plural(info.base_parameters, 'parameter')}"
    return f"{named}   held against {info.held_against}{size}"


def _trained(info: AdapterInfo) -> str:
    if info.trainable is None:
        return "unknown: not all that was trained is stored, or the method is not known"
    share = "" if info.share is None else f"   {words.percent(info.share)} of the base"
    return words.plural(info.trainable, "parameter") + share
