"""Models in GGUF files: their metadata as a config, and llama.cpp's names and layout of tensors as slots."""
