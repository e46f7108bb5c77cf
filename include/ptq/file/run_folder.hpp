// SPDX-License-Identifier: Apache-2.0
/// @file run_folder.hpp Files of one run that appear together or not at all, and one run at a time.
///
/// A run writes into a folder of its own, `<folder>/.ptq-run`, where nobody looks (for a single file into
/// `.<name>.ptq-run` beside it):
///
///     lock  locked (flock) for as long as the run lives, however it ends; says who holds it
///     new/  the files of the run, each whole (`output_file`)
///     old/  those that they replace, until the run is committed
///     plan  their names, written before the first of them changes place
///
/// `commit` goes through these states, each on the disk before the next begins. Whatever need not wait for
/// each other goes to the disk together: a disk takes as long for one small file as for many.
///
///     0  everything in new/ is on the disk                              visible: the old run
///     1  plan is written                                                the old run
///     2  old/ has every older file: the main ones by a second name,     the old run, then its main files
///        those about them moved                                         alone
///     3  the main files are moved into place, then those about them     new main files, then all
///     4  the last file is moved into place: the run is COMMITTED        the new run
///     5  files that nothing points to any more, old/ and plan go        the new run
///
/// Who takes the lock next settles what a dead run has left. Is there a plan, and the last file still in
/// new/, then the run died in 1 to 3 and is undone: what was moved goes back, each step from a state of this
/// table to an earlier one, so that this may be cut short and begun again, too. Is the last file gone from
/// new/, the run died in 4 or 5, and 5 is done. Without a plan nothing has changed place. An error in 1 to 4
/// is settled in the same way by the run itself. So the folder holds one run, whole, old or new; and even
/// before it is settled no file lies beside one of another run. The last file says so to whoever only reads:
/// `status.json` is RUNNING from the beginning to 4.
#ifndef PTQ_FILE_RUN_FOLDER_HPP
#define PTQ_FILE_RUN_FOLDER_HPP

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/file/output_file.hpp"
#include "ptq/file/path.hpp"
#include "ptq/file/posix.hpp"
#include "ptq/file/posix/descriptor.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// Which files of a run appear, by name and in order. All but `stale` have been written into `path_of(name)`.
struct run_files {
  std::vector<std::string> main;   ///< what others read: replaced in place, so that one is always there
  std::vector<std::string> about;  ///< say something about the main files: taken away before those change
  std::string last;                ///< appears when all others are on the disk
  std::vector<std::string> stale;  ///< older files that go when the run is committed
};

/// Who runs here, for those who meet its files: "pid 4711 on build-7 since 2026-11-29 19:40:12 UTC".
inline std::string this_process() {
  std::string host(HOST_NAME_MAX + 1, '\0');
  if (::gethostname(host.data(), host.size() - 1) != 0) host.clear();
  host.resize(::strnlen(host.data(), host.size()));
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  char since[] = "0000-00-00 00:00:00";
  if (::gmtime_r(&now, &utc) != nullptr) std::strftime(since, sizeof since, "%Y-%m-%d %H:%M:%S", &utc);
  return "pid " + std::to_string(::getpid()) + " on " + host + " since " + since + " UTC";
}

