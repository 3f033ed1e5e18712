"""Is an adapter whole, and does it fit its own settings? All rules for adapters, those on the base included."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from weightscope.adapters.common.spelling import place_of
from weightscope.adapters.registry import Adapter
from weightscope.adapters.tokens import Rows
from weightscope.analyses.rules.adapter_bases import (
    idle_targets,
    missing_modules,
    other_base,
    without_base,
    wrong_prompts,
)
from weightscope.analyses.rules.adapter_subject import MOST_FAULTS, AdapterSubject, mismatch
from weightscope.analyses.rules.subject import listed, some
from weightscope.findings import Finding
from weightscope.ranges import summed

RETRAIN = "save the adapter again, or restore adapter_config.json from the same run"
# PEFT names both for every classifier, and a model has one.
CLASSIFIERS = frozenset({"classifier", "score"})
Rule = Callable[[AdapterSubject], Iterator[Finding]]


def check_adapter(subject: AdapterSubject) -> tuple[Finding, ...]:
    """All that the rules find; of a method that weightscope does not read, only that."""
    if not subject.adapter.settings.known:
        return (_unread_method(subject.adapter),)
    return tuple(finding for rule in ADAPTER_RULES for finding in rule(subject))


def _unread_method(adapter: Adapter) -> Finding:
    method = adapter.settings.words
    return mismatch(
        f"{method} is a method that weightscope does not read: its tensors are counted as stored, and not checked",
        "",
        severity="warning",
    )


def torn_modules(subject: AdapterSubject) -> Iterator[Finding]:
    """Tensors of one module that do not go together, and ranks that the settings give otherwise."""
    kinds: dict[str, list[str]] = {}
    for fault in subject.adapter.faults:
        kinds.setdefault(fault.what, []).append(fault.module)
    for what, modules in [*kinds.items()][:MOST_FAULTS]:
        titles = summed(modules)
        yield mismatch(f"{listed(titles)}: {what}", RETRAIN, tensors=tuple(titles))
    if len(kinds) > MOST_FAULTS:
        yield mismatch(f"modules have {len(kinds) - MOST_FAULTS:,} more faults like these", RETRAIN)


def unknown_tensors(subject: AdapterSubject) -> Iterator[Finding]:
    """`unexpected-tensor`: names that no method of adapters has, and whole tensors that the settings do not name."""
    adapter = subject.adapter
    names = [name for name, held in adapter.tensors.items() if not held.known]
    settings = adapter.settings
    if settings.library == "peft" and settings.source and subject.base:
        names += [
            change.tensors[0]
            for change in (subject.fit.absent if subject.fit else ())
            if place_of(change.tensors[0]).part == "saved"
        ]
    if titles := summed(names):
        yield Finding(
            code="unexpected-tensor",
            severity="warning",
            message=f"{some(names)} not part of {settings.words}: {listed(titles)}",
            tensors=tuple(titles),
            hint="loaders ignore them",
        )


def empty_adapter(subject: AdapterSubject) -> Iterator[Finding]:
    """An error where nothing is stored that changes anything."""
    adapter = subject.adapter
    if subject.checkpoint.files and not adapter.changes and not adapter.prompts and not adapter.faults:
        if any(held.known for held in adapter.tensors.values()):
            return
        yield mismatch("it holds no tensor of an adapter", "save the adapter again; the base's weights are not enough")


def untargeted_modules(subject: AdapterSubject) -> Iterator[Finding]:
    """Modules that have tensors, and that the settings do not name: loaders leave these tensors out."""
    adapter = subject.adapter
    targets = adapter.settings.targets
    if not targets.told or adapter.settings.parameters or adapter.settings.library != "peft":
        return
    tokens = {change.weight.removesuffix(".weight") for change in adapter.changes if isinstance(change, Rows)}
    strays = [module for module in adapter.modules if module not in tokens and not targets.holds(module)]
    if titles := summed(strays):
        yield mismatch(
            f"{some(strays, 'module')} not among target_modules: {listed(titles)}",
            "loaders ignore their tensors; add them to target_modules",
            tensors=tuple(titles),
        )


def missing_whole(subject: AdapterSubject) -> Iterator[Finding]:
    """Modules to save, or trained tokens, that the settings name and no file holds."""
    adapter = subject.adapter
    settings = adapter.settings
    names = [change.weight for change in adapter.changes]
    lacking = [saved for saved in settings.saved if not any(f".{saved}." in f".{name}" for name in names)]
    if CLASSIFIERS & {*settings.saved} - {*lacking}:
        lacking = [saved for saved in lacking if saved not in CLASSIFIERS]
    if lacking:
        yield mismatch(f"modules_to_save names {', '.join(lacking[:5])}, of which no tensor is stored", RETRAIN)
    rows = [change for change in adapter.changes if isinstance(change, Rows)]
    if settings.tokens and not rows and not adapter.faults:
        yield mismatch("tokens were trained, and their rows are not stored", RETRAIN)


def unread_patterns(subject: AdapterSubject) -> Iterator[Finding]:
    """An info where the settings have a pattern that is not matched here."""
    settings = subject.adapter.settings
    for key, unread in (("target_modules", settings.targets.unread), ("rank_pattern", settings.ranks.unread)):
        if unread:
            yield mismatch(
                f"{key} has a pattern that is not matched here ({unread:.60}): what it means was not checked",
                "",
                severity="info",
            )


ADAPTER_RULES: tuple[Rule, ...] = (
    empty_adapter,
    torn_modules,
    unknown_tensors,
    other_base,
    untargeted_modules,
    idle_targets,
    missing_modules,
    missing_whole,
    wrong_prompts,
    unread_patterns,
    without_base,
)
