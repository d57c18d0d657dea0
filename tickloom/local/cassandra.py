"""A single Cassandra node: its settings, its command, its readiness."""

import shutil
from pathlib import Path

import yaml

from tickloom.errors import TickloomError
from tickloom.files import write_whole
from tickloom.local.java import Java
from tickloom.local.ports import HOST, answers
from tickloom.local.process import marker

PORTS = ("cassandra", "cassandra_storage", "cassandra_storage_tls")
HEAP = ["-Xms896m", "-Xmx896m", "-XX:MaxDirectMemorySize=320m", "-Xss256k"]
COLLECTOR = [
    "-XX:+UseG1GC", "-XX:+ParallelRefProcEnabled", "-XX:MaxGCPauseMillis=200", "-XX:+UseStringDeduplication",
]  # fmt: skip
# What Cassandra reaches inside of Java 17, as its own jvm17-server.options has it.
OPENED = [
    *(f"--add-exports={name}=ALL-UNNAMED" for name in (
        "java.base/jdk.internal.misc", "java.base/java.lang.ref", "java.base/jdk.internal.ref", "java.base/sun.nio.ch",
        "java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry", "java.rmi/sun.rmi.server",
        "java.sql/java.sql", "jdk.unsupported/sun.misc",
    )),
    *(f"--add-opens={name}=ALL-UNNAMED" for name in (
        "java.base/java.io", "java.base/java.lang", "java.base/java.lang.module", "java.base/java.lang.reflect",
        "java.base/java.nio", "java.base/java.util", "java.base/java.util.concurrent",
        "java.base/java.util.concurrent.atomic", "java.base/jdk.internal.loader", "java.base/jdk.internal.math",
        "java.base/jdk.internal.module", "java.base/jdk.internal.ref", "java.base/jdk.internal.reflect",
        "java.base/jdk.internal.util.jar", "java.base/sun.nio.ch", "jdk.management/com.sun.management.internal",
    )),
]  # fmt: skip
LOGBACK = """<?xml version="1.0" encoding="UTF-8"?>
<configuration>
  <appender name="file" class="ch.qos.logback.core.rolling.RollingFileAppender">
    <file>{log}</file>
    <rollingPolicy class="ch.qos.logback.core.rolling.FixedWindowRollingPolicy">
      <fileNamePattern>{log}.%i</fileNamePattern><minIndex>1</minIndex><maxIndex>3</maxIndex>
    </rollingPolicy>
    <triggeringPolicy class="ch.qos.logback.core.rolling.SizeBasedTriggeringPolicy">
      <maxFileSize>10MB</maxFileSize>
    </triggeringPolicy>
    <encoder><pattern>[%d{{ISO8601}}] %p %m [%c]%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="file"/></root>
</configuration>
"""


def folder(home: Path) -> Path:
    """Return the folder of everything that the node stores."""
    return home / "cassandra" / "data"


def first_start(home: Path) -> Path:
    """Return the mark that stands from before the first start until the node answered once."""
    return home / "cassandra" / "first-start"


def settings_of(home: Path, ports: dict[str, int]) -> dict[str, object]:
    """Return the node's cassandra.yaml."""
    native, storage, storage_tls = (ports[name] for name in PORTS)
    data = folder(home)
    return {
        "cluster_name": "tickloom",
        "num_tokens": 4,
        "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
        "endpoint_snitch": "GossipingPropertyFileSnitch",
        "seed_provider": [
            {
                "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                "parameters": [{"seeds": f"{HOST}:{storage}"}],
            }
        ],
        "auto_bootstrap": False,
        "listen_address": HOST,
        "rpc_address": HOST,
        "storage_port": storage,
        "ssl_storage_port": storage_tls,
        "native_transport_port": native,
        "start_native_transport": True,
        "data_file_directories": [str(data / "tables")],
        "commitlog_directory": str(data / "commitlog"),
        "saved_caches_directory": str(data / "saved_caches"),
        "hints_directory": str(data / "hints"),
        "cdc_raw_directory": str(data / "cdc_raw"),
        "commitlog_sync": "periodic",
        "commitlog_sync_period": "1000ms",
        "commitlog_segment_size": "32MiB",
        "commitlog_total_space": "512MiB",
        "disk_failure_policy": "stop",
        "commit_failure_policy": "stop",
        # A dropped or truncated table leaves no copy: on a laptop it would fill the disk unseen.
        "auto_snapshot": False,
        "memtable": {"configurations": {"default": {"inherits": "trie"}, "trie": {"class_name": "TrieMemtable"}}},
        "memtable_allocation_type": "offheap_objects",
        "memtable_heap_space": "192MiB",
        "memtable_offheap_space": "192MiB",
        "file_cache_size": "64MiB",
        "networking_cache_size": "64MiB",
        "disk_access_mode": "mmap_index_only",
        "concurrent_reads": 16,
        "concurrent_writes": 32,
        "concurrent_compactors": 1,
        "compaction_throughput": "64MiB/s",
        "batch_size_warn_threshold": "64KiB",
        "batch_size_fail_threshold": "640KiB",
        "user_defined_functions_enabled": False,
    }


