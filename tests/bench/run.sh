#!/usr/bin/env bash
# Speed beside named peers, as one table; `make bench` calls this. The peers live in an environment
# of their own (.venv-bench, requirements-bench.lock).
set -euo pipefail
cd "$(dirname "$0")/../.."
peers=.venv-bench
if [ ! "$peers/.installed" -nt requirements-bench.lock ]; then
  echo "creating $peers for the peers (about a minute the first time)" >&2
  .venv/bin/python -m venv "$peers"
  "$peers/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements-bench.lock
  touch "$peers/.installed"
fi
# Both sides keep the memory that they once got: on a virtual machine a page that the host hands out
# anew can cost more than the work on it, which drowned the rows of a million candles in noise.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=$((1 << 40))
exec .venv/bin/python -m tests.bench.bench "$peers/bin/python"
