"""What a script does for the headers of a model on the Hub: huggingface_hub's own function."""

from __future__ import annotations

import sys

import huggingface_hub

huggingface_hub.get_safetensors_metadata(sys.argv[1])
