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
exec .venv/bin/python -m tests.bench.bench "$peers/bin/python"
