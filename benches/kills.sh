#!/usr/bin/env bash
# The long kill run, with what it ran on. About five minutes:
#
#     benches/kills.sh > benches/results/kills-$(date +%F).txt
#
# The variables below, if they are set, say otherwise; tests/it/kills/mod.rs explains them.
set -euo pipefail
cd "$(dirname "$0")/.."

export CROSSDOCK_KILLS="${CROSSDOCK_KILLS:-200}"
export CROSSDOCK_SERVER_KILLS="${CROSSDOCK_SERVER_KILLS:-50}"
export CROSSDOCK_KILL_EVENTS="${CROSSDOCK_KILL_EVENTS:-20000}"
export CROSSDOCK_KILL_SEED="${CROSSDOCK_KILL_SEED:-$RANDOM}"
# What is missing is a failure.
export CI=true

postgres="$(command -v postgres || printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -V | tail -n 1)"
commit="$(git rev-parse --short=12 HEAD)"
git diff --quiet HEAD -- src tests Cargo.toml Cargo.lock || commit="$commit, and changes"

cargo test --locked --quiet --test it --no-run 2>/dev/null

cat <<END
command: CROSSDOCK_KILLS=$CROSSDOCK_KILLS CROSSDOCK_SERVER_KILLS=$CROSSDOCK_SERVER_KILLS \
CROSSDOCK_KILL_EVENTS=$CROSSDOCK_KILL_EVENTS CROSSDOCK_KILL_SEED=$CROSSDOCK_KILL_SEED cargo test --test it kills
commit:  $commit
machine: $(nproc) cores of $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n 1), \
$(awk '/^MemTotal/ {printf "%.1f GiB", $2 / 1048576}' /proc/meminfo), $(uname -sr), $("$postgres" --version)
profile: test, not optimised
date:    $(date -u +%FT%TZ)

END
cargo test --locked --quiet --test it kills 2>&1
