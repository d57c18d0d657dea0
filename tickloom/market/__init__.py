"""Instruments, exchange calendars, and the records that travel: what everything else agrees on.

Nothing is imported here, so that a caller who needs one module (the operator: ``instruments``) loads that one only.
"""
