"""The processes of a running server."""
