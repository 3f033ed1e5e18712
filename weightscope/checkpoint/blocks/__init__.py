"""Values of ggml's block types, which GGUF files hold: a few bytes of codes and scales for 32 to 256 weights of a row."""
