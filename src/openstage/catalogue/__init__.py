"""Licensable tracks: import, analysis, facets, the query language and its index."""