namespace detail {

inline constexpr std::string_view run_mark = "ptq run: ";

/// 0: nothing of this name can be seen.
inline std::uint64_t inode_of(const std::string& path) noexcept {
  struct stat there{};
  return ::lstat(path.c_str(), &there) == 0 ? static_cast<std::uint64_t>(there.st_ino) : 0;
}

/// True if there surely is nothing of this name.
inline bool is_missing(const std::string& path) noexcept {
  struct stat there{};
  return ::lstat(path.c_str(), &there) != 0 && errno == ENOENT;
}

inline bool is_real_folder(const std::string& path) noexcept {
  struct stat there{};
  return ::lstat(path.c_str(), &there) == 0 && S_ISDIR(there.st_mode);
}

/// True if the open file still is the one with this path.
inline bool is_named(const descriptor& file, const std::string& path) noexcept {
  struct stat open{};
  struct stat named{};
  return ::fstat(file.get(), &open) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

/// The first bytes of a small file.
inline std::string begin_of(const descriptor& file) {
  std::string text(1 << 12, '\0');
  const ssize_t size = ::pread(file.get(), text.data(), text.size(), 0);
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text;
}

/// The plan of a run: a line a file, as "main <inode> <name>". The inode tells the run's file from one that
/// someone else has put there since.
struct run_plan {
  struct entry {
    std::string kind;
    std::uint64_t inode = 0;
    std::string name;
  };
  std::vector<entry> entries;

  std::vector<std::string> names(std::string_view kind) const {
    std::vector<std::string> found;
    for (const entry& one : entries)
      if (one.kind == kind) found.push_back(one.name);
    return found;
  }

  std::string text() const {
    std::string lines;
    for (const entry& one : entries)
      lines += one.kind + " " + std::to_string(one.inode) + " " + one.name + "\n";
    return lines;
  }

  /// Lines that no run writes are passed over: a name is that of a file in the folder.
  static run_plan parse(std::string_view text) {
    run_plan plan;
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix((std::min)(text.size(), line.size() + 1));
      const std::size_t first = line.find(' ');
      constexpr std::size_t none = std::string_view::npos;
      const std::size_t second = first == none ? none : line.find(' ', first + 1);
      if (second == none) continue;
      entry one{std::string(line.substr(0, first)), 0, std::string(line.substr(second + 1))};
      std::from_chars(line.data() + first + 1, line.data() + second, one.inode);
      const bool is_name =
          !one.name.empty() && one.name != "." && one.name != ".." && one.name.find('/') == std::string::npos;
      if (is_name) plan.entries.push_back(std::move(one));
    }
    return plan;
  }
};

}  // namespace detail

/// Holds the lock. What is written to `path_of` appears with `commit`; without it the destructor removes it.
/// Everything in the run's own folder (`own_path`) goes sooner or later: no file to be read belongs there.
class run_folder {
 public:
  /// @param folder must exist
  /// @param file   the only file of the run; nothing if it writes several. Runs that write other files into
  ///               the folder do not meet.
  /// @return in_use, with who holds it; cannot_write
  static result<run_folder> open(const std::string& folder, std::string_view file = {}) {
    const std::string own = own_path(folder, file);
    auto lock = take(own, file.empty() ? folder : in(folder, file));
    if (!lock) return lock.error();
    run_folder run(folder, own, *std::move(lock));
    if (auto settled = run.settle(); !settled) return run.seen_from_outside(settled.error());
    for (const std::string& part : {run.fresh({}), run.older({})})
      if (::mkdir(part.c_str(), 0777) != 0) return run.seen_from_outside(detail::cannot_write(part, errno));
    return run;
  }

  /// The run's own folder. It need not exist.
  static std::string own_path(const std::string& folder, std::string_view file = {}) {
    return in(folder, file.empty() ? std::string(detail::run_suffix)
                                   : "." + std::string(file) + std::string(detail::run_suffix));
  }

  run_folder(run_folder&& other) noexcept
      : folder_(std::move(other.folder_)),
        own_(std::exchange(other.own_, {})),
        lock_(std::move(other.lock_)) {}
  run_folder& operator=(run_folder&& other) noexcept {
    std::swap(folder_, other.folder_);
    std::swap(own_, other.own_);
    std::swap(lock_, other.lock_);
    return *this;
  }
  ~run_folder() {
    if (own_.empty() || !settle()) return;  // what cannot be settled now the next run settles
    if (names_in(own_).size() > 1) return;  // nor what cannot be removed: by the lock it knows that it may
    ::unlink(in(own_, "lock").c_str());
    ::rmdir(own_.c_str());
  }

  /// Where a file is to be written that will have this name.
  ///
  /// @return cannot_write: a folder has the name
  result<std::string> path_of(const std::string& name) const {
    if (detail::is_real_folder(visible(name))) return detail::cannot_write(visible(name), EISDIR);
    return fresh(name);
  }

