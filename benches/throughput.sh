#!/usr/bin/env bash
# Every table of the throughput benchmark, with what it ran on. About eight minutes on an idle machine:
#
#     benches/throughput.sh > benches/results/throughput-$(date +%F).txt
source "$(dirname "$0")/measured.sh"

run --store memory
run --store sqlite
run --store postgres
run --store postgres --processes 2 --table throughput
run --store sqlite --table throughput --json
run --store postgres --table throughput --json
