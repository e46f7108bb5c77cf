// SPDX-License-Identifier: Apache-2.0
/// @file output_file.hpp A file that appears whole or not at all.
#ifndef PTQ_FILE_OUTPUT_FILE_HPP
#define PTQ_FILE_OUTPUT_FILE_HPP

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "ptq/error.hpp"
#include "ptq/file/descriptor.hpp"
#include "ptq/file/path.hpp"
#include "ptq/result.hpp"
#include "ptq/text/printable.hpp"
#include "ptq/text/word_hash.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Why a file could not be written, and what to do about it. `size` is what it would have had.
inline error cannot_write(const std::string& path, int reason, std::uint64_t size = 0) {
  const std::string where = absolute_path(path);
  const std::string folder = folder_of(where);
  const auto because = [&](const std::string& text) { return error(errc::cannot_write, where, text); };
  switch (reason) {
    case ENOSPC: {
      std::error_code unknown;
      const std::filesystem::space_info room = std::filesystem::space(path_of_text(folder), unknown);
      return because("no space is left: the file takes " + std::to_string(size) + " bytes" +
                     (unknown ? "" : ", and " + std::to_string(room.available) + " are free") +
                     ". Free some space, or write to another folder.");
    }
    case quota_used_up:
      return because("the disk quota is used up. Free some space, or write to another folder.");
    case EFBIG:
      return because("the file takes " + std::to_string(size) +
                     " bytes, more than this process may write to one file. Raise the limit (ulimit -f).");
    case EROFS:
      return because("the file system is read-only. Write to another folder.");
    case EACCES:
    case EPERM:
      return because("no permission to write in " + folder + ". Write to another folder.");
    case ENOENT:
      if (is_folder(folder)) return because(folder + " takes no new files. Write to another folder.");
      if (!exists(folder))
        return because("the folder " + folder + " does not exist. Create it, or write to another folder.");
      [[fallthrough]];  // Windows says so of a path through a file
    case ENOTDIR:
      return because(folder + " is not a folder. Write to another one.");
    case EISDIR:
      return because("this is a folder, not a file. Move it away, or write to another folder.");
    case ETXTBSY:
      return because("a program has the older file open. Close it there, or write to another file.");
    default:
      return because("cannot be written: " + system_text(reason));
  }
}

/// A run's own folder (run_folder.hpp), `/out/.ptq-run` say.
inline constexpr std::string_view run_suffix = ".ptq-run";
/// The folder in it of the run's new files.
inline constexpr std::string_view fresh_suffix = ".ptq-run/new";

/// What a folder holds reaches the disk.
inline result<void> sync_folder(const std::string& folder) {
  if (const int reason = flush_folder(folder); reason != 0) return cannot_write(folder, reason);
  return {};
}

/// A name that no other file has had: 16 hexadecimal digits of the time, the process and a count.
inline std::string unused_digits() {
  static std::atomic<std::uint64_t> count = 0;
  word_hash hash;
  hash.add(static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()));
  hash.add(process_number());
  hash.add(count.fetch_add(1));
  return hex_digits(hash.value(), 16);
}

}  // namespace detail

/// Written beside its final place under a name that nobody has used, `.ptq-<16 digits>.partial`, then flushed
/// to the disk and renamed. Until `commit` an older file of that name stays as it is, and its permissions
/// pass to the new one; without `commit` the destructor removes the partial. What is there is never opened:
/// partials are created exclusively. One that a killed process leaves behind stays; a `run_folder` (which
/// also makes several files appear together) removes those of its own.
///
/// Interrupts: nothing is registered and no signal is touched. A command sets a flag in its handler of SIGINT
/// and stops at the next layer (a sink that returns `stopped`), and the destructors clean up. Who must leave
/// a handler at once may unlink `partial_path()`.
class output_file {
 public:
  /// @return cannot_write: missing or read-only folder, a folder of that name
  static result<output_file> create(const std::string& path) {
    if (is_folder(path)) return detail::cannot_write(path, EISDIR);
    constexpr int most_tries = 16;
    for (int i = 0; i < most_tries; ++i) {
      const std::string partial = folder_of(path) + "/.ptq-" + detail::unused_digits() + ".partial";
      detail::descriptor file = detail::create_new(partial);
      if (file) return output_file(path, partial, std::move(file));
      if (errno != EEXIST) break;
    }
    return detail::cannot_write(path, errno);
  }

