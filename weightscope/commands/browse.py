"""`weightscope browse`: the same in a terminal."""

from __future__ import annotations

from weightscope.commands.options import BaseOption, ModelPath, VariantOption, open_quietly


def browse(model: ModelPath, variant: VariantOption = None, base: BaseOption = None) -> None:
    """Browse a model in the terminal: tree, tensors, findings.

    Tensors stand in a tree by component, role and layer, or by name. Values are read when you ask for them. Press ? for
    all keys. Needs the browse extra: pip install 'weightscope-cli[browse]'.

    \b
    Examples:
      weightscope browse ./Llama-3.1-8B
      weightscope browse org/name
    """
    from weightscope.browse.terminal import need_terminal, need_textual, run

    need_textual()
    need_terminal()
    run(open_quietly(model, variant, base, tolerant=True))
