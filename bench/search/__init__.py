"""Search in a large catalogue: `python -m bench search`."""