  output_file(output_file&& other) noexcept
      : path_(std::move(other.path_)),
        partial_(std::exchange(other.partial_, {})),
        descriptor_(std::move(other.descriptor_)),
        size_(other.size_),
        written_(other.written_.load()),
        failure_(other.failure_.load()) {}
  output_file& operator=(output_file&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(partial_, other.partial_);
    std::swap(descriptor_, other.descriptor_);
    std::swap(size_, other.size_);
    written_ = other.written_.exchange(written_);
    failure_ = other.failure_.exchange(failure_);
    return *this;
  }
  ~output_file() {
    descriptor_ = detail::descriptor();  // Windows does not remove open files
    if (!partial_.empty()) detail::remove_file(partial_);
  }

  const std::string& path() const noexcept { return path_; }
  const std::string& partial_path() const noexcept { return partial_; }
  std::uint64_t size() const noexcept { return size_; }

  /// Sets the size and takes the room on the disk now, so that a full one shows before the work is done.
  result<void> resize(std::uint64_t size) {
    if (detail::exceeds_limit(size)) return cannot_write(EFBIG, size);
    int reason = size > size_ ? detail::reserve(descriptor_, size) : 0;
    if (reason == 0) reason = detail::set_size(descriptor_, size);
    if (reason != 0) return cannot_write(reason, size);
    size_ = size;
    return {};
  }

  /// Appends.
  result<void> write(std::span<const std::byte> bytes) { return write_at(size_, bytes); }
  result<void> write(std::string_view text) { return write(std::as_bytes(std::span(text))); }

  /// Writes anywhere; the file grows as needed. Where it need not, several threads may write at once. After
  /// one that fails none is tried any more.
  result<void> write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
    const std::uint64_t end = (std::max)(size_, offset + bytes.size());
    if (failure_ == 0)
      if (const int reason = try_write(offset, bytes, end); reason != 0) failure_ = reason;
    if (failure_ != 0) return cannot_write(failure_, end);
    if (end > size_) size_ = end;
    const std::uint64_t before = written_.fetch_add(bytes.size(), std::memory_order_relaxed);
    if (before / flush_every != (before + bytes.size()) / flush_every) begin_flush();
    return {};
  }

  /// The error of a write that failed before, by any thread: what else is written is of no use.
  result<void> check() const {
    if (const int reason = failure_; reason != 0) return cannot_write(reason, size_);
    return {};
  }

  /// Lets the disk begin with what is written so far, so that a flush waits less. A large file does so by
  /// itself while it is written.
  void begin_flush() noexcept { detail::begin_flush(descriptor_); }

  /// Flushes and renames: from here on the file is at its path, whole. Call it once. Among the new files of a
  /// run it only begins to flush: `run_folder::commit` waits for all of them at once.
  result<void> commit() {
    if (auto sound = check(); !sound) return sound;
    const std::string folder = folder_of(path_);
    const bool is_in_run = folder.ends_with(detail::run_suffix);
    const bool is_fresh = folder.ends_with(detail::fresh_suffix);
    detail::take_mode(partial_, path_);
    if (is_fresh) begin_flush();
    if (const int reason = is_fresh ? 0 : detail::flush(descriptor_); reason != 0)
      return cannot_write(reason, size_);
    descriptor_ = detail::descriptor();  // Windows does not rename open files
    if (const int reason = detail::move_over(partial_, path_); reason != 0)
      return cannot_write(reason, size_);
    partial_.clear();
    if (is_fresh || is_in_run) return {};           // the run syncs its folders itself
    (void)detail::sync_folder(folder).has_value();  // the file is there, whatever comes of it
    return {};
  }

  /// As above, but under another name in the same folder: one that depends on what was written, say.
  result<void> commit_as(std::string_view name) {
    path_ = folder_of(path_) + "/" + std::string(name);
    return commit();
  }

 private:
  output_file(std::string path, std::string partial, detail::descriptor file)
      : path_(std::move(path)), partial_(std::move(partial)), descriptor_(std::move(file)) {}

  int try_write(std::uint64_t offset, std::span<const std::byte> bytes, std::uint64_t end) const noexcept {
    return detail::exceeds_limit(end) ? EFBIG : detail::write_at(descriptor_, offset, bytes);
  }

  error cannot_write(int reason, std::uint64_t size) const {
    return detail::cannot_write(path_, reason, size);
  }

  /// The disk is busy while the rest is computed, and is asked rarely.
  static constexpr std::uint64_t flush_every = std::uint64_t{1} << 23;

  std::string path_;
  std::string partial_;  // empty: none to remove
  detail::descriptor descriptor_;
  std::uint64_t size_ = 0;
  std::atomic<std::uint64_t> written_ = 0;  // how much in all, by any thread
  std::atomic<int> failure_ = 0;            // why a write failed
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FILE_OUTPUT_FILE_HPP
