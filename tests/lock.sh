#!/usr/bin/env bash
# Resolve pyproject.toml in fresh environments and write requirements*.lock: exact versions,
# direct and transitive, no hashes and no addresses (docs/decisions/0001-lock.md).
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
pip="$folder/venv/bin/python -m pip --disable-pip-version-check"
freeze() { $pip freeze --all --exclude-editable | grep -vE '^(pip|vintage)([=@ ]|$)' | sed -E 's/\+[a-z0-9]+$//' | sort -f; }
markers() {
  sed -E -e 's/^(nvidia-nccl-cu12==.*)$/\1 ; sys_platform == "linux" and platform_machine == "x86_64"/' \
         -e 's/^(uvloop==.*)$/\1 ; sys_platform != "win32"/'
}
$pip install --quiet torch==2.13.0
$pip install --quiet .
freeze > "$folder/run"
{ echo "# Exact versions of everything that runs Vintage, direct and transitive. Written by \`make lock\`."
  markers < "$folder/run"; } > requirements.lock
$pip install --quiet ".[dev]"
freeze > "$folder/all"
{ echo "# Exact versions of what tests and checks Vintage, beside requirements.lock. Written by \`make lock\`."
  comm -13 <(sort "$folder/run") <(sort "$folder/all") | sort -f; } > requirements-dev.lock
