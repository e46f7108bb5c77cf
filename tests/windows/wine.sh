#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# wine.sh start|stop WINE FOLDER: starts wine's server with FOLDER as its C: drive and registry, or stops it and removes them
# (700 MB).
set -euo pipefail
export WINEPREFIX=$3 WINEDEBUG=-all WINEDLLOVERRIDES=mscoree,mshtml=
server=$(dirname "$2")/wineserver
[[ -x $server ]] || server=wineserver
if [[ $1 == start ]]; then
  mkdir -p "$WINEPREFIX"
  "$server" --persistent >/dev/null 2>&1
  "$2" wineboot --init >/dev/null 2>&1
else
  "$server" --kill --wait || true
  rm -rf "$WINEPREFIX"
fi
