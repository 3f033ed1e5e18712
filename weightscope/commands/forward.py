"""`weightscope forward`: does it compute?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from weightscope.commands.check import FailOn
from weightscope.commands.options import (
    FormatOption,
    JsonOption,
    ModelPath,
    OutputOption,
    QuietOption,
    VariantOption,
    chosen,
    fetch_if_wanted,
    open_quietly,
    own_files,
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
        list[str] | None,
        typer.Option(
            "--prompt",
            metavar="TEXT",
            help="Text to run on; needs the model's tokenizer.json. Several are compared by their vectors.",
        ),
    ] = None,
    prompt_file: Annotated[
        Path | None, typer.Option("--prompt-file", metavar=FILE, help="Read the prompt from FILE (- for stdin).")
    ] = None,
    decoder_prompt: Annotated[
        str | None,
        typer.Option("--decoder-prompt", metavar="TEXT", help="What an encoder-decoder has written so far."),
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option("--image", metavar=FILE, help="Image for a vision-language model; may be repeated."),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--inputs",
            "--pixels",
            metavar=FILE,
            help="Preprocessed inputs (images, speech): a .npz file with the arrays of the model's processor.",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, mps, or auto (best available).")
    ] = "cpu",
    compute_dtype: Annotated[
        ComputeDtype, typer.Option("--compute-dtype", help="Dtype to compute in.")
    ] = ComputeDtype.FLOAT32,
    top_k: Annotated[
        int, typer.Option("--top-k", metavar="N", min=1, max=1000, help="Number of next tokens to show.")
    ] = 5,
    stop_after: Annotated[
        int | None, typer.Option("--stop-after", metavar="LAYER", min=0, help="Stop after this layer.")
    ] = None,
    save_logits: Annotated[
        Path | None,
        typer.Option("--save-logits", metavar=FILE, help="Write float32 logits [tokens, vocabulary]."),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option("--record", metavar=FILE, help="Write a golden file, for a later --expect."),
    ] = None,
    expect: Annotated[
        Path | None, typer.Option("--expect", metavar=FILE, help="Compare the pass with a .npy or golden .json file.")
    ] = None,
    atol: Annotated[float | None, typer.Option("--atol", metavar="X", help="Absolute tolerance.  [default: 0]")] = None,
    rtol: Annotated[
        float | None,
        typer.Option(
            "--rtol",
            metavar="X",
            help="Relative tolerance, as a fraction of the expected RMS.  [default: 0.001, bfloat16 0.05]",
        ),
    ] = None,
    compare: Annotated[
        Peer | None, typer.Option("--compare", help="Compare with an installed transformers, stage by stage.")
    ] = None,
    adapter: Annotated[
        list[str] | None,
        typer.Option("--adapter", metavar="DIR", help="Apply this adapter (LoRA and its kin); may be repeated."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="NAME", help="Add the LoRA inside the model that is for this task."),
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Fail on findings of this severity or higher.")
    ] = FailOn.ERROR,
    download: Annotated[bool, typer.Option("--download", help="Download a remote model without asking.")] = False,
    stages: Annotated[bool, typer.Option("--stages", help="Show all stages, not only those that stand out.")] = False,
    quiet: QuietOption = False,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
    output: OutputOption = None,
    variant: VariantOption = None,
) -> None:
    """Run a reference forward pass, layer by layer.

    Weights are read as they are needed, so the model may be larger than memory. Needs torch: weightscope-cli[forward].
    Hub models are downloaded first, after confirmation. The exit code is 1 if a finding is at or above --fail-on.

    \b
    Examples:
      weightscope forward ./Llama-3.1-8B --prompt "The capital of France is"
      weightscope forward ./Llama-3.1-8B --adapter ./my-lora
      weightscope forward ./Llama-3.1-8B --record golden.json
      weightscope forward ./Llama-3.1-8B-merged --expect golden.json
    """
    written = chosen(format, json=json, quiet=quiet)
    import numpy as np

    from weightscope.analyses.forward.memory import bound_heaps
    from weightscope.analyses.forward.prompt import read_text
    from weightscope.api.asking import Wanted
    from weightscope.api.forwarding import try_forward
    from weightscope.output.forward import forward_document
    from weightscope.output.progress import Progress

    asked = {"--tokens": tokens, "--prompt": prompt or None, "--prompt-file": prompt_file}
    given = [name for name, value in asked.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} are mutually exclusive")
    several = len(prompt or ()) > 1
    if several and (expect or record or save_logits or compare or image or inputs):
        raise UsageError(
            "several prompts are compared with each other, and with nothing else", hint="give one --prompt"
        )
    for first, second, together, hint in (
        ("--image", "--inputs", image and inputs, ""),
        ("--adapter", "--compare", adapter and compare, "merge the adapter, and compare that"),
        ("--task", "--compare", task and compare, "transformers has no such task"),
    ):
        if together:
            raise UsageError(f"{first} and {second} are mutually exclusive", hint=hint)
    if stop_after is not None and (save_logits or (expect and expect.suffix != ".json")):
        raise UsageError("--stop-after leaves no logits to save or compare")
    wanted = Wanted(
        tokens=tokens,
        text=read_text(prompt_file) if prompt_file else prompt[0] if prompt else None,
        more_texts=tuple(prompt[1:]) if prompt else (),
        decoder_text=decoder_prompt,
        images=tuple(image or ()),
        inputs=inputs,
        device=device,
        compute_dtype=compute_dtype.value,
        stop_after=stop_after,
        task=task or "",
        top_k=top_k,
        expect=expect,
        atol=atol,
        rtol=rtol,
        compare=compare is not None,
        adapters=tuple(adapter or ()),
        fail_on=fail_on.value,
    )
    bound_heaps()
    fetch_if_wanted(model, variant, unasked=download)
    opened = open_quietly(model, variant)
    with Progress("Computing") as progress:
        outcome, result, golden = try_forward(opened, wanted, progress)
    protected = own_files(opened)
    if quiet:
        put("ok\n" if outcome.ok else "failed\n", output, protected)
    else:
        emit(forward_document(outcome, stages=stages), written, output, protected)
    if save_logits:
        logits = result.logits.numpy()
        write_file(save_logits, lambda file: np.save(file, logits, allow_pickle=False), protected)
    if record and golden is None:
        raise UsageError("a pass with NaN or infinity cannot be recorded", where=record)
    if record and golden:
        put(golden.to_json(), record, protected)
    if not outcome.ok:
        raise typer.Exit(1)
