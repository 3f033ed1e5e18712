"""Files that hold weights in a form that is not read, told by their names: what each is, in words for a message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# The first pattern that a name fits says what it is.
_KINDS = (
    (r".*\.incomplete", "an unfinished download"),
    (r".*\.(crdownload|part|partial|aria2|tmp)", "an unfinished download"),
    (r"openvino_.*|.*\.ov\.(bin|xml)", "OpenVINO"),
    (r"tf_model\.h5|.*\.(h5|hdf5|keras)", "Keras or TensorFlow weights"),
    (r"model\.ckpt.*\.(index|meta)|.*\.ckpt\.data-.*|saved_model\.pb", "a TensorFlow checkpoint"),
    (r".*\.msgpack", "Flax weights"),
    (r".*\.onnx(_data|\.data)?|onnx", "ONNX"),
    (r"params_shard_\d+\.bin", "MLC"),
    (r"group\d+-shard\d+of\d+\.bin", "TensorFlow.js"),
    (r".*\.pdparams", "PaddlePaddle"),
    (r".*\.distcp|\.metadata", "a distributed checkpoint of torch (DCP)"),
    (r".*(zero_pp_rank|mp_rank)_.*\.pt|global_step\d+|zero_to_fp32\.py", "DeepSpeed's training state"),
    (
        r".*\.(tflite|task|litertlm|mlmodel|mlmodelc|mlpackage|engine|plan|npz|pte|rknn|rkllm|mnn)",
        "weights converted for another runtime",
    ),
    (r".*\.nemo", "a NeMo archive"),
)


# What makes readable files of a kind, by how its words begin.
_CONVERTERS = (
    ("Keras", "load it with `from_pretrained(…, from_tf=True)` of transformers 4 and save_pretrained"),
    ("a TensorFlow checkpoint", "transformers 4 has a convert_*_original_tf_checkpoint_to_pytorch.py for many models"),
    ("Flax", "load it with `from_pretrained(…, from_flax=True)` of transformers 4 and save_pretrained"),
    ("ONNX", "find the model that it was exported from, or read its initializers with onnx.numpy_helper"),
    ("MLC", "find the model that it was converted from"),
    ("TensorFlow.js", "find the model that it was converted from"),
    ("OpenVINO", "find the model that it was exported from: its weights may be compressed"),
    ("a NeMo archive", "unpack it, and give the folder or the .ckpt in it"),
    ("a distributed checkpoint", "give the folder with its .metadata and all its parts"),
    ("DeepSpeed's", "give the folder above it, with `latest` and the files of all ranks"),
)


def converter_of(what: str) -> str:
    """What to do with a file of a kind, by its words; empty where nothing is known."""
    return next((hint for start, hint in _CONVERTERS if start in what), "")


def foreign_files(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(name, what it is) of those that are known."""
    for name in names:
        if what := kind_of(name):
            yield name, what


def kind_of(name: str) -> str:
    """What a file of that name is; empty where nothing tells."""
    return next((what for pattern, what in _KINDS if re.fullmatch(pattern, name)), "")


def named(names: Iterable[str], most: int = 3) -> str:
    """`tf_model.h5 (Keras or TensorFlow weights), …`; one file of a kind stands for all; empty for none."""
    kinds: dict[str, list[str]] = {}
    for name, what in foreign_files(names):
        kinds.setdefault(what, []).append(name)
    said = [f"{of[0]}{f' and {len(of) - 1:,} more' if len(of) > 1 else ''} ({what})" for what, of in kinds.items()]
    return ", ".join(said[:most])
