"""Which matrices LoRA's targets hit, by the rules of PEFT, and what is added to each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import msgspec
from msgspec.structs import replace

from weightscope.analyses.training.grammar import ALL_LINEAR, Lora
from weightscope.analyses.training.matrices import Matrix, module_of, parameters_of, smaller_side
from weightscope.errors import NotImplementedByWeightscope, UsageError
from weightscope.ranges import summed
from weightscope.roles import TABLES, Role, Section, section_of

SCORES = frozenset({Role.LM_HEAD, Role.CLASSIFIER})
# Ranks that people use are counted for models of any size, the smallest ones of tests included.
USUAL_RANK = 256
SHOWN = 6
# PEFT refuses these: their kernels take the mixer's last matrix past any module that stands for it.
PAST_MODULES = frozenset({"falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h"})


class Adapted(msgspec.Struct, frozen=True, kw_only=True):
    """Matrices of one name and shape beside which LoRA stands, and the parameters that it adds to all of them."""

    title: str
    component: str
    roles: tuple[str, ...]
    shape: tuple[int, ...]
    matrices: int
    added: int


class Hits(msgspec.Struct, frozen=True, kw_only=True):
    """All that the targets hit, the `matrices` themselves, and sentences on what a user may not expect."""

    adapted: tuple[Adapted, ...] = ()
    matrices: tuple[Matrix, ...] = ()
    notes: tuple[str, ...] = ()


def find_hits(lora: Lora, matrices: Sequence[Matrix], whole: Collection[str], model_type: str = "") -> Hits:
    """What LoRA adds; matrices of the components in `whole` are trained themselves and get none.

    A target is a module's name or the end of its path, as in PEFT's `target_modules`; the name of a parameter outside
    of modules, as in its `target_parameters`; or, where nothing is called so, a role.

    Raises:
        UsageError: a target hits nothing, or what is no matrix; a rank beyond the sizes of all.
        NotImplementedByWeightscope: what is hit cannot be told.
    """
    hit: list[Matrix] = []
    notes: list[str] = []
    for target in lora.targets:
        found = _all_linear(matrices) if target == ALL_LINEAR else _named(target, matrices)
        free = [matrix for matrix in found if matrix.section not in whole]
        if not free:
            raise UsageError(f"target {target!r} hits only what --trainable trains whole", hint="leave one of them out")
        _check(target, free, model_type)
        hit += free
        notes += _of_role(target, free)
    merged = _merged(hit)
    _check_rank(lora.rank, merged)
    return Hits(
        adapted=tuple(
            Adapted(
                title=matrix.title, component=matrix.section, roles=tuple(map(str, matrix.roles)),
                shape=matrix.shape or (), matrices=len(matrix.names), added=parameters_of(matrix, lora.rank),
            )
            for matrix in merged
        ),
        matrices=tuple(merged),
        notes=tuple(dict.fromkeys([*notes, *_of_experts(lora.targets, matrices, merged)])),
    )  # fmt: skip


def _named(target: str, matrices: Sequence[Matrix]) -> list[Matrix]:
    if found := _so_called(target, matrices):
        # A module's name is no parameter's: stacked experts beside it are reached only under names of their own.
        return [matrix for matrix in found if matrix.is_linear] or found
    if target in set(Role) and (found := [m for m in matrices if target in m.roles]):
        return found
    from difflib import get_close_matches

    words = list(dict.fromkeys(matrix.module for matrix in matrices if matrix.shape is None or len(matrix.shape) > 1))
    near = get_close_matches(target.rpartition(".")[2], words, n=1)
    shown = f"did you mean {near[0]}?" if near else f"modules here: {_few(words)}"
    raise UsageError(f"target {target!r} hits no module and no role of this model", hint=shown)


def _so_called(target: str, matrices: Sequence[Matrix]) -> list[Matrix]:
    return [part for matrix in matrices for part in _called(target, matrix)]


def _called(target: str, matrix: Matrix) -> Iterator[Matrix]:
    """The part of a matrix whose names the target is or ends; names that differ in numbers alone end alike."""
    if any(word.isdecimal() for word in target.split(".")) or target.count(".") >= matrix.names[0].count("."):
        names = tuple(name for name in matrix.names if _ends(name, target))
    else:
        names = matrix.names if _ends(matrix.names[0], target) else ()
    if names == matrix.names:
        yield matrix
    elif names:
        yield replace(matrix, names=names)


def _ends(name: str, target: str) -> bool:
    return any(path == target or path.endswith(f".{target}") for path in {name, module_of(name)})


def _all_linear(matrices: Sequence[Matrix]) -> list[Matrix]:
    """Every Linear but the head.

    Raises:
        NotImplementedByWeightscope: the files do not tell which modules are Linear.
    """
    if any(matrix.section is Section.MOE for matrix in matrices):
        raise NotImplementedByWeightscope(
            f"{ALL_LINEAR} is not counted for mixtures of experts: libraries differ in which experts and routers are "
            "Linear modules",
            hint="name the targets",
        )
    declared = [matrix for matrix in matrices if not matrix.inferred]
    if not declared:
        raise NotImplementedByWeightscope(
            f"{ALL_LINEAR} is not counted for a type that is not declared: names do not tell which modules are Linear",
            hint="name the targets",
        )
    return [
        matrix
        for matrix in declared
        if matrix.is_module
        and len(matrix.shape or ()) == 2
        and not {*matrix.roles} & (TABLES | SCORES)
        and not _is_norm(matrix)
    ]


def _is_norm(matrix: Matrix) -> bool:
    """Whether it is a norm's weight: those of heads may have two dimensions."""
    return all(section_of(role) is Section.NORM or role is Role.PROJECTOR_NORM for role in matrix.roles)


