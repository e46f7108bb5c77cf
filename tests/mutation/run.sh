#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Do the tests notice small faults? See mutation.py, whose arguments this takes.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec tests/support/with_venv.sh "${PTQ_VENV:-build/venv}" universalmutator==1.14.1 tests/mutation/mutation.py "$@"
