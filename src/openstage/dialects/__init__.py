"""The documented platforms' wires: parse, use case, envelope; no logic."""
