// SPDX-License-Identifier: Apache-2.0
// The team of a build with MPI. A process that no launcher started does not touch it.
#include "ptq/engine/mpi.hpp"

#include <unistd.h>

#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "output.hpp"
#include "ptq/engine/all_reduce.hpp"
#include "team.hpp"

namespace cli {
namespace {

struct team {
  ptq::mpi_session session;
  ptq::mpi_group group;
  std::size_t rank = group.rank();
  std::size_t size = group.size();

  std::optional<ptq::error> failed;  // here
  exit_code code = done;
  std::optional<std::size_t> failing;  // the first rank that failed, once all know
  std::string reason;
};

std::unique_ptr<team>& joined() {
  static std::unique_ptr<team> one;
  return one;
}

/// Whether a launcher started this process: MPI_Init takes long, and means something else, without one.
bool is_launched() {
  for (const char* const name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"})
    if (std::getenv(name) != nullptr) return true;
  return false;
}

std::string host() {
  std::string name(HOST_NAME_MAX + 1, '\0');
  if (::gethostname(name.data(), name.size() - 1) != 0) return "an unknown host";
  return name.c_str();
}

/// Waits for all; they know then whether one has failed, and why.
///
/// @return whether none has
bool meet(team& all) {
  if (all.failing) return false;
  // The lowest wins: a rank that failed by itself, then one that was called off, then nobody.
  const bool is_cause = all.failed && all.failed->code != ptq::errc::stopped;
  std::uint64_t lowest = is_cause ? all.rank : all.failed ? all.size + all.rank : 2 * all.size;
  all.group.to_least(std::span(&lowest, 1));
  if (lowest == 2 * all.size) return true;
  all.failing = static_cast<std::size_t>(lowest) % all.size;
  if (all.rank == *all.failing)
    all.reason = "rank " + std::to_string(all.rank) + " of " + std::to_string(all.size) + " on " + host() +
                 ": " + all.failed->what;
  all.group.broadcast(all.reason, *all.failing);
  std::uint64_t tellers = is_cause ? 1 : 0;
  all.group.to_sum(std::span(&tellers, 1));
  all.group.take_told(static_cast<std::size_t>(tellers) - (is_cause ? 1 : 0));
  return false;
}

}  // namespace

void join_team() {
  if (!is_launched()) return;
  joined() = std::make_unique<team>();
  if (joined()->rank != leader) be_quiet(true);
}

std::size_t team_rank() {
  return joined() ? joined()->rank : leader;
}

std::size_t team_size() {
  return joined() ? joined()->size : 1;
}

void fail_team(const ptq::error& error, exit_code code) {
  team& all = *joined();
  if (all.failed) return;
  all.failed = error;
  all.code = code;
  if (error.code != ptq::errc::stopped) all.group.tell_others();
}

bool is_called_off() {
  return is_team() && joined()->group.is_told();
}

ptq::error called_off() {
  return ptq::error(ptq::errc::stopped, {}, "another rank has failed.");
}

ptq::result<void> meet_team() {
  if (!is_team() || meet(*joined())) return {};
  return called_off();
}

std::string team_failure() {
  if (!is_team()) return {};
  meet(*joined());
  return joined()->reason;
}

ptq::result<void> expect_same(const std::string& key) {
  if (!is_team()) return {};
  if (auto met = meet_team(); !met) return met;
  std::string of_leader = key;
  joined()->group.broadcast(of_leader, leader);
  if (key == of_leader) return {};
  return ptq::error(
      ptq::errc::wrong_model, {},
      "this rank reads another specification, model or data, or files of other sizes or times, than "
      "rank 0 does. All must see the same files.");
}

ptq::result<void> reduce_statistics(ptq::layer_statistics& layers) {
  if (!is_team()) return {};
  if (auto met = meet_team(); !met) return met;
  ptq::all_reduce(layers, joined()->group);
  return {};
}

int leave_team(const options& given, int code) {
  if (!joined()) return code;
  team& all = *joined();
  if (code != done)
    fail_team(ptq::error(ptq::errc::unsupported, {}, "it ended with exit code " + std::to_string(code) + "."),
              static_cast<exit_code>(code));
  if (!meet(all)) {
    std::uint64_t codes = all.rank == *all.failing ? static_cast<std::uint64_t>(all.code) : 0;
    all.group.to_sum(std::span(&codes, 1));
    code = static_cast<int>(codes);
    be_quiet(all.rank != *all.failing);
    ptq::error shown = all.failed.value_or(called_off());
    shown.what = all.reason;
    print_error(given, shown);
  }
  joined().reset();
  return code;
}

std::string launcher_hint() {
  return {};
}

}  // namespace cli
