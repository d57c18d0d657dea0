"""What the topics are for, and the settings that follow from it: for those, too, who have no client of Kafka."""

from dataclasses import dataclass

DAY_MS = 86_400_000
MAX_MESSAGE_BYTES = 4 << 20
MAX_LETTER_BYTES = 5 << 20
"""A dead letter is the refused record with headers put to it, so it may be larger than any record."""


@dataclass(frozen=True)
class Role:
    """What a topic is for, and the settings that follow from it."""

    retention_days: int
    max_message_bytes: int = MAX_MESSAGE_BYTES

    def config(self, replication: int) -> dict[str, str]:
        """Return the topic's settings as Kafka names them."""
        return {
            "compression.type": "lz4",
            "retention.ms": str(self.retention_days * DAY_MS),
            "max.message.bytes": str(self.max_message_bytes),
            "min.insync.replicas": "2" if replication >= 3 else "1",
        }


ROLES: dict[str, Role] = {
    "prices": Role(7),
    "news": Role(7),
    "bars": Role(30),
    "anomalies": Role(7),
    "sentiment": Role(7),
    "forecasts": Role(30),
    "dead-letters": Role(30, MAX_LETTER_BYTES),
}
