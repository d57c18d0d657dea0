#!/bin/bash
# Becomes what the arguments ask for:
#   driver OPTION... local:///opt/tickloom/main.py ARGUMENT...   Spark on Kubernetes starts a driver so
#   executor                                                     and an executor so, with SPARK_* variables
#   ARGUMENT...                                                  anything else is a verb of `tickloom`
set -euo pipefail

# numba opens its cache for writing, even to read; the image may be read-only
[ -e "$NUMBA_CACHE_DIR" ] || cp -r "$TICKLOOM_CACHE/numba" "$NUMBA_CACHE_DIR"

case "${1:-}" in
  driver)
    # The application starts Java, and not the other way round: so SIGTERM reaches the application, which finishes its
    # micro-batch, and its exit code is the container's.
    shift
    submit=(--deploy-mode client --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS")
    while [[ "${1:-}" == --* ]]; do
      [ "$1" = --class ] || submit+=("$1" "$2")
      shift 2
    done
    export PYSPARK_SUBMIT_ARGS="${submit[*]@Q} pyspark-shell"
    exec python "${1#local://}" "${@:2}"
    ;;
  executor)
    mapfile -t options < <(env | grep '^SPARK_JAVA_OPT_' | sort -t_ -k4 -n | cut -d= -f2-)
    exec java "${options[@]}" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" \
      -cp "${SPARK_CONF_DIR:-$SPARK_HOME/conf}:$SPARK_HOME/jars/*:${SPARK_EXTRA_CLASSPATH:-}" \
      org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
      --driver-url "$SPARK_DRIVER_URL" \
      --executor-id "$SPARK_EXECUTOR_ID" \
      --cores "$SPARK_EXECUTOR_CORES" \
      --app-id "$SPARK_APPLICATION_ID" \
      --hostname "$SPARK_EXECUTOR_POD_IP" \
      --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" \
      --podName "$SPARK_EXECUTOR_POD_NAME"
    ;;
  *)
    exec tickloom "$@"
    ;;
esac