def _check(target: str, found: Sequence[Matrix], model_type: str) -> None:
    for matrix in found:
        shape = matrix.shape
        if model_type in PAST_MODULES and matrix.module == "out_proj" and matrix.section is Section.STATE_SPACE:
            raise UsageError(
                f"target {target!r} hits {matrix.title}, where PEFT takes no LoRA: the kernels of {model_type} read it "
                "past any adapter",
                hint="name other targets",
            )
        if shape is None:
            raise NotImplementedByWeightscope(
                f"target {target!r} hits {matrix.title}, which is packed in a way that does not tell its size"
            )
        if len(shape) < 2 or _is_norm(matrix):
            kind = "a norm" if _is_norm(matrix) else "a vector"
            raise UsageError(f"target {target!r} hits {matrix.title}, {kind}; LoRA needs a matrix", hint="leave it out")
        if len(shape) > 2 and not matrix.is_stack and Role.PATCH_EMBEDDING not in matrix.roles:
            raise NotImplementedByWeightscope(
                f"target {target!r} hits {matrix.title}: LoRA on a convolution is not counted"
            )
        if matrix.is_stack and matrix.is_module and matrix.module == target.rpartition(".")[2]:
            raise UsageError(
                f"target {target!r} hits {matrix.title}, the stacked weights of several experts",
                hint=f"PEFT takes them as a parameter: name {target}.weight",
            )


def _merged(hit: Sequence[Matrix]) -> list[Matrix]:
    """Each matrix once, whatever number of targets hit it."""
    names: dict[tuple[str, tuple[int, ...] | None], dict[str, None]] = {}
    first: dict[tuple[str, tuple[int, ...] | None], Matrix] = {}
    for matrix in hit:
        key = (matrix.title, matrix.shape)
        first.setdefault(key, matrix)
        names.setdefault(key, {}).update(dict.fromkeys(matrix.names))
    return [_with_names(matrix, tuple(names[key])) for key, matrix in first.items()]


def _with_names(matrix: Matrix, names: tuple[str, ...]) -> Matrix:
    title = matrix.title if len(names) == matrix.count else ", ".join(summed(names))
    return replace(matrix, names=names, title=title)


def _check_rank(rank: int, hit: Sequence[Matrix]) -> None:
    most = max(map(smaller_side, hit), default=0)
    if rank > max(most, USUAL_RANK):
        raise UsageError(
            f"--trainable lora: a rank of {rank:,} is not low: the largest target has {most:,} rows or columns",
            hint=f"choose a rank below {most:,}",
        )


def _of_role(target: str, found: Sequence[Matrix]) -> Iterator[str]:
    """What a role stands for here, and what else is adapted with it."""
    if target == ALL_LINEAR or _so_called(target, found):
        return
    modules = list(dict.fromkeys(matrix.module for matrix in found))
    yield f"No module is called {target}: as a role it is {_few(modules)}."
    for matrix in found:
        if others := [other for other in matrix.roles if other != target]:
            yield f"{matrix.module} also holds {' and '.join(others)}: LoRA adapts the whole matrix."


def _of_experts(targets: Sequence[str], matrices: Sequence[Matrix], hit: Sequence[Matrix]) -> Iterator[str]:
    """Whether experts are counted one by one, and which stacked ones a module's name does not reach."""
    if any(".experts." in matrix.names[0] and matrix.is_linear for matrix in hit):
        yield "Experts are counted one by one, as they are stored; where a library stacks them, PEFT's count differs."
    reached = {matrix.title for matrix in hit}
    for target in targets:
        for matrix in _so_called(target, matrices):
            if matrix.is_stack and matrix.title not in reached:
                own = ".".join(matrix.names[0].split(".")[-2:])
                yield f"{target} names modules, as in PEFT, and not the stacked experts: they are {own}."


def _few(words: Sequence[str]) -> str:
    return ", ".join(words[:SHOWN]) + (", …" if len(words) > SHOWN else "")
