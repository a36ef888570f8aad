"""The durable pipeline from an original to a published work, and the use cases that join uploads and works."""
