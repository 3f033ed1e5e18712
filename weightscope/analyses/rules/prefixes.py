"""Do the stored names carry, lack or exchange a prefix or suffix, and which loaders cope with that?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from weightscope.analyses.fitting import WRAPPERS
from weightscope.analyses.rules.subject import Subject
from weightscope.findings import Finding, Severity
from weightscope.roles import Role

if TYPE_CHECKING:
    from weightscope.checkpoint.renaming import Change, Renaming

# Prefixes that are no wrapper's word, and who writes them.
WRITERS = WRAPPERS | {
    "language_model.": "a vision-language model",
    "model.language_model.": "a vision-language model",
    "language_model.model.": "a vision-language model",
    "thinker.model.": "a multimodal model",
    "text_model.": "a multimodal model",
    "llm.": "a multimodal model",
    "pretrained_model.": "TRL's model with a value head",
    "model.": "a module with the model as self.model, such as Lightning's",
}
THROUGH = "weightscope reads the tensors without it"


def strange_prefixes(subject: Subject) -> Iterator[Finding]:
    """`prefix-mismatch`: an error where transformers loads nothing under such names, info where it loads them all."""
    renaming = subject.checkpoint.renaming
    if renaming and renaming.changes:
        yield _adapted(subject, renaming) if adapter_weights(subject) else _renamed(subject, renaming)
    elif lacking := _lacking_root(subject):
        yield lacking


def adapter_weights(subject: Subject) -> tuple[str, ...]:
    """The names of LoRA matrices that lie among the weights they belong to."""
    renaming = subject.checkpoint.renaming
    if renaming is None or not any(WRAPPERS.get(change.found) == "PEFT" for change in renaming.changes):
        return ()
    groups = [g for g in subject.inventory.groups if g.inferred and {Role.LORA_A, Role.LORA_B} & set(g.roles)]
    return tuple(name for group in groups for name in group.names)


def _renamed(subject: Subject, renaming: Renaming) -> Finding:
    loaded = _loaded(subject, renaming)
    said = [_said(change, len(subject.checkpoint.names)) for change in renaming.changes]
    if renaming.superseded:
        said.append(f"an older copy of {len(renaming.superseded):,} is stored too")
    severity: Severity = "info" if loaded else "error"
    return Finding(
        code="prefix-mismatch",
        severity=severity,
        message="; ".join(said),
        tensors=tuple(change.example for change in renaming.changes),
        expected=[change.expected for change in renaming.changes],
        actual=[change.found for change in renaming.changes],
        hint=f"transformers {loaded} it, but not every loader does; {THROUGH}" if loaded else _remedy(renaming.changes),
    )


def _loaded(subject: Subject, renaming: Renaming) -> str:
    """What transformers does to the prefix of a base model so that it loads all; empty where it loads nothing."""
    family = subject.declaration.family if subject.declaration else None
    base, root = (f"{family.base}." if family and family.base else ""), _root(subject)
    changes = {(change.found, change.expected) for change in renaming.changes}
    if root and changes == {(root, "")} and _usual_head(subject):
        return "removes"
    if base and changes == {(base, "")}:
        return "removes"
    return "adds" if base and changes == {("", base)} else ""


def _said(change: Change, total: int) -> str:
    """What stands where, and who writes it."""
    which = f"all {total:,} names" if change.count == total else f"{change.count:,} of {total:,} names"
    verb = {"prefix": "begin with", "inside": "contain", "suffix": "end with"}[change.place]
    writer = WRITERS.get(change.found) or ("PEFT" if change.found.startswith("modules_to_save.") else "")
    found = change.found if change.place != "inside" else f".{change.found}"
    text = f"{which} {verb} {found!r}" if change.found else f"{which} lack a prefix"
    if change.expected:
        text += f" where {change.expected!r} is expected"
    return text + (f", which {writer} writes" if writer and change.found else "")


def _remedy(changes: tuple[Change, ...]) -> str:
    if all(change.place == "suffix" for change in changes):
        return f"loaders do not find these tensors; rename them in the file; {THROUGH}"
    if any(change.expected for change in changes):
        return f"transformers finds none of these weights and fills them with random numbers: rename them; {THROUGH}"
    return (
        "transformers finds none of these weights and fills them with random numbers: "
        f"save the unwrapped model, or remove it from the names; {THROUGH}"
    )


def _adapted(subject: Subject, renaming: Renaming) -> Finding:
    """Weights of a model that PEFT still wraps."""
    names = set(adapter_weights(subject))
    adapter = sum(group.parameters for group in subject.inventory.groups if names.intersection(group.names))
    base = subject.parameters.total or 0
    return Finding(
        code="prefix-mismatch",
        severity="error",
        message=f"still wrapped by PEFT, with a LoRA adapter that is not merged: {base - adapter:,} parameters of the "
        f"model and {adapter:,} of the adapter, under names with "
        + " and ".join(repr(change.found) for change in renaming.changes),
        tensors=tuple(change.example for change in renaming.changes),
        actual=[change.found for change in renaming.changes],
        hint="transformers finds none of these weights: call merge_and_unload() and save, or save the adapter alone",
    )


def _lacking_root(subject: Subject) -> Finding | None:
    """A base model's names under a config that names a model with a head."""
    declaration, root = subject.declaration, _root(subject)
    if declaration is None or declaration.root or not root or not subject.inventory.recognized:
        return None
    architecture = declaration.config.architecture
    if not architecture or declaration.config.is_base_model or not subject.has_names:
        return None
    return Finding(
        code="prefix-mismatch",
        severity="info",
        message=f"the names lack the prefix {root!r} of {architecture}: they are those of a base model",
        expected=[root],
        actual=[""],
        config=("architectures",),
        hint="transformers adds it, but not every loader does",
    )


def _usual_head(subject: Subject) -> bool:
    """Whether transformers finds the head below a prefix: GPT-NeoX's `embed_out` it finds only without one."""
    heads = [group for group in subject.inventory.groups if Role.LM_HEAD in group.roles and not group.inferred]
    return all(name.startswith("lm_head.") for group in heads for name in group.names)


def _root(subject: Subject) -> str:
    """The prefix under which the family is usually published, with its dot."""
    root = subject.declaration.family.roots[0] if subject.declaration else ""
    return f"{root}." if root and " " not in root else ""
