"""Signed addresses, playlists, byte ranges."""
