#!/usr/bin/env bash
# What an old and a hindered database does to PostgreSQL's speed, with what it ran on: a snapshot that somebody holds for ten minutes
# while events are published and delivered, and five million deliveries of history beside none. About an hour on an idle machine, and
# 20 GiB of disk:
#
#     benches/aged.sh > benches/results/aged-$(date +%F).txt
#
# CROSSDOCK_AGED_PINNED says for how many seconds the snapshot is held, CROSSDOCK_AGED_ROWS how many deliveries there are.
set -euo pipefail
cd "$(dirname "$0")/.."

postgres="$(command -v postgres || printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -V | tail -n 1)"
commit="$(git rev-parse --short=12 HEAD)"
git diff --quiet HEAD -- src benches Cargo.toml Cargo.lock || commit="$commit, and changes"

cargo bench --locked --quiet --bench throughput --no-run 2>/dev/null

cat <<END
commit:  $commit
machine: $(nproc) cores of $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n 1), \
$(awk '/^MemTotal/ {printf "%.1f GiB", $2 / 1048576}' /proc/meminfo), $(uname -sr), $("$postgres" --version)
date:    $(date -u +%FT%TZ)
END
run() {
    printf '\n$ cargo bench --bench throughput -- %s\n' "$*"
    cargo bench --locked --quiet --bench throughput -- "$@"
}
run --store postgres --table pinned --pinned "${CROSSDOCK_AGED_PINNED:-600}" --pace 50
run --store postgres --table history --rows "${CROSSDOCK_AGED_ROWS:-5000000}"
