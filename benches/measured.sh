# What the scripts of the throughput benchmark share; they read it with `source`. Says what is measured, and on what.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

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
