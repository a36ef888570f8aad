"""The query language: text to a tree, with a message and a place where it breaks (docs/query-language.md)."""
