// SPDX-License-Identifier: Apache-2.0
#include "output.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "ptq/formats/json.hpp"
#include "ptq/text/printable.hpp"
#include "ptq/text/table.hpp"

namespace cli {
namespace {

bool is_quiet = false;

void write(std::FILE* stream, const std::string& text) {
  if (is_quiet) return;
  std::fwrite(text.data(), 1, text.size(), stream);
}

}  // namespace

void be_quiet(bool quiet) {
  is_quiet = quiet;
}

void print(std::string_view lines) {
  write(stdout, ptq::printable_lines(lines));
}

void print_json(const nlohmann::json& value) {
  write(stdout, ptq::dump_json_lines(value));
}

std::string print_failure() {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return {};
  return errno != 0 ? std::strerror(errno) : "an earlier write failed";
}

void say(std::string_view kind, std::string_view text) {
  write(stderr, "ptq: " + std::string(kind) + ": " + ptq::name_text(text, longest_line) + "\n");
}

void show_progress(std::string_view text) {
  write(stderr, "\r\033[K" + ptq::printable(text));
  std::fflush(stderr);
}

}  // namespace cli
