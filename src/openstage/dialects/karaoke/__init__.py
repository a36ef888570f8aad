"""The karaoke platform's wire: parse, use case, envelope."""
