"""The service against its own OpenAPI document, by generated requests."""

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.unit.serving.serving import Service

SERVICE = Service()
schema = schemathesis.openapi.from_asgi("/openapi.json", SERVICE.app)
MEANT = ("as-of-in-the-future", "horizon-too-long", "ambiguous-ticker")
"""What a document cannot say: it depends on the day, on the model, on the other markets."""


@schema.parametrize()
@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_the_document_says(case):
    answer = case.call()
    meant = answer.status_code == 422 and answer.json()["type"].rpartition("/")[2] in MEANT
    case.validate_response(answer, excluded_checks=[positive_data_acceptance] if meant else [])


def test_the_document_has_an_example_for_every_question():
    document = SERVICE.ask("GET", "/openapi.json").json()
    for name in ("ForecastRequest", "BatchRequest"):
        for example in document["components"]["schemas"][name]["examples"]:
            path = "/v1/forecast" if name == "ForecastRequest" else "/v1/forecast/batch"
            assert SERVICE.post(example, path).status_code == 200
