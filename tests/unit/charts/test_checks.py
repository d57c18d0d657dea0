"""Values that are right one by one and wrong together are refused, with the value and the fix, and the fix helps."""

import pytest

from tests.unit.charts.rendering import PROFILES, RefusedError, environment, of_kind, pod_spec

KAFKA = "tickloom-kafka.demo.svc:9092"
STRIMZI = "tickloom-kafka-kafka-bootstrap.demo.svc:9093"
CASSANDRA = "tickloom-cassandra.demo.svc:9042"
ISSUER = {"issuer": {"name": "ours"}}


def kafka(**values):
    return {"global": {"kafka": values}}


def cassandra(clients=None, **values):
    return {"global": {"cassandra": clients or {}}, "cassandra": values}


def operated(**values):
    return {"cassOperator": values}


def backup(**volume):
    return {"backup": {"volume": volume}}


WRONG = {
    "the broker of mode dev": (
        kafka(bootstrapServers=KAFKA),
        rf"bootstrapServers is {KAFKA}, the broker of mode dev; make it {STRIMZI}",
        kafka(bootstrapServers=STRIMZI),
    ),
    "a port of mode dev": (
        kafka(bootstrapServers=STRIMZI.replace("9093", "9092")),
        f"listens at 9093; make it {STRIMZI}",
        kafka(bootstrapServers=STRIMZI),
    ),
    "nobody to come to Kafka as": (
        kafka(strimziCluster=""),
        "strimziCluster and credentialsSecret are empty; set strimziCluster to tickloom-kafka",
        kafka(strimziCluster="tickloom-kafka"),
    ),
    "servers of Strimzi in mode dev": (
        {"kafka": {"mode": "dev"}},
        f"kafka.mode is dev, .* make it {KAFKA}",
        {**kafka(bootstrapServers=KAFKA), "kafka": {"mode": "dev"}},
    ),
    "nobody to come to Cassandra as": (
        cassandra({"credentialsSecret": ""}),
        "credentialsSecret is empty; make it tickloom-cassandra-superuser",
        cassandra({"credentialsSecret": "tickloom-cassandra-superuser"}),
    ),
    "nodes alone speak TLS": (
        cassandra(**operated(clientTls=ISSUER)),
        "certificatesSecret is empty; make it tickloom-cassandra-client",
        cassandra({"certificatesSecret": "tickloom-cassandra-client"}, **operated(clientTls=ISSUER)),
    ),
    "clients alone speak TLS": (
        cassandra({"certificatesSecret": "mine"}),
        "certificatesSecret is mine, .* set cassOperator.clientTls.issuer",
        cassandra({"certificatesSecret": "mine"}, **operated(clientTls=ISSUER)),
    ),
    "a volume for one machine": (
        cassandra(**backup(accessMode="ReadWriteOnce")),
        "accessMode is ReadWriteOnce, but 3 nodes .* make it ReadWriteMany",
        cassandra(**backup(accessMode="ReadWriteOnce", existingClaim="shared")),
    ),
    "the node of mode dev": (
        cassandra({"contactPoints": CASSANDRA}),
        "there is no Service tickloom-cassandra, .* make it tickloom-cassandra-dc1-service.demo.svc:9042",
        cassandra({"contactPoints": "tickloom-cassandra-dc1-service.demo.svc:9042"}),
    ),
    "another data centre": (
        cassandra(**operated(datacenter="eu")),
        "no Service tickloom-cassandra-dc1-service, .* make it tickloom-cassandra-eu-service.demo.svc:9042",
        cassandra({"contactPoints": "tickloom-cassandra-eu-service.demo.svc:9042"}, **operated(datacenter="eu")),
    ),
    "a keyspace in another data centre": (
        cassandra(migrate={"datacenters": {"dc2": 3}}),
        "migrate.datacenters has dc2, but not cassOperator.datacenter dc1",
        cassandra(migrate={"datacenters": {"dc1": 3, "dc2": 3}}),
    ),
}


@pytest.mark.parametrize(("values", "said", "right"), WRONG.values(), ids=WRONG)
def test_what_does_not_go_together_is_refused_and_the_fix_helps(charts, values, said, right):
    with pytest.raises(RefusedError, match=said):
        charts.text("tickloom", values, PROFILES["prod"])
    assert charts.render("tickloom", right, PROFILES["prod"])


RIGHT = {
    "Kafka and Cassandra of others": {
        "global": {
            "kafka": {"bootstrapServers": "k1:9094,k2:9095", "strimziCluster": ""},
            "cassandra": {"contactPoints": "c1:9142", "certificatesSecret": "mine"},
        },
        "kafka": {"enabled": False},
        "cassandra": {"enabled": False},
    },
    "a listener of ones own": kafka(bootstrapServers="kafka.example.com:9094", credentialsSecret="login"),
    "one Secret with all": cassandra({"credentialsSecret": "mine"}, **operated(clientTls=ISSUER)),
    "all nodes by name": cassandra({"contactPoints": "tickloom-cassandra-dc1-all-pods-service:9042"}),
    "nobody is asked": cassandra(
        {"credentialsSecret": ""}, **operated(config={"authenticator": "AllowAllAuthenticator"})
    ),
}


@pytest.mark.parametrize("values", RIGHT.values(), ids=RIGHT)
def test_what_goes_together_is_not_refused(charts, values):
    assert charts.render("tickloom", values, PROFILES["prod"])


def test_another_data_centre_has_the_keyspace(charts):
    values = cassandra({"contactPoints": "tickloom-cassandra-eu-service.demo.svc:9042"}, **operated(datacenter="eu"))
    (job,) = (it for it in of_kind(charts.render("tickloom", values, PROFILES["prod"]), "Job") if "migrate" in str(it))
    (container,) = pod_spec(job)["containers"]
    assert "--data-center=eu=3" in container["args"]
    assert environment(container)["TICKLOOM_CASSANDRA"] == "tickloom-cassandra-eu-service.demo.svc:9042"
