#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# with_venv.sh DIR "REQUIREMENT ..." SCRIPT [ARGUMENT ...]
# Runs a Python script in the virtual environment DIR, with the PyPI packages it requires; "--no-deps" may be among them.
# Exits 1 where one of $PTQ_PROGRAMS is not built, and says how to. Exits 77, which ctest reports as skipped, where the packages cannot be had.
set -euo pipefail
venv=$1 requirements=$2
shift 2

IFS=: read -ra programs <<<"${PTQ_PROGRAMS:-}"
for program in "${programs[@]}"; do
  [[ -e $program ]] || { echo "$program is not built. Run: $PTQ_BUILD" && exit 1; }
done

mkdir -p "$venv"
exec 9>"$venv/.lock"  # tests run side by side: one installs, the others wait
flock 9
if ! grep -qxF -- "$requirements" "$venv/.installed" 2>/dev/null; then
  [[ -x $venv/bin/python ]] || python3 -m venv "$venv"
  # shellcheck disable=SC2086 # words on purpose
  if [[ -n $requirements ]] && ! "$venv/bin/pip" install --quiet --disable-pip-version-check $requirements; then
    echo "skipped: PyPI does not give: $requirements"
    exit 77
  fi
  echo "$requirements" >>"$venv/.installed"
fi
exec 9>&-
exec "$venv/bin/python" "$@"
