"""One vector of a text, as the folder of a sentence-transformers model says: pooling, dense layers, length one.

Source: `modules.json` and the `config.json` of each module in it, as sentence-transformers 2 to 5 write them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.analyses.forward.settings_file import read_object
from weightscope.checkpoint.reader import open_checkpoint
from weightscope.checkpoint.values import load_torch
from weightscope.components.feed_forward.activations import activate
from weightscope.errors import CheckpointError, NotImplementedByWeightscope

if TYPE_CHECKING:
    import torch

MODULES = "modules.json"
MAX_MODULES = 16
# What pooling keeps of a text's tokens, in the order in which several are put side by side.
MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
ACTIVATIONS = {"Tanh": "tanh", "ReLU": "relu", "GELU": "gelu", "SiLU": "silu", "Sigmoid": "sigmoid", "Identity": ""}


class Dense(msgspec.Struct, frozen=True):
    """activation(W·x + b), its weights in a folder of their own."""

    folder: Path
    activation: str

    def of(self, x: torch.Tensor) -> torch.Tensor:
        """[D] to [D'].

        Raises:
            CheckpointError: its weights are missing, or of another size.
        """
        import torch

        checkpoint = open_checkpoint(self.folder)
        weights = {}
        for name, entry in checkpoint.tensors.items():
            weights[name] = load_torch(checkpoint.files, entry).float()
        matrix, bias = weights.get("linear.weight"), weights.get("linear.bias")
        if matrix is None or matrix.ndim != 2 or matrix.shape[1] != x.shape[-1]:
            found = "is missing" if matrix is None else f"has shape {list(matrix.shape)}"
            raise CheckpointError(f"linear.weight {found}; it is to take {x.shape[-1]:,} numbers", where=self.folder)
        if bias is not None and bias.shape != matrix.shape[:1]:
            raise CheckpointError(f"linear.bias has shape {list(bias.shape)}", where=self.folder)
        made = torch.nn.functional.linear(x, matrix, bias)
        return activate(self.activation, made) if self.activation else made


class Sentences(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a vector of hidden states: `modes` of pooling, dense layers, `unit` length; `words` say it."""

    modes: tuple[str, ...]
    dense: tuple[Dense, ...] = ()
    unit: bool = False

    @property
    def words(self) -> str:
        """For people."""
        steps = [" and ".join(self.modes), *("dense" for _ in self.dense), *(["length 1"] if self.unit else [])]
        return ", ".join(steps)

    def vector(self, hidden: torch.Tensor) -> torch.Tensor:
        """The hidden states [T, D] of a text as one vector."""
        import torch

        x = torch.cat([_pooled(hidden, mode) for mode in self.modes])
        for layer in self.dense:
            x = layer.of(x)
        return x / x.norm().clamp_min(1e-12) if self.unit else x


def _pooled(hidden: torch.Tensor, mode: str) -> torch.Tensor:
    """One vector [D] of hidden states [T, D]."""
    import torch

    if mode == "cls":
        return hidden[0]
    if mode == "lasttoken":
        return hidden[-1]
    if mode == "max":
        return hidden.amax(0)
    if mode == "mean_sqrt_len_tokens":
        return hidden.sum(0) / len(hidden) ** 0.5  # type: ignore[no-any-return]
    if mode == "weightedmean":
        places = torch.arange(1, len(hidden) + 1, dtype=hidden.dtype)
        return (hidden * places[:, None]).sum(0) / places.sum()
    return hidden.mean(0)


def makes_vectors(directory: Path) -> bool:
    """Whether a folder says how a text becomes a vector: such a model need not predict text well, if it can."""
    return (directory / MODULES).is_file()


def read_sentences(directory: Path) -> Sentences | None:
    """What a folder's modules.json says; None where there is none.

    Raises:
        CheckpointError: it, or the settings of a module, cannot be used.
        NotImplementedByWeightscope: a module that is not implemented, by name.
    """
    if not makes_vectors(directory):
        return None
    path = directory / MODULES
    modules = read_object(path, list)
    if not 0 < len(modules) <= MAX_MODULES or not all(isinstance(module, dict) for module in modules):
        raise CheckpointError("has settings that cannot be used", where=path, code="config-invalid")
    modes: tuple[str, ...] = ()
    dense: list[Dense] = []
    unit = False
    for module in modules:
        kind, folder = str(module.get("type", "")).rpartition(".")[2], _inside(directory, module.get("path"), path)
        if kind == "Pooling":
            modes = _modes(read_object(folder / "config.json"), folder / "config.json")
        elif kind == "Dense":
            dense.append(Dense(folder, _activation(read_object(folder / "config.json"), folder / "config.json")))
        elif kind == "Normalize":
            unit = True
        elif kind not in ("Transformer", "Dropout"):
            raise _unknown(f"the module {kind!r:.60}", path)
    return Sentences(modes=modes or ("mean",), dense=tuple(dense), unit=unit)


def _inside(directory: Path, named: object, source: Path) -> Path:
    """A module's folder, which lies in the model's."""
    parts = Path(str(named or "")).parts
    if any(part == ".." for part in parts) or Path(str(named or "")).is_absolute():
        raise CheckpointError("names a folder outside the model's", where=source, code="config-invalid")
    return directory.joinpath(*parts)


def _modes(settings: Any, source: Path) -> tuple[str, ...]:
    named = settings.get("pooling_mode")
    if named is not None:
        found = (named,) if isinstance(named, str) else tuple(named) if isinstance(named, Sequence) else ()
    else:
        found = tuple(mode for key, mode in MODES.items() if settings.get(key) is True)
    unknown = [mode for mode in found if mode not in MODES.values()]
    if unknown:
        raise _unknown(f"the pooling {unknown[0]!r:.60}", source)
    return found


def _activation(settings: Any, source: Path) -> str:
    name = str(settings.get("activation_function", "Tanh")).rpartition(".")[2]
    if name not in ACTIVATIONS:
        raise _unknown(f"the activation {name!r:.60}", source)
    return ACTIVATIONS[name]


def _unknown(what: str, source: Path) -> NotImplementedByWeightscope:
    return NotImplementedByWeightscope(f"{what} is not implemented", where=source, code="config-invalid")
