"""The ingest service with a real broker."""
