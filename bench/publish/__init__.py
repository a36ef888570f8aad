"""How soon a work plays after its upload, and what the ladder behind it costs: `python -m bench publish`."""
