"""Thin processes: their settings and their wiring; what they do is in the library."""
