"""Bringing tracks into the catalogue: folders of audio, and metadata in CSV or JSON lines (docs/catalogue.md)."""
