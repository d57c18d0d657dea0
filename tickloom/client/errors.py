"""What a client raises."""

from collections.abc import Mapping, Sequence
from typing import Any

from tickloom.errors import TickloomError


class ServiceError(TickloomError):
    """The service refused, with the fields of its problem (RFC 9457).

    Attributes
    ----------
    status : int
        Of HTTP.
    kind : str
        Sort of problem, such as ``unknown-ticker``.
    detail : str
        A sentence with the thing, the value and the fix.
    request : str
        Id of the request, for the service's logs.
    errors : sequence of mapping
        Each field that is wrong: ``field``, ``problem`` and where it helps ``value`` and ``near``.
    retry_after_s : float or None
        Seconds after which to try again, where the service says so.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        request: str = "",
        errors: Sequence[Mapping[str, Any]] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.request = status, kind, detail, request
        self.errors, self.retry_after_s = errors, retry_after_s

    @classmethod
    def of(cls, told: Mapping[str, Any], retry_after_s: float | None = None) -> "ServiceError":
        """Return the error of a problem."""
        return cls(
            int(told["status"]), str(told["type"]).rpartition("/")[2], str(told["detail"]), str(told["request"]),
            tuple(told.get("errors") or ()), retry_after_s,
        )  # fmt: skip


class UnavailableError(TickloomError):
    """The service was not reached, or its answer did not come before the deadline."""
