"""The ``tickloom`` command, one file per verb."""
