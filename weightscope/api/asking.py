"""What a user wants of a pass, as tokens and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from weightscope.analyses.forward.golden import Golden
from weightscope.analyses.forward.placing import with_things
from weightscope.analyses.forward.prompt import (
    Prompt,
    default_prompt,
    encoded,
    with_masks,
)
from weightscope.analyses.forward.request import IDS, MASK, layouts_of, written_out
from weightscope.analyses.forward.speller import Speller
from weightscope.api.spelling import speller_of
from weightscope.components.runnable import Runnable, no_tokens
from weightscope.components.sensing import SensingLanguage
from weightscope.components.seq2seq import DECODER_TOKENS
from weightscope.errors import UsageError
from weightscope.findings import Severity

if TYPE_CHECKING:
    import numpy as np

    from weightscope.analyses.forward.images.settings import Said
    from weightscope.api.model import Model


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a user asked for; see the options of `weightscope forward`."""

    tokens: str | None = None
    text: str | None = None
    more_texts: tuple[str, ...] = ()
    decoder_text: str | None = None
    images: tuple[Path, ...] = ()
    inputs: Path | None = None
    device: str = "cpu"
    compute_dtype: str = "float32"
    stop_after: int | None = None
    task: str = ""
    top_k: int = 5
    expect: Path | None = None
    atol: float | None = None
    rtol: float | None = None
    compare: bool = False
    adapters: tuple[str, ...] = ()
    fail_on: Severity = "error"


def instructed(model: Model, wanted: Wanted) -> Wanted:
    """The same with the task's instruction before each text, as the code of jina-embeddings-v3 writes it."""
    said = model.config.data.get("task_instructions") if model.config and wanted.task else None
    before = said.get(wanted.task) if isinstance(said, dict) else None
    if not isinstance(before, str) or wanted.text is None:
        return wanted
    return replace(wanted, text=before + wanted.text, more_texts=tuple(before + text for text in wanted.more_texts))


def runnable_of(model: Model) -> Runnable | None:
    """What a pass starts at; None for a model that is not declared, or of which a pass cannot run."""
    tree = model.declaration.tree if model.declaration else None
    return tree if isinstance(tree, Runnable) else None


def tokenizer_of(model: Model, wanted: Wanted, directory: Path) -> tuple[Speller | None, tuple[str, ...]]:
    """The model's tokenizer, where it takes tokens at all, or why there is none."""
    tree = runnable_of(model)
    if tree is None or tree.words is None:
        return None, ()
    return speller_of(model, directory, wanted.text)


def prompt_of(
    model: Model,
    wanted: Wanted,
    tokens: tuple[int, ...] | None,
    expected: Golden | None,
    speller: Speller | None,
    notes: tuple[str, ...],
    inputs: Mapping[str, np.ndarray[Any, Any]],
) -> tuple[Prompt, Speller | None]:
    """The prompt that a user asked for, and the tokenizer if it can be used."""
    if model.declaration is None:
        return Prompt(tokens=(0,), origin="none"), None  # what is wrong is said by the pass
    tree = runnable_of(model)
    if tree and not tree.takes_tokens:
        if wanted.tokens is not None or wanted.text is not None:
            raise no_tokens(tree)
        return Prompt(tokens=(), origin="none"), speller
    if tokens is not None:
        prompt = Prompt(tokens=tokens, origin="tokens")
    elif wanted.text is not None:
        assert speller
        prompt = Prompt(tokens=encoded(speller, wanted.text), origin="text", text=wanted.text)
    elif expected:
        return Prompt(tokens=expected.tokens, origin="golden"), speller
    else:
        words = tree.words if tree else None
        rows = int(words.rows) if words else 0
        prompt, speller = default_prompt(speller, notes, rows)
    if tree and tree.logits_of == "same" and speller:
        prompt = with_masks(prompt, speller)
    if isinstance(tree, SensingLanguage):
        prompt = sensed(tree, prompt, speller, inputs)
    if expected and prompt.tokens != expected.tokens:
        raise UsageError(
            f"{wanted.expect} was recorded with other tokens",
            hint="leave out --tokens and --prompt: the golden file has its own",
        )
    return prompt, speller


