"""`weightscope cache`: which models are in the local Hugging Face cache?"""

from __future__ import annotations

from weightscope.commands.options import FormatOption, OutputOption
from weightscope.output.write import Format, emit


def cache(format: FormatOption = Format.TABLE, output: OutputOption = None) -> None:
    """Which models the local Hugging Face cache holds.

    Their size, family and parameters, and whether all of each is there. HF_HOME and HF_HUB_CACHE say where it is.

    \b
    Examples:
      weightscope cache
      weightscope cache --format json
      weightscope check --cache
    """
    from weightscope.api.cache import take_stock
    from weightscope.output.cache import cache_document
    from weightscope.output.progress import Progress

    with Progress("Reading headers") as progress:
        holdings = take_stock(progress)
    emit(cache_document(holdings), format, output)
