"""The forecast service: thin processes around tickloom.serving."""
