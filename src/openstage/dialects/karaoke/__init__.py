"""The documented interface of a karaoke platform's open API: sign-in by QR code, recordings, a user's works."""
