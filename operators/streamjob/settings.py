"""The operator's settings, read from ``TICKLOOM_OPERATOR_*`` variables."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from operators.streamjob.seen import Installation


class OperatorSettings(BaseSettings):
    """What the environment says."""

    model_config = SettingsConfigDict(env_prefix="TICKLOOM_OPERATOR_", frozen=True)

    namespaces: str = Field("", description="Namespaces that are watched, by commas; empty means all.")
    own_namespace: str = Field("default", description="Namespace of the operator's Lease.")
    identity: str = Field("", description="Name in the Lease; by default the host's name and a random part.")
    lease: str = Field("tickloom-operator", description="Name of the Lease.")
    lease_seconds: int = Field(15, ge=3, le=600, description="After how long without renewal another may lead.")
    shards: int = Field(1, ge=1, le=64, description="Number of operators that share the namespaces by their hash.")
    shard: int = Field(0, ge=0, le=63, description="Which of them this one is, from 0.")
    workers: int = Field(8, ge=1, le=64, description="StreamJobs that are looked at at once.")
    resync_seconds: float = Field(300.0, ge=1, description="By when every StreamJob is looked at again.")
    poll_seconds: float = Field(30.0, ge=0.2, description="How often a settled driver is asked for its progress.")
    poll_settling_seconds: float = Field(2.0, ge=0.2, description="How often a driver that starts is asked.")
    progress_url: str = Field(
        "http://{address}:4040/progress",
        description="Where drivers answer; `{address}`, `{namespace}` and `{name}` are filled in.",
    )
    starts_per_second: float = Field(10.0, gt=0, description="Drivers started in a second at most, in the long run.")
    starts_burst: int = Field(20, ge=1, description="Drivers started at once at most.")
    health_port: int = Field(8080, ge=0, le=65535, description="Port of /healthz, /readyz and /metrics; 0 picks one.")
    image: str = Field("tickloom/stream:0.1.0", description="Image of drivers and executors.")
    image_pull_secrets: str = Field("", description="Secrets to pull it with, by commas.")
    service_account: str = Field("default", description="Service account of driver pods; they get no token of it.")
    spark_service_account: str = Field(
        "tickloom-driver", description="Service account of SparkApplications' drivers, which make executor pods."
    )
    kafka: str | None = Field("kafka:9092", description="Kafka bootstrap servers that drivers use by default.")
    kafka_credentials: str = Field(
        "",
        description="Secret of Kafka's credentials in each job's namespace, where a job names neither it nor a Kafka.",
    )
    kafka_certificates: str = Field("", description="Secret with the brokers' authority, `ca.crt`, in the same way.")
    cassandra: str | None = Field("cassandra:9042", description="Cassandra contact points that drivers use by default.")
    cassandra_credentials: str = Field(
        "",
        description="Secret of Cassandra's credentials, where a job names neither it nor a Cassandra, in the same way.",
    )
    cassandra_certificates: str = Field(
        "", description="Secret with the nodes' authority, `ca.crt`, and a client's certificate, in the same way."
    )
    keyspace: str = Field("tickloom", description="Cassandra keyspace that drivers use by default.")
    topic_prefix: str = Field("", description="Put before every topic's name.")
    replication: int = Field(1, ge=1, le=5, description="Replication of topics and keyspace that drivers make.")
    instruments: str = Field(
        "", description="ConfigMap in each job's namespace, whose `instruments.csv` lists further instruments."
    )
    holidays: str = Field("", description="ConfigMap there whose `holidays.csv` corrects the Casablanca calendar.")

    kubeflow: str = Field(
        "", description="Address of Kubeflow Pipelines' API, to retrain models; empty: there is none."
    )
    kubeflow_identity: str = Field("", description="File with the token that is shown to it, read anew each time.")
    kubeflow_authority: str = Field("", description="File with the authority of its certificate, where it is private.")
    kubeflow_namespace: str = Field("", description="Namespace of runs, where Kubeflow is shared by several users.")
    kubeflow_experiment: str = Field("", description="Experiment of runs by its display name; empty: the default one.")
    mlflow: str = Field("", description="Address of MLflow, as runs reach it.")

    @property
    def watched(self) -> tuple[str, ...]:
        """The namespaces that are watched; none means all."""
        return _names(self.namespaces)

    @property
    def pull_secrets(self) -> tuple[str, ...]:
        """The Secrets to pull images with."""
        return _names(self.image_pull_secrets)

    def installation(self) -> Installation:
        """Return what the planner needs of it."""
        return Installation(
            image=self.image,
            service_account=self.service_account,
            spark_service_account=self.spark_service_account,
            kafka=self.kafka,
            cassandra=self.cassandra,
            keyspace=self.keyspace,
            topic_prefix=self.topic_prefix,
            replication=self.replication,
            kafka_secrets=(self.kafka_credentials or None, self.kafka_certificates or None),
            cassandra_secrets=(self.cassandra_credentials or None, self.cassandra_certificates or None),
            image_pull_secrets=self.pull_secrets,
            instruments=self.instruments or None,
            holidays=self.holidays or None,
            kubeflow=self.kubeflow or None,
            mlflow=self.mlflow or None,
        )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))
