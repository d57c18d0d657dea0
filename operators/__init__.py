"""The Kubernetes operators of Tickloom."""
