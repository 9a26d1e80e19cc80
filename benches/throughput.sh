#!/usr/bin/env bash
# Every table of the throughput benchmark, with what it ran on. About eight minutes on an idle machine:
#
#     benches/throughput.sh > benches/results/throughput-$(date +%F).txt
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
run --store memory
run --store sqlite
run --store postgres
run --store postgres --processes 2 --table throughput
run --store sqlite --table throughput --json
run --store postgres --table throughput --json
