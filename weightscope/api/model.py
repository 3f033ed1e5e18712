"""One opened model: checkpoint, config and declaration joined, every answer computed when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from weightscope.analyses.accounting import ComponentShare, Parameters, by_component, count_parameters
from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import Inventory
from weightscope.analyses.joining import join
from weightscope.analyses.rules.subject import Subject
from weightscope.analyses.summary import PartInfo, Summary, summarize
from weightscope.analyses.tying import Tying, find_tying
from weightscope.api.examining import examined, glanced, said_of_memory
from weightscope.api.sentences import sentence_parts
from weightscope.brief import Displayed, Suggesting, plural
from weightscope.checkpoint.entry import require_here
from weightscope.checkpoint.reader import Checkpoint, Progress
from weightscope.config import Config
from weightscope.errors import WeightscopeError
from weightscope.families.declaration import Declaration
from weightscope.findings import Finding, Findings

if TYPE_CHECKING:
    from threading import Event

    import numpy as np
    import torch

    from weightscope.adapters.registry import Adapter
    from weightscope.analyses.adapting.base import BaseWeights
    from weightscope.analyses.adapting.summary import AdapterInfo
    from weightscope.analyses.breakdown import By, Row
    from weightscope.analyses.explaining import Explanation
    from weightscope.analyses.forward.result import Result
    from weightscope.analyses.listing import TensorRow
    from weightscope.analyses.lock.record import Algorithm, Lock
    from weightscope.analyses.memory.report import Memory
    from weightscope.analyses.memory.request import Request
    from weightscope.analyses.memory.state import DecodeState
    from weightscope.analyses.stats.result import Stats
    from weightscope.analyses.training.split import Trainable
    from weightscope.api.tensors import Tensors
    from weightscope.display import Figure


class Model(Displayed, Suggesting):
    """An opened model, as `weightscope.open` returns it. Only headers are read until values are asked for.

    Attributes:
        reference (str): what was opened, as it was named.
        checkpoint (Checkpoint): the headers of all files, and where they lie.
        config (Config | None): the config; None where there is none.
        adapter (Adapter | None): the adapter, where what was opened is one; otherwise None.
        base (Model | None): the model that an adapter is held against; None where none is known.
        parts (dict[str, Model]): the models of a pipeline by name; empty otherwise.
        notices (tuple[Finding, ...]): what opening it showed; `check` gives them too.
    """

    def __init__(
        self,
        reference: str,
        checkpoint: Checkpoint,
        config: Config | None,
        declaration: Declaration | None,
        notices: tuple[Finding, ...] = (),
        adapter: Adapter | None = None,
        base: Model | None = None,
        parts: Mapping[str, Model] = MappingProxyType({}),
    ) -> None:
        self.reference = reference
        self.checkpoint = checkpoint
        self.config = config
        self._declared = declaration
        self.adapter = adapter
        self.base = base
        self.parts = dict(parts)
        self.notices = notices
        self._held: dict[tuple[str, ...], dict[Any, Mapping[str, torch.Tensor]]] = {}

    def __repr__(self) -> str:
        kind = self.config.model_type if self.config else ""
        files = self.checkpoint.format
        stored = plural(len(self.tensors), "tensor") if self.tensors else f"{files} alone"
        parts = [kind or "no model type", files if self.tensors else "", stored]
        with suppress(WeightscopeError):
            total = self.parameters.total
            parts.append("" if total is None else plural(total, "parameter"))
        return f"Model({self.reference!r}: {', '.join(filter(None, parts))})"

    @cached_property
    def _joined(self) -> tuple[Declaration | None, Inventory]:
        if self.adapter is not None:
            from weightscope.analyses.adapting.tensors import adapter_inventory

            return None, adapter_inventory(self.adapter, self.checkpoint)
        return join(self._declared, self.checkpoint, self.config)

    @property
    def declaration(self) -> Declaration | None:
        """The declared model, with each weight's quantization by config and files; None for undeclared types."""
        return self._joined[0]

    @property
    def inventory(self) -> Inventory:
        """Every tensor under its role."""
        return self._joined[1]

    @cached_property
    def tying(self) -> Tying:
        """Whether the head is tied to the token embedding, as far as headers tell."""
        return find_tying(self.inventory, self.checkpoint, self.declaration, self.config)

    @cached_property
    def parameters(self) -> Parameters:
        """The totals, in weights: all, active, without embeddings, auxiliary; docs/counting.md says what counts."""
        return count_parameters(self.inventory, self.tying)

    @cached_property
    def components(self) -> tuple[ComponentShare, ...]:
        """The parameters by component, and by role within each."""
        return by_component(self.inventory, self.tying)

    @cached_property
    def tensors(self) -> Tensors:
        """All stored tensors by name, a mapping; empty where a config alone was opened."""
        from weightscope.api.tensors import Tensors

        return Tensors(self.checkpoint, self.inventory)

    def stream(self, most: int, *, sample: int | None = None) -> None:
        """Let values that are not here be read over the network: at most so many bytes, of which none is stored.

        `stats`, `diff`, `lock` and `check` read them so. What is here is read here. Nothing is read by this call.

        Args:
            most: so many bytes.
            sample: only a sample of so many values of each tensor will be looked at, as `stats(sample=...)` does.

        Raises:
            UsageError: what will be read takes more.
            CheckpointError: the format can only be read from files here.
        """
        from weightscope.analyses.stats.reading import PLACES
        from weightscope.checkpoint.streaming import bytes_of_sample, stream

        needed = None if sample is None else bytes_of_sample(self.checkpoint, sample, PLACES)
        stream(self.checkpoint, most, needed)

    def compare_tied_values(self, progress: Progress | None = None) -> None:
        """Decide by the bytes whether head and embedding are the same, where both are stored."""
        require_here(*(file.out_of_reach for file in self.checkpoint.files))
        self.__dict__.pop("parameters", None)
        self.__dict__.pop("components", None)
        self.__dict__["tying"] = find_tying(
            self.inventory, self.checkpoint, self.declaration, self.config, values=True, progress=progress
        )

    def summary(self) -> Summary:
        """Everything that `weightscope inspect` shows."""
        vectors, layers = sentence_parts(self.checkpoint)
        parts = [*self.parts.items(), *layers.items()]
        return summarize(
            self.reference,
            self.checkpoint,
            self.config,
            self.declaration,
            self.inventory,
            self.tying,
            glanced(self),
            self._adapter_info(),
            tuple(PartInfo.of(name, part.summary(), part.class_name) for name, part in parts),
            vectors,
        )

    def _adapter_info(self) -> AdapterInfo | None:
        if self.adapter is None:
            return None
        from weightscope.analyses.adapting.summary import describe_adapter

        return describe_adapter(
            self.adapter,
            self.inventory,
            self.checkpoint,
            base=self.base.base_weights if self.base else None,
            held_against=self.base.reference if self.base else None,
            base_parameters=self.base.parameters.total if self.base else None,
        )

    @cached_property
    def base_weights(self) -> BaseWeights:
        """The weights that an adapter of this model may change."""
        from weightscope.analyses.adapting.base import BaseWeights

        return BaseWeights.of(self.declaration, self.checkpoint)

    def check(self, *, values: bool = False, progress: Progress | None = None) -> Findings:
        """All that `weightscope check` finds.

        Args:
            values: read every value too, for NaN, zeros and untied heads.
            progress: called with (tensors done, tensors in all, name) while values are read.

        Raises:
            WeightscopeError: values are asked for and are not here.
        """
        return Findings(self.examine(values=values, progress=progress)[0])

    @property
    def class_name(self) -> str | None:
        """The class of a model of diffusers, by its config."""
        name = self.config.data.get("_class_name") if self.config else None
        return name if isinstance(name, str) else None

    def examine(self, *, values: bool = False, progress: Progress | None = None) -> tuple[tuple[Finding, ...], int]:
        """The findings of `check`, and how many rules were applied."""
        return examined(self, values=values, progress=progress)

    def subject(self) -> Subject:
        """What rules look at."""
        return Subject(
            checkpoint=self.checkpoint,
            config=self.config,
            declaration=self.declaration,
            inventory=self.inventory,
            tying=self.tying,
            parameters=self.parameters,
        )

    def forward(
        self,
        token_ids: Sequence[int] = (),
        *,
        pixel_values: np.ndarray[Any, Any] | torch.Tensor | None = None,
        position_ids: Sequence[int] | Sequence[Sequence[int]] | torch.Tensor | None = None,
        device: str = "cpu",
        compute_dtype: str = "float32",
        stop_after: int | None = None,
        task: str = "",
        hold: bool = False,
        measure: bool = True,
        progress: Progress | None = None,
        keep: Callable[[str, torch.Tensor], None] | None = None,
        adapter: str | Path | Sequence[str | Path] = (),
        **inputs: np.ndarray[Any, Any] | torch.Tensor | Sequence[Any],
    ) -> Result:
        """The reference pass on one sequence, layer by layer; imports torch.

        Args:
            token_ids: token ids; a vision-language model takes the image token once for each vector of an image.
            pixel_values: [images, channels, height, width] as the model's image processor makes them.
            position_ids: [tokens], or [axes, tokens] for multi-axis rotation; 0, 1, 2, … unless told otherwise.
            device: cpu, cuda, cuda:1, mps, or auto for the best that is there.
            compute_dtype: float32, bfloat16 or float64; weights are converted as they are read.
            stop_after: the last layer to compute; there are no logits then.
            task: the task whose LoRA, among the model's own weights, is added to them (jina-embeddings-v3).
            hold: keep the weights in memory, in the compute type, for further passes of this object.
            measure: record each stage; without it the result has no stages, and a pass takes a few percent less time.
            progress: called with (done, total, layer) before each layer.
            keep: called with each stage's name and its output [tokens, width].
            adapter: the directory of an adapter that is applied to the weights as they are read, or several.
            inputs: what else the model's processor makes, by its names, such as `image_grid_thw` [images, 3].

        Raises:
            WeightscopeError: nothing declared, a tensor missing or misshapen, tokens or an image that do not fit, no
                such device, no torch, or maths that is not implemented, by name.
        """
        from weightscope.analyses.forward.request import Request
        from weightscope.api.passing import run_pass

        named = (adapter,) if isinstance(adapter, str | Path) else tuple(adapter)
        request = Request(
            tokens=tuple(map(int, token_ids)),
            pixel_values=pixel_values,
            inputs=inputs,
            position_ids=position_ids,
            device=device,
            compute_dtype=compute_dtype,
            stop_after=stop_after,
            task=task,
            held=self._held.setdefault((device, compute_dtype, *map(str, named)), {}) if hold else None,
            measure=measure,
            progress=progress,
            keep=keep,
        )
        return run_pass(self, request, named)

    def explain(self, name: str) -> Explanation:
        """Everything that `weightscope explain` shows about one tensor.

        Raises:
            UsageError: there is no such tensor.
        """
        from weightscope.analyses.explaining import explain_tensor

        found = explain_tensor(name, self.declaration, self.inventory, self.checkpoint, self.tying)
        if self.adapter is None:
            return found
        from weightscope.analyses.adapting.explaining import with_change

        return with_change(found, self.adapter, self.base.base_weights if self.base else None)

    def breakdown(self, by: By, depth: int | None = None) -> tuple[Row, ...]:
        """The rows of `weightscope params`.

        Args:
            by: `component`, `role`, `layer`, `dtype`, `quantization` or `module`.
            depth: by module, so many parts of the names; None for all.
        """
        from weightscope.analyses.breakdown import break_down

        return break_down(self.inventory, self.tying, self.checkpoint.tensors, by, depth)

    def treemap(self) -> Figure:
        """The parameters by component and role, each as large as its share; a notebook shows it.

        Raises:
            UsageError: nothing tells how many there are.
        """
        from weightscope.display import picture_of_parameters

        return picture_of_parameters(self)

    def trainable(self, plan: str) -> Trainable:
        """What is trained and what is frozen, as `weightscope params --trainable` counts it.

        Args:
            plan: `full`, parts joined by + (`projector+language`), `lora:r=16,targets=q_proj,v_proj`, or both.

        Raises:
            UsageError: a plan that is not understood, a part or target that the model lacks.
            NotImplementedByWeightscope: a target that is hit cannot be counted.
        """
        from weightscope.analyses.training.grammar import Plan
        from weightscope.analyses.training.split import split

        return split(Plan.of(plan), self.declaration, self.inventory, self.checkpoint, self.tying)

    def stats(
        self,
        *,
        stored: bool = False,
        sample: int | None = None,
        spectrum: bool = False,
        progress: Progress | None = None,
        stop: Event | None = None,
    ) -> Stats:
        """What `weightscope stats` shows: figures of every value, by tensor, role and layer, and what stands out.

        Args:
            stored: look at quantized weights as they are stored; otherwise as they act, which imports torch.
            sample: read at most so many values of each tensor.
            spectrum: add the effective rank and the largest singular values of each matrix; takes much longer.
            progress: called with (bytes done, bytes in all, tensor), with `spectrum` for all matrices once more.
            stop: set it from another thread to have what is known by then; the result is not `complete`.

        Raises:
            WeightscopeError: there are no weights here, or quantized ones cannot be dequantized.
        """
        from weightscope.analyses.stats.taking import Asked, take_stats

        asked = Asked(stored=stored, sample=sample, spectrum=spectrum)
        return take_stats(
            self.reference, self.checkpoint, self.inventory, self.declaration, asked, progress=progress, stop=stop
        )

    def lock(
        self, *, algorithm: Algorithm | None = "sha256", files: bool = False, progress: Progress | None = None
    ) -> Lock:
        """What `weightscope lock` writes: a digest of each weight by role and layer, and what the config means.

        Args:
            algorithm: sha256, blake3 (faster; needs the `lock` extra), or None for headers only.
            files: add the SHA-256 of each file.
            progress: called with (bytes done, bytes in all, weight).

        Raises:
            WeightscopeError: there are no weights here, a file is damaged, or a package is not installed.
        """
        from weightscope.analyses.lock.taking import Wanted, take_lock

        if algorithm:
            self.compare_tied_values()
        return take_lock(
            self.reference,
            self.checkpoint,
            self.config,
            self.declaration,
            Wanted(algorithm=algorithm, files=files),
            tied=self.tying.tied,
            progress=progress,
        )

    def check_lock(self, lock: Lock, progress: Progress | None = None) -> Findings:
        """What differs from a lock, as `weightscope check --lock` says it.

        Raises:
            WeightscopeError: as for `lock`.
        """
        from weightscope.analyses.lock.comparing import against_lock

        now = self.lock(algorithm=lock.algorithm, files=lock.files is not None, progress=progress)
        return Findings(against_lock(now, lock))

    def memory(
        self,
        *,
        context: int | None = None,
        batch: int = 1,
        source_tokens: int | None = None,
        dtype: str | None = None,
        kv_dtype: str | None = None,
        page_size: int = 16,
        quantize: str | None = None,
        trainable: str | None = None,
        optimizer: str = "adamw",
        precision: str = "mixed",
        zero: int = 0,
        gpu: str | None = None,
        gpus: int | None = None,
        tensor_parallel: int | None = None,
        pipeline_parallel: int = 1,
        expert_parallel: int = 1,
    ) -> Memory:
        """What it takes to load and serve the model, as `weightscope memory` says it; no values are read.

        Args:
            context: tokens of each sequence; without it as many as config.json says the model was trained to read.
            batch: how many sequences.
            source_tokens: vectors that cross-attention looks at: of the text an encoder reads, or of images.
            dtype: what plain weights are loaded in, as torch spells it; without it as they are stored.
            kv_dtype: what keys and values are kept in; without it the type of the computation.
            page_size: tokens of a page, for what an allocator reserves.
            quantize: as which method would store the weights, as `gptq` or `gptq:bits=8,group_size=32`.
            trainable: what is trained, as `trainable` takes it; the result then says what training takes.
            optimizer: `adamw`, `adamw-8bit`, `adafactor`, `muon`, `sgd` or `sgd-momentum`.
            precision: `mixed` (bfloat16 with a master copy), `float32` or `bfloat16`.
            zero: the stage of ZeRO that divides what is trained among the GPUs; 3 is FSDP.
            gpu: a device (`h100-80g`) or a size (`24GiB`) that it is to fit on.
            gpus: how many of them; with fewer ranks than that, replicas share the batch.
            tensor_parallel: ranks that divide matrices and heads; without it all devices of a stage.
            pipeline_parallel: stages that divide the layers.
            expert_parallel: groups of tensor ranks that divide the routed experts.

        Raises:
            UsageError: a number, a type or a device that is none, or ranks that do not go together.
            NotImplementedByWeightscope: whether it fits is asked of a model whose decode state is not known.
        """
        from weightscope.api.memory import asked

        request = asked(
            context=context,
            batch=batch,
            source_tokens=source_tokens,
            dtype=dtype,
            kv_dtype=kv_dtype,
            page_size=page_size,
            quantize=quantize,
            trainable=trainable,
            optimizer=optimizer,
            precision=precision,
            zero=zero,
            gpu=gpu,
            gpus=gpus,
            tensor_parallel=tensor_parallel,
            pipeline_parallel=pipeline_parallel,
            expert_parallel=expert_parallel,
        )
        return self.memory_for(request)

    def usual_state(self) -> DecodeState | None:
        """The decode state of one sequence as long as the model was trained to read, which `inspect` shows."""
        from weightscope.analyses.memory.sizing import usual_state

        return usual_state((self.base or self).subject())

    def memory_for(self, request: Request) -> Memory:
        """The same for a request of `api.memory.asked`, which was checked before the model was opened."""
        from weightscope.analyses.memory.report import report
        from weightscope.api.converting import as_file

        # Only an adapter has a base.
        beside = self.inventory.groups if self.base else ()
        model = self.base or self
        return said_of_memory(model, report(model.subject(), self.summary().model, request, as_file, beside))

    def listing(self) -> Iterator[tuple[Group, TensorRow]]:
        """The rows of `weightscope tensors`, unfiltered."""
        from weightscope.analyses.listing import list_tensors

        return list_tensors(self.inventory, self.checkpoint, self.tying)