  /// Writes a small file that appears with `commit`.
  ///
  /// @return cannot_write: a folder has the name, and what else there is
  result<void> write(const std::string& name, std::string_view text) const {
    const auto path = path_of(name);
    return path ? write_text(*path, text) : path.error();
  }

  /// An error about a file in the run's own folder, with the name that the file will have.
  error seen_from_outside(error inner) const {
    const std::string own = "/" + std::string(file_name_of(own_));
    for (const std::string& part : {own + "/new", own + "/old", own})
      for (std::string* const text : {&inner.where, &inner.what})
        for (std::size_t at = text->find(part); at != std::string::npos; at = text->find(part, at))
          text->erase(at, part.size());
    return inner;
  }

  /// Makes a small file appear now: what the run says about itself.
  ///
  /// @return cannot_write
  result<void> put(const std::string& name, std::string_view text) {
    const std::string path = in(own_, name);
    if (auto whole = write_text(path, text); !whole) return seen_from_outside(whole.error());
    detail::take_mode(path, visible(name));
    return move(path, visible(name));
  }

  /// Makes the files appear. Call it once. After an error the older files are there as before.
  ///
  /// @return cannot_write
  result<void> commit(const run_files& files) {
    const auto placed = place(files);
    if (placed) {
      remove_stale(files.stale);
      ::unlink(in(own_, "plan").c_str());  // should it come back, the next run removes it
      return {};
    }
    error failed = seen_from_outside(placed.error());
    if (!settle())
      failed.what +=
          " Nor could the files of the run before be put back yet: the next run into this folder does that.";
    return failed;
  }

 private:
  using run_plan = detail::run_plan;

  run_folder(std::string folder, std::string own, detail::descriptor lock)
      : folder_(std::move(folder)), own_(std::move(own)), lock_(std::move(lock)) {}

  static std::string in(const std::string& folder, std::string_view name) {
    return name.empty() ? folder : folder + (folder.ends_with('/') ? "" : "/") + std::string(name);
  }
  std::string visible(std::string_view name) const { return in(folder_, name); }
  std::string fresh(std::string_view name) const { return in(own_ + "/new", name); }
  std::string older(std::string_view name) const { return in(own_ + "/old", name); }

  /// Makes the run's own folder and locks it. Who has just removed it makes another try necessary.
  static result<detail::descriptor> take(const std::string& own, const std::string& shown) {
    const auto fail = [&](int reason) {
      const error found = detail::cannot_write(own, reason);
      return error(found.code, absolute_path(shown), found.what.substr(found.where.size() + 2));
    };
    constexpr int most_tries = 100;
    bool is_suspect = false;
    for (int i = 0; i < most_tries; ++i) {
      if (::mkdir(own.c_str(), 0777) != 0 && errno != EEXIST) return fail(errno);
      if (detail::is_missing(own)) continue;
      if (!detail::is_real_folder(own)) return not_ours(own);
      // Names are read one by one, while another run may be removing them: a second look sees them gone.
      if (holds_others(own)) {
        if (std::exchange(is_suspect, true)) return not_ours(own);
        continue;
      }
      detail::descriptor lock =
          detail::open_file(in(own, "lock"), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0666);
      if (!lock && errno == ENOENT) continue;
      if (!lock && (errno == ELOOP || errno == EISDIR)) return not_ours(own);
      if (!lock) return fail(errno);
      const bool is_held = ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
      if (!detail::is_named(lock, in(own, "lock"))) continue;
      const std::string held_by = detail::begin_of(lock);
      const bool is_signed = held_by.starts_with(detail::run_mark);
      if (is_held && (is_signed || held_by.empty())) return in_use(held_by, shown);
      if (is_held || !is_plain(lock) || !(is_signed || is_alone(lock, own))) return not_ours(own);
      if (const int reason = sign(lock); reason != 0) {
        ::unlink(in(own, "lock").c_str());
        ::rmdir(own.c_str());
        return fail(reason);
      }
      return lock;
    }
    return error(errc::in_use, absolute_path(shown),
                 "other runs begin and end here all the time. Try again.");
  }

