// SPDX-License-Identifier: Apache-2.0
/// @file statistics.hpp Shows what a file of statistics holds.
#ifndef PTQ_CLI_STATISTICS_HPP
#define PTQ_CLI_STATISTICS_HPP

#include <string>

#include "command.hpp"
#include "ptq/artifact/statistics_file.hpp"

namespace cli {

/// A row a layer, or JSON under --json.
void print_statistics(const options& given, const std::string& path,
                      const ptq::stored_statistics& statistics);

}  // namespace cli

#endif  // PTQ_CLI_STATISTICS_HPP
