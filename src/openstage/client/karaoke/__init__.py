"""The documented karaoke interface."""
