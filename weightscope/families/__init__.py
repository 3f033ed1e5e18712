"""One declaration a file, found by model type; to add a family, add a file (docs/adding-a-family.md)."""
