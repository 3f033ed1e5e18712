"""What the shell offers for each parameter; `weightscope.completion` is imported when Tab is pressed."""

from __future__ import annotations

import typer


def models(context: typer.Context, incomplete: str) -> list[str]:
    """For MODEL: paths and models in the cache; with --explain, finding codes."""
    if context.params.get("explain"):
        return codes()
    from weightscope.completion.models import models

    return models(incomplete)


def models_and_tensors(context: typer.Context, incomplete: str) -> list[str]:
    """For `MODEL... [PATTERN]`: names of tensors as well, after the first MODEL."""
    return [*tensors(context, incomplete), *models(context, incomplete)]


def tensors(context: typer.Context, incomplete: str) -> list[str]:
    """For TENSOR: names in the MODEL that was typed."""
    from weightscope.completion.models import tensor_names

    return tensor_names(_typed(context), incomplete)


def tensors_and_roles(context: typer.Context, incomplete: str) -> list[str]:
    """For TENSOR where a role will do as well."""
    found = tensors(context, incomplete)
    return found if "." in incomplete else [*found, *roles(context, incomplete)]


def roles(context: typer.Context, incomplete: str) -> list[str]:
    """For --role: those of the MODEL that was typed."""
    from weightscope.completion.models import roles

    return roles(_typed(context), incomplete)


def codes() -> list[str]:
    """For --ignore: codes that `check` finds."""
    from weightscope.completion import words

    return words.codes()


def dtypes() -> list[str]:
    """For --dtype of stored tensors."""
    from weightscope.completion import words

    return words.dtypes()


def kept_dtypes() -> list[str]:
    """For types that weights, or keys and values, can be kept in."""
    from weightscope.completion import words

    return words.kept_dtypes()


def methods() -> list[str]:
    """For --quantize."""
    from weightscope.completion import words

    return words.methods()


def gpus() -> list[str]:
    """For --gpu: devices that are known."""
    from weightscope.completion import words

    return words.gpus()


def optimizers() -> list[str]:
    """For --optimizer."""
    from weightscope.completion import words

    return words.optimizers()


def precisions() -> list[str]:
    """For --precision."""
    from weightscope.completion import words

    return words.precisions()


def _typed(context: typer.Context) -> list[str]:
    """The MODELs that stand before the word that is completed.

    Where an option waits for its value, what stands before it has not been given to parameters yet.
    """
    given = context.params.get("models") or [context.params.get("model") or context.params.get("a")]
    return [text for text in (*given, *context.args) if text]
