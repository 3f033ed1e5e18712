"""What quantization methods share, and how config and files decide together."""
