// SPDX-License-Identifier: Apache-2.0
// A build without MPI: a process is alone.
#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>

#include "team.hpp"

namespace cli {

void join_team() {}

std::size_t team_rank() {
  return leader;
}

std::size_t team_size() {
  return 1;
}

void fail_team(const ptq::error& /*error*/, exit_code /*code*/) {}

bool is_called_off() {
  return false;
}

ptq::error called_off() {
  return ptq::error(ptq::errc::stopped, {}, "called off.");
}

ptq::result<void> meet_team() {
  return {};
}

std::string team_failure() {
  return {};
}

ptq::result<void> expect_same(const std::string& /*key*/) {
  return {};
}

ptq::result<void> reduce_statistics(ptq::layer_statistics& /*layers*/) {
  return {};
}

int leave_team(const options& /*given*/, int code) {
  return code;
}

std::string launcher_hint() {
  for (const char* const name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    const char* const found = std::getenv(name);
    const std::string_view count = found == nullptr ? "" : found;
    if (count.empty() || count == "1") continue;
    return " An MPI launcher started " + std::string(count) +
           " processes, but this ptq is built without MPI, so each does all of the work: build it with "
           "-DPTQ_MPI=ON, or give each a share: --shard i/" +
           std::string(count) + ".";
  }
  return {};
}

}  // namespace cli
