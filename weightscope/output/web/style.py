"""The style sheets of fragments and figures."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def figure_style() -> str:
    """That of the figures alone."""
    return files("weightscope.output.figures").joinpath("style.css").read_text(encoding="utf-8")


@cache
def style() -> str:
    """That of fragments and figures within an element of class `weightscope`."""
    return files("weightscope.output.web").joinpath("style.css").read_text(encoding="utf-8") + figure_style()
