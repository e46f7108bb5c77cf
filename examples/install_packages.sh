# SPDX-License-Identifier: Apache-2.0
# install_packages <debian package>...: installs what is missing. Without root it prints the one apt line and exits 1.
# Sourced by quickstart.sh and tests/run.sh.
install_packages() {
  local package missing=()
  command -v dpkg-query >/dev/null || return 0  # not Debian: CMake says what it does not find
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    echo "Missing Debian packages. Install them, then run this again:"
    echo "  sudo apt-get install --no-install-recommends ${missing[*]}"
    exit 1
  fi
  echo "Installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
