// SPDX-License-Identifier: Apache-2.0
/// @file output.hpp The only way to stdout and stderr. Text of files and arguments passes through it, so that
/// no name can colour, move or break what a terminal shows.
#ifndef PTQ_CLI_OUTPUT_HPP
#define PTQ_CLI_OUTPUT_HPP

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace cli {

/// Of a line on stderr, in characters; where it is longer, "..." stands for its middle.
inline constexpr std::size_t longest_line = 2000;

/// Prints nothing from here on, or does so again.
void be_quiet(bool is_quiet);

/// Lines on stdout.
void print(std::string_view lines);

/// On stdout, indented; control characters are escaped in it.
void print_json(const nlohmann::json& value);

/// Why not all that was printed has arrived; empty if it has.
std::string print_failure();

/// "ptq: <kind>: <text>" on stderr. The kind is error, warning, note or interrupted.
void say(std::string_view kind, std::string_view text);

/// Rewrites the line of a terminal that shows how far a run is; an empty text erases it.
void show_progress(std::string_view text);

}  // namespace cli

#endif  // PTQ_CLI_OUTPUT_HPP
