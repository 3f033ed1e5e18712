"""`weightscope memory`: what does it take to load and serve it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from weightscope.api.complete import refuse_incomplete
from weightscope.commands import completing
from weightscope.commands.check import FailOn
from weightscope.commands.options import (
    BaseOption,
    ExactOption,
    FormatOption,
    JsonOption,
    ModelPaths,
    OutputOption,
    VariantOption,
    chosen,
)
from weightscope.output.write import Format

if TYPE_CHECKING:
    from weightscope.analyses.memory.report import Memory
    from weightscope.api.model import Model
    from weightscope.output.document import Document


def memory(
    models: ModelPaths,
    context: Annotated[
        int | None,
        typer.Option(
            "--context", metavar="N", min=1, help="Tokens a sequence.  [default: as many as it was trained on]"
        ),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Sequences at a time.")] = 1,
    source_tokens: Annotated[
        int | None,
        typer.Option(
            "--source-tokens",
            metavar="N",
            min=0,
            help="Tokens that an encoder reads, or vectors of images beside the text.",
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype",
            metavar="DTYPE",
            help="Load weights that are not quantized as DTYPE.",
            autocompletion=completing.kept_dtypes,
        ),
    ] = None,
    kv_dtype: Annotated[
        str | None,
        typer.Option(
            "--kv-dtype",
            metavar="DTYPE",
            help="Keep keys and values as DTYPE.",
            autocompletion=completing.kept_dtypes,
        ),
    ] = None,
    page_size: Annotated[
        int, typer.Option("--page-size", metavar="N", min=1, help="Tokens in a page of the allocator.")
    ] = 16,
    quantize: Annotated[
        str | None,
        typer.Option(
            "--quantize",
            metavar="METHOD",
            help="Load weights as METHOD would store them: fp8, gptq:bits=8, Q4_K_M, …",
            autocompletion=completing.methods,
        ),
    ] = None,
    trainable: Annotated[
        str | None,
        typer.Option(
            "--trainable",
            metavar="PLAN",
            help="Say what training takes: full, parts joined by +, lora:r=16,targets=all-linear.",
        ),
    ] = None,
    optimizer: Annotated[
        str,
        typer.Option(
            "--optimizer",
            metavar="NAME",
            help="adamw, adamw-8bit, adafactor, muon, sgd or sgd-momentum.",
            autocompletion=completing.optimizers,
        ),
    ] = "adamw",
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="NAME",
            help="Of training: mixed, float32 or bfloat16.",
            autocompletion=completing.precisions,
        ),
    ] = "mixed",
    zero: Annotated[
        int, typer.Option("--zero", metavar="STAGE", min=0, max=3, help="ZeRO stage over --gpus; 3 is FSDP.")
    ] = 0,
    gpu: Annotated[
        str | None,
        typer.Option(
            "--gpu",
            metavar="DEVICE",
            help="Say whether it fits: h100-80g, rtx4090, … or a size (24GiB).",
            autocompletion=completing.gpus,
        ),
    ] = None,
    gpus: Annotated[int | None, typer.Option("--gpus", metavar="N", min=1, help="Number of devices.")] = None,
    tp: Annotated[
        int | None,
        typer.Option("--tp", metavar="N", min=1, help="Tensor-parallel ranks.  [default: all devices of a stage]"),
    ] = None,
    pp: Annotated[int, typer.Option("--pp", metavar="N", min=1, help="Pipeline stages.")] = 1,
    ep: Annotated[
        int, typer.Option("--ep", metavar="N", min=1, help="Groups of tensor ranks that divide the experts.")
    ] = 1,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Fail on findings of this severity or higher.")
    ] = FailOn.ERROR,
    exact: ExactOption = False,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
    output: OutputOption = None,
    variant: VariantOption = None,
    base: BaseOption = None,
) -> None:
    """Say what it takes to load, serve or train a model.

    The decode state is what is kept of each sequence: keys and values, latents, recurrent states. It is computed from
    config.json, layer by layer. A config.json alone is enough. With --gpu the exit code is 1 if it does not fit.

    \b
    Examples:
      weightscope memory ./Llama-3.1-8B --context 32768 --batch 8
      weightscope memory ./Llama-3.1-70B --gpu h100-80g --gpus 4
      weightscope memory ./Llama-3.1-8B --trainable lora:r=16,targets=all-linear --quantize bitsandbytes
      weightscope memory config.json --kv-dtype fp8
    """
    written = chosen(format, json=json)
    from weightscope.api.memory import asked

    # What is wrong with the request itself is said before any model is read.
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
        tensor_parallel=tp,
        pipeline_parallel=pp,
        expert_parallel=ep,
    )
    from weightscope.commands.several import ask_each
    from weightscope.findings import passes
    from weightscope.output.several import emit_all

    found: list[Memory] = []

    def answer(model: Model) -> Document:
        from weightscope.output.memory import memory_document

        refuse_incomplete(model)
        found.append(model.memory_for(request))
        return memory_document(model.summary(), found[-1], exact=exact)

    answers = ask_each(models, variant, answer, base=base)
    if answers.documents:
        emit_all(answers.documents, written, output, answers.protected)
    answers.raise_failures()
    if not all(passes(memory.findings, fail_on.value) for memory in found):
        raise typer.Exit(1)
