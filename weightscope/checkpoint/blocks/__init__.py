"""Values of ggml's block types, as GGUF files hold them: codes and scales of 32 to 256 weights of a row."""
