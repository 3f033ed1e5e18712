"""weightscope looks inside model checkpoints: what the tensors are, whether they fit, whether they compute.

import weightscope as ws
model = ws.open("path/to/checkpoint")   # headers only; imports no torch
model.parameters.total
"""

# No import here, not even `from __future__`: `python -m weightscope` has yet to leave the working directory.
TYPE_CHECKING = False

__version__ = "0.1.0"
__all__ = [
    "Finding",
    "Findings",
    "Model",
    "Result",
    "Tensor",
    "Tensors",
    "WeightscopeError",
    "__version__",
    "diff",
    "download",
    "open",
]

if TYPE_CHECKING:
    from weightscope.analyses.forward.result import Result
    from weightscope.api.comparing import diff
    from weightscope.api.downloading import download
    from weightscope.api.model import Model
    from weightscope.api.opening import open_model as open  # noqa: A004 - `ws.open` is the promised name
    from weightscope.api.tensors import Tensor, Tensors
    from weightscope.errors import WeightscopeError
    from weightscope.findings import Finding, Findings

_HOMES = {
    "Finding": ("weightscope.findings", "Finding"),
    "Findings": ("weightscope.findings", "Findings"),
    "Model": ("weightscope.api.model", "Model"),
    "Result": ("weightscope.analyses.forward.result", "Result"),
    "Tensor": ("weightscope.api.tensors", "Tensor"),
    "Tensors": ("weightscope.api.tensors", "Tensors"),
    "WeightscopeError": ("weightscope.errors", "WeightscopeError"),
    "diff": ("weightscope.api.comparing", "diff"),
    "download": ("weightscope.api.downloading", "download"),
    "open": ("weightscope.api.opening", "open_model"),
}


def __getattr__(name: str) -> object:
    """Import the public names when first used: the command line starts without what it does not need."""
    if name not in _HOMES:
        from weightscope.errors import UnknownAttributeError

        raise UnknownAttributeError.of("weightscope has no attribute", name, __all__)
    from importlib import import_module

    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    """The public names, and no modules that happen to have been imported."""
    return sorted(__all__)
