"""The exceptions that the command line turns into a sentence and a non-zero exit."""


class TickloomError(Exception):
    """A failure that the user can act on.

    The message names the thing, the value and the fix, for example
    ``StreamJob atw: spec.market 'XPAR' is unknown; known: XCAS, XNYS``.
    """

    exit_code = 1


class ConfigurationError(TickloomError):
    """A manifest or a setting is wrong: starting again does not help before somebody changes it."""

    exit_code = 78  # EX_CONFIG of sysexits.h
