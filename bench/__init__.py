"""Openstage measured against its peers, all in one run: `make bench`. See docs/bench.md."""
