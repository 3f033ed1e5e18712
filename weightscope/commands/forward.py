"""`weightscope forward`: does it compute?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from weightscope.commands.check import FailOn
from weightscope.commands.options import (
    FormatOption,
    ModelPath,
    OutputOption,
    VariantOption,
    fetch_if_wanted,
    open_quietly,
    own_files,
    working_directory,
)
from weightscope.errors import UsageError
from weightscope.output.write import Format, emit, put, write_file


class ComputeDtype(StrEnum):
    """The type to compute in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT64 = "float64"


class Peer(StrEnum):
    """Whose pass to compare with."""

    TRANSFORMERS = "transformers"


FILE = "FILE"


def forward(
    model: ModelPath,
    tokens: Annotated[
        str | None, typer.Option("--tokens", metavar="1,2,3", help="Token ids to run on.", show_default=False)
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="A text to run on, by the model's tokenizer.json.")
    ] = None,
    prompt_file: Annotated[
        Path | None, typer.Option("--prompt-file", metavar=FILE, help="The same from a file; - is standard input.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option("--image", metavar=FILE, help="An image for a vision-language model.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps, or auto for what there is.")] = "cpu",
    compute_dtype: Annotated[
        ComputeDtype, typer.Option("--compute-dtype", help="The type to compute in.")
    ] = ComputeDtype.FLOAT32,
    top_k: Annotated[int, typer.Option("--top-k", min=1, max=1000, help="How many next tokens to show.")] = 5,
    stop_after: Annotated[
        int | None, typer.Option("--stop-after", metavar="LAYER", min=0, help="Compute no further than this layer.")
    ] = None,
    save_logits: Annotated[
        Path | None, typer.Option("--save-logits", metavar=FILE, help="Write the logits, float32 [tokens, vocabulary].")
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar=FILE, help="Write a golden file: tokens, fingerprints, top.")
    ] = None,
    expect: Annotated[
        Path | None, typer.Option("--expect", metavar=FILE, help="Hold the pass against a .npy or golden .json.")
    ] = None,
    atol: Annotated[float | None, typer.Option("--atol", help="Allowed difference.  [default: 0]")] = None,
    rtol: Annotated[
        float | None,
        typer.Option("--rtol", help="The same as a share of the expected rms.  [default: 0.001, bfloat16 0.05]"),
    ] = None,
    compare: Annotated[
        Peer | None, typer.Option("--compare", help="Run an installed transformers too, stage by stage.")
    ] = None,
    fail_on: Annotated[FailOn, typer.Option("--fail-on", help="The least severity that fails.")] = FailOn.ERROR,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch a model that is not here without asking.")
    ] = False,
    format: FormatOption = Format.TABLE,
    output: OutputOption = None,
    variant: VariantOption = None,
) -> None:
    """Whether it computes: a reference pass, layer by layer.

    Weights are read as they are needed, so a model larger than memory runs too. Needs torch: weightscope-cli[forward].
    A model of the Hub is fetched first, if it is wanted. Exits with 1 where something is found at or above --fail-on.

    \b
    Examples:
      weightscope forward ./Llama-3.1-8B --prompt "The capital of France is"
      weightscope forward ./Llama-3.1-8B --record golden.json
      weightscope forward ./Llama-3.1-8B-merged --expect golden.json
    """
    if working_directory() is None:
        # torch's libraries end the process there.
        raise UsageError("the working directory was deleted", hint="change to one that exists")
    import numpy as np

    from weightscope.analyses.forward.memory import bound_heaps
    from weightscope.analyses.forward.prompt import read_text
    from weightscope.api.forwarding import Wanted, try_forward
    from weightscope.output.forward import forward_document
    from weightscope.output.progress import Progress

    given = [name for name, value in (("--tokens", tokens), ("--prompt", prompt), ("--prompt-file", prompt_file))
             if value is not None]  # fmt: skip
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other")
    if stop_after is not None and (save_logits or (expect and expect.suffix != ".json")):
        raise UsageError("with --stop-after there are no logits")
    wanted = Wanted(
        tokens=tokens,
        text=read_text(prompt_file) if prompt_file else prompt,
        image=image,
        device=device,
        compute_dtype=compute_dtype.value,
        stop_after=stop_after,
        top_k=top_k,
        expect=expect,
        atol=atol,
        rtol=rtol,
        compare=compare is not None,
        fail_on=fail_on.value,
    )
    bound_heaps()
    fetch_if_wanted(model, variant, unasked=download)
    opened = open_quietly(model, variant)
    with Progress("Computing") as progress:
        outcome, result, golden = try_forward(opened, wanted, progress)
    protected = own_files(opened)
    emit(forward_document(outcome), format, output, protected)
    if save_logits:
        logits = result.logits.numpy()
        write_file(save_logits, lambda file: np.save(file, logits, allow_pickle=False), protected)
    if record and golden is None:
        raise UsageError("a pass with NaN or infinity makes no golden file", where=record)
    if record and golden:
        put(golden.to_json(), record, protected)
    if not outcome.ok:
        raise typer.Exit(1)