  /// Files without the lock that a run makes first and removes last.
  static bool holds_others(const std::string& own) {
    const std::vector<std::string> names = names_in(own);
    return !names.empty() && std::find(names.begin(), names.end(), "lock") == names.end();
  }

  static bool is_plain(const detail::descriptor& lock) {
    struct stat about{};
    return ::fstat(lock.get(), &about) == 0 && S_ISREG(about.st_mode) && about.st_nlink == 1;
  }

  /// Whoever died before the lock was signed had put nothing beside it.
  static bool is_alone(const detail::descriptor& lock, const std::string& own) {
    struct stat about{};
    return ::fstat(lock.get(), &about) == 0 && about.st_size == 0 && names_in(own).size() == 1;
  }

  static error not_ours(const std::string& own) {
    return {errc::cannot_write, absolute_path(own),
            "a run would write here, but this is there already and does not come from one. Move it away, or "
            "write to another folder."};
  }

  static error in_use(std::string_view held_by, const std::string& shown) {
    held_by.remove_prefix((std::min)(held_by.size(), detail::run_mark.size()));
    const std::string who(held_by.substr(0, held_by.find('\n')));
    return {errc::in_use, absolute_path(shown),
            "another run writes here" + (who.empty() ? "" : " (" + who + ")") +
                ". Wait for its end, or write to another place."};
  }

  /// @return errno, or 0
  static int sign(const detail::descriptor& lock) {
    const std::string text = std::string(detail::run_mark) + this_process() + "\n";
    const ssize_t written = ::pwrite(lock.get(), text.data(), text.size(), 0);
    if (written < 0) return errno;
    if (static_cast<std::size_t>(written) != text.size()) return ENOSPC;
    const bool done =
        ::ftruncate(lock.get(), static_cast<off_t>(text.size())) == 0 && ::fsync(lock.get()) == 0;
    return done ? 0 : errno;
  }

  /// States 0 to 4.
  result<void> place(const run_files& files) {
    if (auto planned = write_plan(files); !planned) return planned;
    for (const std::string& name : files.main)
      if (auto kept = set_aside(name, true); !kept) return kept;
    for (const std::string& name : files.about)
      if (auto kept = set_aside(name, false); !kept) return kept;
    if (!names_in(older({})).empty())
      if (auto synced = detail::sync_folder(older({})); !synced) return synced;
    for (const auto* const names : {&files.main, &files.about})
      for (const std::string& name : *names)
        if (auto shown = move(fresh(name), visible(name)); !shown) return shown;
    if (!files.main.empty() || !files.about.empty())
      if (auto synced = detail::sync_folder(folder_); !synced) return synced;
    if (auto shown = move(fresh(files.last), visible(files.last)); !shown) return shown;
    (void)detail::sync_folder(folder_).has_value();  // what has appeared stays, whatever comes of syncing it
    return {};
  }

  result<void> write_plan(const run_files& files) {
    run_plan plan;
    const auto add = [&](const char* kind, const std::vector<std::string>& names) {
      for (const std::string& name : names)
        plan.entries.push_back({kind, detail::inode_of(fresh(name)), name});
    };
    add("main", files.main);
    add("about", files.about);
    add("last", {files.last});
    add("stale", files.stale);
    const std::span<const run_plan::entry> placed(plan.entries.data(),
                                                  plan.entries.size() - files.stale.size());
    for (const run_plan::entry& one : placed) {
      if (detail::is_real_folder(visible(one.name))) return detail::cannot_write(visible(one.name), EISDIR);
      if (one.inode == 0) return detail::cannot_write(fresh(one.name), ENOENT);
    }
    auto file = begin_text(in(own_, "plan"), plan.text());
    if (!file) return file.error();
    for (const run_plan::entry& one : placed) {
      if (auto flushed = flush(fresh(one.name)); !flushed) return flushed;
      detail::take_mode(fresh(one.name), visible(one.name));
    }
    for (const std::string& folder : {fresh({}), folder_})
      if (auto synced = detail::sync_folder(folder); !synced) return synced;
    if (auto whole = file->commit(); !whole) return whole;
    return detail::sync_folder(own_);
  }

