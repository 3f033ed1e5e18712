"""One opened model: checkpoint, config and declaration joined, every answer computed when first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.analyses.accounting import ComponentShare, Parameters, by_component, count_parameters
from weightscope.analyses.breakdown import By, Row, break_down
from weightscope.analyses.checking import CheckResult, Policy, glance, run_rules
from weightscope.analyses.inventory import Group, Inventory, take_inventory
from weightscope.analyses.listing import TensorRow, list_tensors
from weightscope.analyses.rules.subject import Subject
from weightscope.analyses.summary import Summary, summarize
from weightscope.analyses.tying import Tying, find_tying
from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.reader import Checkpoint, Progress, open_checkpoint
from weightscope.config import Config, read_config
from weightscope.errors import UndeclaredError, WeightscopeError
from weightscope.families.registry import Declaration, declare
from weightscope.findings import Finding, Severity

if TYPE_CHECKING:
    import numpy as np
    import torch


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """One stored tensor: what the header says of it, what it is for, and its values when asked.

    `role` is the first of `roles`; a fused tensor has several. `inferred` roles were guessed from the name.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    roles: tuple[str, ...]
    component: str
    kind: str
    inferred: bool
    file: Path
    entry: TensorEntry
    data_start: int

    @property
    def role(self) -> str:
        """The role, or the first role of a fused tensor."""
        return self.roles[0]

    def numpy(self, index: Any = ...) -> np.ndarray[Any, Any]:
        """The values, or `tensor[index]` of them, read-only and mapped from the file; bfloat16 and 8-, 6- and 4-bit
        floats have ml_dtypes' types.

        Raises:
            WeightscopeError: the file changed, or NumPy has no such type.
        """
        from weightscope.checkpoint.values import read_numpy

        return read_numpy(self.file, self.data_start, self.entry, index)

    def torch(self, index: Any = ...) -> torch.Tensor:
        """The values, or `tensor[index]` of them, in the file's dtype; needs the `forward` extra.

        Raises:
            WeightscopeError: torch is not installed, or has no such type.
        """
        from weightscope.checkpoint.values import read_torch

        return read_torch(self.file, self.data_start, self.entry, index)


class Tensors(Mapping[str, Tensor]):
    """All stored tensors by name, in file order."""

    def __init__(self, checkpoint: Checkpoint, inventory: Inventory) -> None:
        self._checkpoint = checkpoint
        self._inventory = inventory

    def __getitem__(self, name: str) -> Tensor:
        entry = self._checkpoint.tensors[name]
        group = self._inventory.group_of(name)
        file = self._checkpoint.files[entry.file]
        return Tensor(
            name=name,
            dtype=entry.dtype,
            shape=entry.shape,
            roles=tuple(map(str, group.roles)),
            component=str(group.section),
            kind=str(group.kind),
            inferred=group.inferred,
            file=file.path,
            entry=entry,
            data_start=file.data_start,
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._checkpoint.tensors)

    def __len__(self) -> int:
        return len(self._checkpoint.tensors)


class Model:
    """What `weightscope.open` returns. Nothing but headers is read until values are asked for."""

    def __init__(
        self,
        reference: str,
        checkpoint: Checkpoint,
        config: Config | None,
        declaration: Declaration | None,
        notices: tuple[Finding, ...] = (),
    ) -> None:
        self.reference = reference
        self.checkpoint = checkpoint
        self.config = config
        self.declaration = declaration
        self._notices = notices

    @cached_property
    def inventory(self) -> Inventory:
        """Every tensor under its role."""
        return take_inventory(self.declaration, self.checkpoint)

    @cached_property
    def tying(self) -> Tying:
        """Whether the head is the token embedding, without reading values."""
        return find_tying(self.inventory, self.checkpoint, self.declaration, self.config)

    @cached_property
    def parameters(self) -> Parameters:
        """The totals; see docs/counting.md."""
        return count_parameters(self.inventory, self.tying)

    @cached_property
    def components(self) -> tuple[ComponentShare, ...]:
        """Where the parameters live, by component and role."""
        return by_component(self.inventory, self.tying)

    @cached_property
    def tensors(self) -> Tensors:
        """All stored tensors by name."""
        return Tensors(self.checkpoint, self.inventory)

    def compare_tied_values(self, progress: Progress | None = None) -> None:
        """Decide by the bytes whether head and embedding are the same, where both are stored."""
        self.__dict__.pop("parameters", None)
        self.__dict__.pop("components", None)
        self.__dict__["tying"] = find_tying(
            self.inventory, self.checkpoint, self.declaration, self.config, values=True, progress=progress
        )

    def summary(self) -> Summary:
        """All that `weightscope inspect` says."""
        return summarize(
            self.reference,
            self.checkpoint,
            self.config,
            self.declaration,
            self.inventory,
            self.tying,
            (*self.checkpoint.findings, *self._notices, *glance(self._subject())),
        )

    def check(self, *, values: bool = False, progress: Progress | None = None) -> tuple[Finding, ...]:
        """All that `weightscope check` finds; `values` reads every byte as well."""
        return self.examine(values=values, progress=progress)[0]

    def examine(self, *, values: bool = False, progress: Progress | None = None) -> tuple[tuple[Finding, ...], int]:
        """The findings of `check`, and how many rules were applied."""
        if values:
            self.compare_tied_values(progress)
        findings, rules = run_rules(self._subject(), values=values, progress=progress)
        # Without a declaration or a config nothing can be held against anything, and that is no pass.
        unchecked = [
            msgspec.structs.replace(notice, severity="error") if notice.severity == "warning" else notice
            for notice in self._notices
        ]
        return (*self.checkpoint.findings, *unchecked, *findings), rules

    def _subject(self) -> Subject:
        return Subject(
            checkpoint=self.checkpoint,
            config=self.config,
            declaration=self.declaration,
            inventory=self.inventory,
            tying=self.tying,
            parameters=self.parameters,
        )

    def breakdown(self, by: By, depth: int | None = None) -> tuple[Row, ...]:
        """All that `weightscope params` says."""
        return break_down(self.inventory, self.tying, self.checkpoint.tensors, by, depth)

    def listing(self) -> Iterator[tuple[Group, TensorRow]]:
        """All that `weightscope tensors` says, before any filter."""
        return list_tensors(self.inventory, self.checkpoint)


