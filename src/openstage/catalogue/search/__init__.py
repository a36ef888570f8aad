"""Search in the catalogue: an index on disk that follows PostgreSQL, and the way from a query to its results."""
