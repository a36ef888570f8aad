"""Measuring a track's tempo and key from its samples. Files are decoded by ffmpeg in its sandbox, never here."""