def prepare(home: Path, ports: dict[str, int]) -> str | None:
    """Write the node's configuration, settle its data folder, and return what had to be done for that.

    Raises
    ------
    TickloomError
        The data folder lacks the node's own tables.
    """
    done = settle(home)
    conf = home / "cassandra" / "conf"
    write_whole(conf / "cassandra.yaml", yaml.safe_dump(settings_of(home, ports), sort_keys=False))
    write_whole(conf / "cassandra-rackdc.properties", "dc=dc1\nrack=rack1\n")
    write_whole(conf / "logback.xml", LOGBACK.format(log=home / "logs" / "cassandra.log"))
    return done


def settle(home: Path) -> str | None:
    """Bring the data folder into a state that a start can take; return what was done, None if nothing had to be.

    Raises
    ------
    TickloomError
        The folder holds tables of the user's, but not those of the node itself.
    """
    data = folder(home)
    done = None
    if inspect(home):
        aside = home / "cut-off"
        shutil.rmtree(aside, ignore_errors=True)  # of the time before; it never held anything of the user's
        data.rename(aside)
        done = f"Cassandra's first start was cut off, so what it had made was moved to {aside} and it starts anew"
    if not data.exists():
        write_whole(first_start(home), "")
        data.mkdir(parents=True)
    return done


def inspect(home: Path) -> bool:
    """Say whether the data folder is but the remains of a first start that was cut off before the node answered.

    Raises
    ------
    TickloomError
        The folder holds tables of the user's, but not those of the node itself.
    """
    tables = folder(home) / "tables"
    keyspaces = {entry.name for entry in tables.iterdir()} if tables.is_dir() else set()
    own = {name for name in keyspaces if not name.startswith("system")}
    if own and not keyspaces >= {"system", "system_schema"}:
        raise TickloomError(
            f"Cassandra's data folder {folder(home)} holds {', '.join(sorted(own))} but not the node's own tables, so "
            f"it was copied half or damaged: put it back whole, or `tickloom up --reset --home {home}` moves all data "
            "aside and starts anew"
        )
    return first_start(home).exists() and not own and folder(home).exists()


def command(home: Path, java: Java, jars: list[Path]) -> list[str]:
    """Return the node's command line."""
    agent = next(jar for jar in jars if ".jamm-" in jar.name)
    conf = home / "cassandra" / "conf"
    return [
        str(java.path), f"-javaagent:{agent}", *HEAP, *COLLECTOR, marker(home, "cassandra"), *OPENED,
        "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData", "-Djava.awt.headless=true",
        "-Djava.net.preferIPv4Stack=true", "-Djdk.attach.allowAttachSelf=true",
        "-Dio.netty.tryReflectionSetAccessible=true", "-Dio.netty.allocator.maxOrder=11",
        f"-Djava.io.tmpdir={home / 'tmp'}", f"-Djna.tmpdir={home / 'tmp'}",
        f"-Dcassandra.config={(conf / 'cassandra.yaml').as_uri()}", f"-Dcassandra.storagedir={folder(home)}",
        f"-Dlogback.configurationFile={conf / 'logback.xml'}", "-Dcassandra-foreground=yes",
        # One node alone waits for no other.
        "-Dcassandra.ring_delay_ms=100", "-Dcassandra.skip_wait_for_gossip_to_settle=0",
        "-Dcassandra.superuser_setup_delay_ms=0", "-Dcassandra.shutdown_announce_in_ms=0",
        "-cp", ":".join([str(conf), *map(str, jars)]), "org.apache.cassandra.service.CassandraDaemon",
    ]  # fmt: skip


def ready(ports: dict[str, int]) -> bool:
    """Say whether the node answers a query."""
    if not answers(ports["cassandra"]):
        return False
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
    from cassandra.connection import ConnectionException
    from cassandra.policies import RoundRobinPolicy

    cluster = Cluster(
        [HOST],
        port=ports["cassandra"],
        protocol_version=5,
        execution_profiles={EXEC_PROFILE_DEFAULT: ExecutionProfile(RoundRobinPolicy())},
        connect_timeout=10,
        schema_metadata_enabled=False,
        token_metadata_enabled=False,
    )
    try:
        session = cluster.connect()
        return session.execute("SELECT release_version FROM system.local", timeout=10).one() is not None
    except (NoHostAvailable, ConnectionException, OSError):
        return False
    finally:
        cluster.shutdown()


def answered(home: Path) -> None:
    """Note that the node answered once, so its data counts from now on."""
    first_start(home).unlink(missing_ok=True)
