"""The video cloud's wire (docs/video-dialect.md)."""
