"""The schema's history. SQL lies in `sql/`; `versions/` says which files make which revision."""
