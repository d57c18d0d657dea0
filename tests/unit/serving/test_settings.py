"""What is said of settings of the service that cannot be."""

import pytest

from services.forecast.settings import ServeSettings
from tickloom.errors import ConfigurationError
from tickloom.settings import read


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"RATE": "often"}, "TICKLOOM_SERVE_RATE 'often' must be a rate such as 100/second"),
        ({"ISSUER": "https://issuer.test"}, "TICKLOOM_SERVE_ISSUER and TICKLOOM_SERVE_AUDIENCE go together"),
        ({"ISSUER": "issuer.test", "AUDIENCE": "x"}, "TICKLOOM_SERVE_ISSUER 'issuer.test'"),
        ({"IN_FLIGHT": "0"}, "TICKLOOM_SERVE_IN_FLIGHT '0' must be greater than or equal to 1"),
        ({"CACHE": "on"}, "TICKLOOM_SERVE_CACHE 'on' is unknown; known: 'session' or 'off'"),
    ],
)
def test_a_wrong_setting_is_a_sentence(monkeypatch, given, said):
    for name, value in given.items():
        monkeypatch.setenv(f"TICKLOOM_SERVE_{name}", value)
    with pytest.raises(ConfigurationError, match=said):
        read(ServeSettings)
