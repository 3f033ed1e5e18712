"""Each reader of files, called as the package calls it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from fuzz.case import Case
from fuzz.gguf_files import gguf_file
from fuzz.json_files import (
    FIXTURES,
    adapter_file,
    config_file,
    golden_file,
    index_file,
    modules_file,
    patches_file,
    preprocessor_file,
    tokenizer_file,
)
from fuzz.other_files import npy_file, npz_file, toml_file
from fuzz.pickle_files import distributed_file, torch_file
from fuzz.safetensors_files import safetensors_file
from fuzz.verdict import hold_line


class Reader(NamedTuple):
    """A kind of file: how often it is tried, how it is made, and its name."""

    share: int
    make: Callable[[Random], bytes]
    name: str


READERS = {
    "safetensors": Reader(40, safetensors_file, "model.safetensors"),
    "pytorch": Reader(40, torch_file, "pytorch_model.bin"),
    "distributed": Reader(8, distributed_file, ".metadata"),
    "gguf": Reader(20, gguf_file, "model.gguf"),
    "index": Reader(8, index_file, "model.safetensors.index.json"),
    "toml": Reader(4, toml_file, "pyproject.toml"),
    "tokenizer": Reader(3, tokenizer_file, "tokenizer.json"),
    "golden": Reader(2, golden_file, "golden.json"),
    "npy": Reader(2, npy_file, "logits.npy"),
    "npz": Reader(2, npz_file, "inputs.npz"),
    "preprocessor": Reader(1, preprocessor_file, "preprocessor_config.json"),
    "patches": Reader(1, patches_file, "preprocessor_config.json"),
    "modules": Reader(1, modules_file, "modules.json"),
    "config": Reader(1, config_file, "config.json"),
    "adapter": Reader(2, adapter_file, "adapter_config.json"),
}
KINDS = [kind for kind, reader in READERS.items() for _ in range(reader.share)]


class Readers:
    """Files, one at a time."""

    batch = 100_000

    def __init__(self) -> None:
        self._read: dict[str, Callable[[Path], Any]] = {}
        self._errors: tuple[type[Exception], ...] = ()

    def prepare(self, scratch: Path) -> tuple[str, ...]:  # noqa: ARG002 - nothing may be written
        """Import the readers."""
        import numpy as np  # noqa: F401

        from weightscope.adapters.registry import read_adapter
        from weightscope.analyses.forward.expected_logits import read_logits
        from weightscope.analyses.forward.golden import read_golden
        from weightscope.analyses.forward.images import PROCESSORS
        from weightscope.analyses.forward.images.settings import find_settings
        from weightscope.analyses.forward.ready_inputs import read_inputs
        from weightscope.analyses.forward.sentences import read_sentences
        from weightscope.analyses.rules.vocabulary import highest_ids
        from weightscope.api.adapters import settings_in
        from weightscope.api.opening import open_model
        from weightscope.checkpoint.dcp_metadata import read_metadata
        from weightscope.checkpoint.folder import LocalFolder
        from weightscope.checkpoint.header import read_header
        from weightscope.checkpoint.index import read_index
        from weightscope.config import read_config
        from weightscope.errors import WeightscopeError
        from weightscope.families.declaration import declare
        from weightscope.gguf.opening import described
        from weightscope.gguf.tokenizer import tokenizer_json
        from weightscope.toml import TomlError, read_toml

        def read_gguf(path: Path) -> None:
            model = open_model(path, tolerant=True)
            model.summary()
            model.check(values=True)
            if metadata := described(model.checkpoint):
                tokenizer_json(metadata, path)

        def read_model(path: Path) -> None:
            declare(read_config(path))

        lora = read_header(FIXTURES / "adapters" / "peft" / "patterns" / "adapter_model.safetensors")

        def read_settings(path: Path) -> None:
            read_adapter(lora.tensors, settings_in(read_config(path)))

        processors = [import_module(f"weightscope.analyses.forward.images.{name}") for name in set(PROCESSORS.values())]

        def read_processor(path: Path) -> None:
            said = find_settings(path.parent, "CLIPImageProcessor")
            for processor in processors:
                with suppress(WeightscopeError):
                    said.as_kind(processor.Settings)

        self._read = {
            "safetensors": read_header,
            "pytorch": read_header,
            "distributed": lambda path: read_metadata(path.read_bytes(), path),
            "gguf": read_gguf,
            "index": read_index,
            "toml": read_toml,
            "tokenizer": lambda path: list(highest_ids(LocalFolder(path.parent))),
            "golden": read_golden,
            "npy": read_logits,
            "npz": read_inputs,
            "preprocessor": read_processor,
            "patches": read_processor,
            "modules": lambda path: read_sentences(path.parent),
            "config": read_model,
            "adapter": read_settings,
        }
        self._errors = (WeightscopeError, TomlError)
        return ()

    def make(self, random: Random) -> Case:
        """A file of some kind."""
        kind = random.choice(KINDS)
        reader = READERS[kind]
        return Case(kind=kind, files={reader.name: reader.make(random)})

    def place(self, case: Case, folder: Path) -> None:
        """Write it."""
        for name, content in case.files.items():
            (folder / name).write_bytes(content)

    def run(self, case: Case, folder: Path) -> None:
        """Read it."""
        try:
            self._read[case.kind](folder / READERS[case.kind].name)
        except self._errors as error:
            # What is wrong with TOML becomes part of a message, which `one_line` makes a line.
            if case.kind != "toml":
                hold_line(str(error))
