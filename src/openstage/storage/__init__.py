"""Where bytes lie: the object store and the staging files."""
