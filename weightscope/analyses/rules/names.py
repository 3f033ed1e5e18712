"""Are the tensors there that the config's architecture has, and no others?"""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.rules.subject import Subject, listed, some, summed
from weightscope.findings import Finding
from weightscope.roles import Role, Section


def missing_tensors(subject: Subject) -> Iterator[Finding]:
    """`missing-tensor`, an error; info for auxiliary parts of which nothing is there: many writers leave them out."""
    if subject.declaration is None or not subject.inventory.recognized or not subject.complete:
        return
    partly = any(group.auxiliary for group in subject.inventory.groups)
    left_out: list[str] = []
    for slot, names in subject.inventory.missing:
        # An absent head is a question of tying, asked there.
        if slot.section is Section.HEAD and Role.LM_HEAD in dict(slot.stored.parts):
            continue
        if slot.auxiliary and not partly:
            left_out += names
            continue
        title = summed(names)[0]
        yield Finding(
            code="missing-tensor",
            severity="error",
            message=f"{some(names)} missing: {title}",
            tensors=(title,),
            expected=[int(n) for n in slot.stored.shape],
            config=tuple(dict.fromkeys(key for n in slot.stored.shape for key in n.keys)),
            hint="loaders fill missing weights with random numbers; save or download the checkpoint again",
        )
    if left_out:
        yield Finding(
            code="missing-tensor",
            severity="info",
            message=f"the config names multi-token-prediction layers, whose {len(left_out):,} tensors are not stored",
            tensors=tuple(summed(left_out)),
            config=("num_nextn_predict_layers",),
            hint="the main model runs without them",
        )


def unexpected_tensors(subject: Subject) -> Iterator[Finding]:
    """`unexpected-tensor`, a warning: loaders ignore such tensors."""
    if subject.declaration is None or not subject.inventory.recognized:
        return
    names = subject.inventory.unrecognized
    titles = summed(names)
    if titles:
        yield Finding(
            code="unexpected-tensor",
            severity="warning",
            message=f"{some(names)} that the config's architecture does not have: {listed(titles)}",
            tensors=tuple(titles),
            hint="loaders ignore them; does config.json belong to these weights?",
        )


def unrelated_weights(subject: Subject) -> Iterator[Finding]:
    """`missing-tensor`, an error, where not one name fits: config and weights are of two models."""
    names = subject.checkpoint.names
    if subject.declaration is not None and names and not subject.inventory.recognized:
        yield Finding(
            code="missing-tensor",
            severity="error",
            message=f"none of {some(list(names))} is one that {subject.declaration.family.model_type} has, "
            f"such as {next(iter(summed(sorted(names)[:1])))}",
            config=("model_type",),
            hint="config.json and weights describe different models",
        )
