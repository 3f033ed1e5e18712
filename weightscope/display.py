"""Where objects and models ask how they look in a notebook: imported when something is displayed, and not before."""

from weightscope.output.figure import Figure
from weightscope.output.notebook import html_of
from weightscope.output.pictures import picture_of_layers, picture_of_parameters, picture_of_stages, picture_of_values

__all__ = ["Figure", "html_of", "picture_of_layers", "picture_of_parameters", "picture_of_stages", "picture_of_values"]
