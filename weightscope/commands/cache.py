"""`weightscope cache`: which models are in the local Hugging Face cache?"""

from __future__ import annotations

from weightscope.commands.options import FormatOption, JsonOption, OutputOption, chosen
from weightscope.output.write import Format, emit


def cache(format: FormatOption = Format.TABLE, json: JsonOption = False, output: OutputOption = None) -> None:
    """List the models in the local Hugging Face cache.

    Shows the size, family and parameters of each, and whether it is complete. HF_HOME and HF_HUB_CACHE set its place.

    \b
    Examples:
      weightscope cache
      weightscope cache --json
      weightscope check --cache
    """
    written = chosen(format, json=json)
    from weightscope.api.cache import take_stock
    from weightscope.output.cache import cache_document
    from weightscope.output.progress import Progress

    with Progress("Reading headers") as progress:
        holdings = take_stock(progress)
    emit(cache_document(holdings), written, output)
