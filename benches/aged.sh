#!/usr/bin/env bash
# What an old and a hindered database does to PostgreSQL's speed, with what it ran on: a snapshot that somebody holds for ten minutes
# while events are published and delivered, and five million deliveries of history beside none. About an hour on an idle machine, and
# 20 GiB of disk:
#
#     benches/aged.sh > benches/results/aged-$(date +%F).txt
#
# CROSSDOCK_AGED_PINNED says for how many seconds the snapshot is held, CROSSDOCK_AGED_ROWS how many deliveries there are.
source "$(dirname "$0")/measured.sh"

run --store postgres --table pinned --pinned "${CROSSDOCK_AGED_PINNED:-600}" --pace 50
run --store postgres --table history --rows "${CROSSDOCK_AGED_ROWS:-5000000}"
