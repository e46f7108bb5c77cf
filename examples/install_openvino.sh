# SPDX-License-Identifier: Apache-2.0
# install_openvino <folder>: puts OpenVINO into a virtual environment there: its PyPI package has the headers, libraries and
# CMake files that the command is built with. Sets openvino_dir for -DOpenVINO_DIR; fails where the package cannot be had.
# Sourced by quickstart.sh and tests/run.sh.
install_openvino() {
  local package=openvino==2026.4.1 # tested; the command's libraries stay in the folder
  [[ -x $1/bin/python ]] || python3 -m venv "$1" || return 1
  if ! grep -qxF "$package" "$1/.installed" 2>/dev/null; then
    echo "Installing $package into $1"
    "$1/bin/pip" install --quiet --disable-pip-version-check --no-deps "$package" || return 1
    echo "$package" >"$1/.installed"
  fi
  openvino_dir=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')/openvino/cmake
}
