"""What several families are built from; no family itself."""
