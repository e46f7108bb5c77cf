// SPDX-License-Identifier: Apache-2.0
/// @file pending_artifact.hpp An artifact that is written, whole, and does not appear yet.
#ifndef PTQ_FORMATS_PENDING_ARTIFACT_HPP
#define PTQ_FORMATS_PENDING_ARTIFACT_HPP

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ptq/file/output_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// Move-only. Without `commit` nothing of it stays.
class pending_artifact {
 public:
  /// @param bytes of its tensors: those that are kept, codes and their scales
  /// @param notes what a user should know of it
  explicit pending_artifact(std::uint64_t bytes, std::vector<std::string> notes = {})
      : bytes_(bytes), notes_(std::move(notes)) {}

  /// The file that names the others comes last.
  ///
  /// @param name that it appears under, in the folder of its path
  void add(output_file file, std::string name) { files_.push_back({std::move(file), std::move(name)}); }

  std::uint64_t bytes() const noexcept { return bytes_; }
  const std::vector<std::string>& notes() const noexcept { return notes_; }

  /// Of its files, in the order in which they appear.
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const named_file& one : files_) names.push_back(one.name);
    return names;
  }

  /// Makes the files appear (`output_file::commit`), one after the other: a `run_folder` makes them appear
  /// together. Call it once.
  ///
  /// @return cannot_write
  result<void> commit() {
    for (named_file& one : files_)
      if (auto done = one.file.commit_as(one.name); !done) return done;
    return {};
  }

 private:
  struct named_file {
    output_file file;
    std::string name;
  };

  std::vector<named_file> files_;
  std::uint64_t bytes_;
  std::vector<std::string> notes_;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_PENDING_ARTIFACT_HPP