def sensed(
    tree: SensingLanguage, prompt: Prompt, speller: Speller | None, inputs: Mapping[str, np.ndarray[Any, Any]]
) -> Prompt:
    """The prompt with what the model sees and hears written out: of the first sense in the text, then among tokens."""
    origin = prompt.origin
    for number, (sense, mark) in enumerate(tree.given(inputs)):
        if prompt.origin == "tokens" and written_out(prompt.tokens, mark, sense, inputs):
            continue
        prompt = with_things(
            replace(prompt, origin="tokens") if number else prompt,
            layouts_of(sense, inputs),
            mark,
            speller,
            sense,
            around=((), ()) if number else tree.around,
            written="" if number else tree.written,
            frame=None if number else tree.frame,
        )
    return replace(prompt, origin=origin)


def inputs_of(model: Model, wanted: Wanted, directory: Path) -> dict[str, np.ndarray[Any, Any]]:
    """What the model's processor makes of the images, by its names, or what a file has ready."""
    tree = runnable_of(model)
    if wanted.inputs is not None:
        from weightscope.analyses.forward.ready_inputs import read_inputs

        inputs = read_inputs(wanted.inputs)
        for name in inputs:
            of_text = tree is not None and tree.takes_tokens and name in (IDS, MASK)
            if tree is not None and name not in tree.takes and not of_text:
                hint = f"it takes {' and '.join(tree.takes)}" if tree.takes else ""
                raise UsageError(f"{wanted.inputs} has {name!r:.80}, which this model does not take", hint=hint)
        return inputs
    if not wanted.images or tree is None:
        return {}
    from weightscope.analyses.forward.images import read_images

    return read_images(wanted.images, directory, tree.processor, _image_settings(model, tree.processor))


def _image_settings(model: Model, processor: str) -> Said | None:
    """Those that the model's own file holds: of a vision part in GGUF."""
    if model.checkpoint.format != "gguf" or not processor:
        return None
    from weightscope.analyses.forward.images.settings import Said
    from weightscope.gguf.opening import described
    from weightscope.gguf.pictures import settings_of

    metadata = described(model.checkpoint)
    path = model.checkpoint.files[0].path
    return Said(processor, settings_of(metadata, processor), path, processor) if metadata else None


def ready_tokens(
    wanted: Wanted, inputs: dict[str, np.ndarray[Any, Any]], tokens: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    """The tokens of a pass: those of an option, or those that a file has, which are taken out of its `inputs`.

    Raises:
        UsageError: there are both, or the file's are not whole numbers.
    """
    if IDS not in inputs:
        return tokens
    ids = inputs.pop(IDS)
    if tokens is not None or wanted.text is not None:
        raise UsageError(f"{wanted.inputs} has {IDS}: give no --tokens and no --prompt beside it")
    if ids.dtype.kind not in "iu":
        raise UsageError(f"{wanted.inputs}: {IDS} holds {ids.dtype} values, not whole numbers")
    return tuple(ids.flatten().tolist())


def has_decoder(model: Model) -> bool:
    """Whether the model has a decoder beside an encoder."""
    tree = runnable_of(model)
    return tree is not None and DECODER_TOKENS in tree.takes


def written_of(
    model: Model,
    wanted: Wanted,
    speller: Speller | None,
    expected: Golden | None,
    inputs: Mapping[str, np.ndarray[Any, Any]],
) -> dict[str, np.ndarray[Any, Any]]:
    """What an encoder-decoder is said to have written: by a text, or by the golden file.

    Raises:
        UsageError: the golden file was recorded with other tokens than a text or the ready `inputs` say.
    """
    given = _text_written(model, wanted, speller)
    recorded = expected.decoder_tokens if expected else None
    if recorded is None:
        return given
    import numpy as np

    told = given.get(DECODER_TOKENS, inputs.get(DECODER_TOKENS))
    if told is not None and tuple(told.flatten().tolist()) != recorded:
        raise UsageError(
            f"{wanted.expect} was recorded with other tokens of the decoder",
            hint="leave out --decoder-prompt: the golden file has its own",
        )
    return {DECODER_TOKENS: np.array(recorded)}


def _text_written(model: Model, wanted: Wanted, speller: Speller | None) -> dict[str, np.ndarray[Any, Any]]:
    """The decoder's first token, then those of the text, if there is one."""
    if wanted.decoder_text is None:
        return {}
    tree = runnable_of(model)
    if tree is None or not has_decoder(model):
        raise UsageError("--decoder-prompt: this model has no decoder beside an encoder")
    if speller is None:
        raise UsageError("tokenizer.json is missing; it is needed to encode a prompt")
    import numpy as np

    start = () if tree.decoder_start is None else (tree.decoder_start,)
    return {DECODER_TOKENS: np.array([*start, *speller.pieces(wanted.decoder_text)])}
