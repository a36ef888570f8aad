"""Uploads in resumable pieces: sessions, received ranges, finish once."""
