#!/bin/bash
# Whether this container is well, by what process 1 was told to be: a driver that serves /healthz is asked there. An
# executor is Spark's to watch, and a verb like `migrate` ends by itself: these are well as long as they run, and so is
# a `run` that was given no port.
#   healthy.sh [FILE]   FILE holds the command line, by default that of process 1
set -euo pipefail

host=127.0.0.1 port=0 run=
mapfile -d '' -t told <"${1:-/proc/1/cmdline}"
for ((at = 0; at < ${#told[@]}; at++)); do
  case "${told[at]}" in
    run) run=yes ;;
    --host) host=${told[at + 1]} ;;
    --host=*) host=${told[at]#*=} ;;
    --port) port=${told[at + 1]} ;;
    --port=*) port=${told[at]#*=} ;;
  esac
done
[ -n "$run" ] && [ "$port" != 0 ] || exit 0
[ "$host" != 0.0.0.0 ] || host=127.0.0.1

exec 3<>"/dev/tcp/$host/$port"
printf 'GET /healthz HTTP/1.0\r\n\r\n' >&3
answer=$(cat <&3)
printf '%s\n' "${answer##*$'\n'}"
[[ "$answer" == HTTP/1.?' 200 '* ]]
