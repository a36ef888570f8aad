"""What happened, told to who asked to hear it: callbacks, signed and retried."""
