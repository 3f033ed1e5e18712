"""How a role's matrix lies on disk: names and stored shapes in one direction, the matrix read back in the other."""
