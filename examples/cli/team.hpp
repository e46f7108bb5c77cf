// SPDX-License-Identifier: Apache-2.0
/// @file team.hpp The processes that mpirun started together, each of which does a part of a run. Without it,
/// or in a build without MPI, a process is a team of its own.
#ifndef PTQ_CLI_TEAM_HPP
#define PTQ_CLI_TEAM_HPP

#include <cstddef>
#include <string>

#include "command.hpp"
#include "ptq/error.hpp"
#include "ptq/model/calibration.hpp"
#include "ptq/result.hpp"

namespace cli {

/// Of the rank that prints and writes what there is one of.
inline constexpr std::size_t leader = 0;

/// Finds the others, if there are any. Only the leader prints from here on.
void join_team();

std::size_t team_rank();
std::size_t team_size();
inline bool is_team() {
  return team_size() > 1;
}

/// Keeps the error of this rank, which ends the run of all: they are told, and the first of those that fail
/// prints its error, with its rank and host, in `leave_team`.
void fail_team(const ptq::error& error, exit_code code);

/// Whether another rank has failed: there is nothing left to work for.
bool is_called_off();
ptq::error called_off();

/// Waits for all others. Each rank that has not failed calls it as often, and at the same places.
///
/// @return called off, if one has failed
ptq::result<void> meet_team();

/// What ended the run, in words. All ranks call it, or `leave_team`.
std::string team_failure();

/// Whether all ranks read the same specification and model.
///
/// @param key tells them apart
/// @return wrong_model, or called off
ptq::result<void> expect_same(const std::string& key);

/// The statistics of all ranks together.
///
/// @return called off, if one has failed
ptq::result<void> reduce_statistics(ptq::layer_statistics& layers);

/// Waits for all, and ends the team.
///
/// @return the exit code of all: of the first that failed, or `code`
int leave_team(const options& given, int code);

/// What to do where processes that mpirun started are in each other's way; else nothing.
std::string launcher_hint();

}  // namespace cli

#endif  // PTQ_CLI_TEAM_HPP
