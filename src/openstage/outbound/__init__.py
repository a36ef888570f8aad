"""Calls to addresses that others name: only public ones, bounded in size and time."""
