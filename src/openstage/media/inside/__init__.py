"""What runs inside the sandbox and reads hostile files with PyAV: facts out, no judgement, nothing of Openstage."""
