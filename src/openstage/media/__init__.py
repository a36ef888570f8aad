"""Everything that touches media bytes, in sandboxed processes: probe, ladder, renditions, pictures."""
