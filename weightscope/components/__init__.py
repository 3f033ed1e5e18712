"""The parts of a model: each states its weights' sizes and its settings once."""
