"""Named tensors from bytes: safetensors, PyTorch files, shards and indexes; knows no architecture."""
