"""One file a command: options, one analysis, output."""
