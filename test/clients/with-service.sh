#!/usr/bin/env bash
# Runs a command beside a new service, whose address is in ORDERS_URL.
#
#     test/clients/with-service.sh COMMAND [ARGUMENT ...]
set -euo pipefail

data=$(mktemp -d)
bin/orders serve --addr 127.0.0.1:0 --db "$data/orders.db" --processing-time 3s >"$data/out" 2>"$data/log" &
service=$!
trap 'kill "$service" 2>/dev/null || :; wait "$service" || :; rm -rf "$data"' EXIT

until ORDERS_URL=$(grep -om1 'http://[0-9.:]*' "$data/out"); do
	kill -0 "$service" || { cat "$data/log" >&2; exit 1; }
	sleep 0.1
done
export ORDERS_URL

"$@" || { status=$?; tail -n 20 "$data/log" >&2; exit "$status"; }
