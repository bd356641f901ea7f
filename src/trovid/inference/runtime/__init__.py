"""How a detector is run: precision, memory, compiled, deterministic."""