  static result<void> flush(const std::string& path) {
    const detail::descriptor file = detail::open_to_read(path);
    const int reason = !file ? errno : detail::flush(file);
    std::uint64_t size = 0;
    if (reason == 0) return {};
    (void)detail::size_of(file, size);
    return detail::cannot_write(path, reason, size);
  }

  /// On its way to the disk, not there yet.
  static result<output_file> begin_text(const std::string& path, std::string_view text) {
    auto file = output_file::create(path);
    if (!file) return file.error();
    if (auto written = file->write(text); !written) return written.error();
    file->begin_flush();
    return file;
  }

  static result<void> write_text(const std::string& path, std::string_view text) {
    auto file = begin_text(path, text);
    return file ? file->commit() : file.error();
  }

  /// @param stays it keeps its name, too, unless the file system has no second names
  result<void> set_aside(const std::string& name, bool stays) const {
    if (detail::is_missing(visible(name))) return {};
    if (stays && ::link(visible(name).c_str(), older(name).c_str()) == 0) return {};
    return move(visible(name), older(name));
  }

  static result<void> move(const std::string& from, const std::string& to) {
    if (std::rename(from.c_str(), to.c_str()) != 0) return detail::cannot_write(to, errno);
    return {};
  }

  /// State 5, or back to what was there; then everything in the own folder but the lock goes.
  result<void> settle() {
    if (!detail::is_missing(in(own_, "plan"))) {
      const auto file = mapped_file::open(in(own_, "plan"));
      if (!file) return file.error();
      const std::span<const std::byte> bytes = file->bytes();
      const run_plan plan = run_plan::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      if (is_committed(plan))
        remove_stale(plan.names("stale"));
      else if (auto undone = undo(plan); !undone)
        return undone;
      if (::unlink(in(own_, "plan").c_str()) != 0) return detail::cannot_write(in(own_, "plan"), errno);
      if (auto synced = detail::sync_folder(own_); !synced) return synced;
    }
    clear(own_);
    for (const std::string& part : {fresh({}), older({})}) {
      clear(part);
      ::rmdir(part.c_str());
    }
    return {};
  }

  bool is_committed(const run_plan& plan) const {
    return std::any_of(plan.entries.begin(), plan.entries.end(), [&](const run_plan::entry& one) {
      return one.kind == "last" && detail::is_missing(fresh(one.name));
    });
  }

  void remove_stale(std::span<const std::string> names) const {
    for (const std::string& name : names) ::unlink(visible(name).c_str());
  }

  /// New files go before older ones come back.
  result<void> undo(const run_plan& plan) const {
    for (auto one = plan.entries.rbegin(); one != plan.entries.rend(); ++one) {
      const bool is_placed = one->inode != 0 && detail::is_missing(fresh(one->name)) &&
                             detail::inode_of(visible(one->name)) == one->inode;
      if (!is_placed) continue;
      if (auto back = move(visible(one->name), fresh(one->name)); !back) return back;
    }
    for (const run_plan::entry& one : plan.entries) {
      if (detail::is_missing(older(one.name))) continue;
      if (!detail::is_missing(visible(one.name))) {
        ::unlink(older(one.name).c_str());  // the second name of the file that is there
      } else if (auto back = move(older(one.name), visible(one.name)); !back) {
        return back;
      }
    }
    return detail::sync_folder(folder_);
  }

  /// What a link leads to is not ours.
  static void clear(const std::string& folder) {
    if (!detail::is_real_folder(folder)) return;
    for (const std::string& name : names_in(folder))
      if (name != "lock") ::unlink(in(folder, name).c_str());
  }

  std::string folder_;
  std::string own_;  // empty: moved from
  detail::descriptor lock_;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FILE_RUN_FOLDER_HPP
