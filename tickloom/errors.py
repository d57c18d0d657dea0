"""The one exception that the command line turns into a sentence and a non-zero exit."""


class TickloomError(Exception):
    """A failure that the user can act on.

    The message names the thing, the value and the fix, for example
    ``StreamJob atw: spec.market 'XPAR' is unknown; known: XCAS, XNYS``.
    """