def open_model(
    path: str | Path, *, variant: str | None = None, progress: Progress | None = None, tolerant: bool = False
) -> Model:
    """Open a checkpoint directory, a weight file, an index or a config.json; headers only.

    Args:
        path: what a person has at hand; a directory with both formats is read as safetensors.
        variant: the infix of `model.fp16.safetensors`, where a directory holds several.
        progress: called with (done, total, file name) before each file's header is read.
        tolerant: go on without weight files that cannot be read; findings say which.

    Raises:
        WeightscopeError: one line that says what is wrong, where, and what to do.
    """
    reference = str(path)
    checkpoint = open_checkpoint(Path(path), variant=variant, progress=progress, tolerant=tolerant)
    notices: list[Finding] = []
    config = read_config(checkpoint.location.config) if checkpoint.location.config else None
    if config is None:
        notices.append(_no_config(checkpoint))
    declaration = _declare(config, checkpoint, notices) if config else None
    return Model(reference, checkpoint, config, declaration, tuple(notices))


def check_model(
    path: str | Path,
    policy: Policy,
    *,
    variant: str | None = None,
    values: bool = False,
    progress: Progress | None = None,
) -> CheckResult:
    """The verdict on one MODEL: what cannot be read is a finding, as far as something is there at all.

    Raises:
        UsageError: there is no such path, or nothing in it that could be a model.
    """
    try:
        model = open_model(path, variant=variant, progress=progress, tolerant=True)
        findings, rules = model.examine(values=values, progress=progress)
    except WeightscopeError as error:
        if error.code is None:
            raise
        return policy.verdict(str(path), [Finding.of(error)], tensors=0, rules=1)
    return policy.verdict(str(path), findings, tensors=len(model.checkpoint.names), rules=rules)


def _declare(config: Config, checkpoint: Checkpoint, notices: list[Finding]) -> Declaration | None:
    alone = checkpoint.format == "config"
    what = f"model type {config.model_type!r} is not declared" if config.model_type else "config.json has no model_type"
    try:
        declaration = declare(config, None if alone else checkpoint.names)
    except UndeclaredError as error:
        # How many weights there are does not depend on how they will be packed.
        declaration, what = (_unquantized(config) if alone else None), error.what
        if declaration:
            notices.append(_notice("info", what, "weights are counted as they are before quantization"))
            return declaration
    if declaration is None and alone:
        raise WeightscopeError(
            f"{what}, and without weights there is nothing to read",
            where=config.source,
            hint="name the directory that holds the weights",
            code="unknown-architecture",
        )
    if declaration is None:
        notices.append(
            _notice("warning", what, "roles are inferred from names, and elements are counted as they are stored")
        )
    return declaration


def _unquantized(config: Config) -> Declaration | None:
    try:
        return declare(config, quantized=False)
    except UndeclaredError:
        return None


def _notice(severity: Severity, what: str, consequence: str) -> Finding:
    return Finding(
        code="unknown-architecture",
        severity=severity,
        message=f"{what}: {consequence}",
        config=("model_type",),
        hint="nothing that is stored is checked against config.json",
    )


def _no_config(checkpoint: Checkpoint) -> Finding:
    directory = checkpoint.path if checkpoint.path.is_dir() else checkpoint.path.parent
    return Finding(
        code="config-missing",
        severity="warning",
        message="no config.json beside the weights: roles are inferred from names",
        hint=f"put the model's config.json into {directory}",
    )
