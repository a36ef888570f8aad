"""The music library's wire: parse, use case, envelope."""
