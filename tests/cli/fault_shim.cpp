// SPDX-License-Identifier: Apache-2.0
// Preloaded into a command: stops it at, or fails, the k-th call that changes something below a folder.
//
// PTQ_FAULT=<k>:<errno, or 0 to kill>  PTQ_FAULT_UNDER=<part of the paths>  PTQ_FAULT_FIRED=<a file that is
// made then>  PTQ_CALLS=<a file that gets a line for each such call>. fsync is counted, but not carried out:
// what has reached the disk is not what is tested.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdlib>
#include <cstring>

namespace {

template <class F>
F* next(const char* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

/// A line "rename /out/a" in the file PTQ_CALLS.
void note(const char* call, const char* path) {
  const char* const calls = std::getenv("PTQ_CALLS");
  if (calls == nullptr) return;
  char line[PATH_MAX + 32] = "";
  std::strcat(std::strcat(std::strcat(std::strcat(line, call), " "), path), "\n");
  const int file = next<int(const char*, int, ...)>("open")(calls, O_WRONLY | O_CREAT | O_APPEND, 0600);
  (void)!::write(file, line, std::strlen(line));
  ::close(file);
}

/// Counts a call on this path. True if it is to fail, with errno set.
bool fails(const char* call, const char* path) {
  static int count = 0;
  const char* const fault = std::getenv("PTQ_FAULT");
  const char* const under = std::getenv("PTQ_FAULT_UNDER");
  if (under == nullptr || std::strstr(path, under) == nullptr) return false;
  note(call, path);
  if (fault == nullptr) return false;
  if (++count != std::atoi(fault)) return false;
  ::close(next<int(const char*, int, ...)>("open")(std::getenv("PTQ_FAULT_FIRED"), O_WRONLY | O_CREAT, 0600));
  const int reason = std::atoi(std::strchr(fault, ':') + 1);
  if (reason == 0) ::kill(::getpid(), SIGKILL);
  errno = reason;
  return true;
}

bool fails(const char* call, int file) {
  char link[32] = "/proc/self/fd/";
  char path[PATH_MAX] = "";
  char digits[12];
  int at = 11;
  for (digits[at] = '\0'; file > 0; file /= 10) digits[--at] = static_cast<char>('0' + file % 10);
  std::strcat(link, digits + at);
  return ::readlink(link, path, sizeof path - 1) > 0 && fails(call, path);
}

}  // namespace

extern "C" {

#define PTQ_FAULT_PATH(name, parameters, path, ...)                            \
  int name parameters {                                                        \
    return fails(#name, path) ? -1 : next<int parameters>(#name)(__VA_ARGS__); \
  }
PTQ_FAULT_PATH(mkdir, (const char* path, mode_t mode), path, path, mode)
PTQ_FAULT_PATH(rmdir, (const char* path), path, path)
PTQ_FAULT_PATH(unlink, (const char* path), path, path)
PTQ_FAULT_PATH(chmod, (const char* path, mode_t mode), path, path, mode)
PTQ_FAULT_PATH(link, (const char* from, const char* to), to, from, to)
PTQ_FAULT_PATH(rename, (const char* from, const char* to), to, from, to)
PTQ_FAULT_PATH(ftruncate, (int file, off_t size), file, file, size)

int fsync(int file) {
  return fails("fsync", file) ? -1 : 0;
}

int posix_fallocate(int file, off_t at, off_t size) {
  return fails("posix_fallocate", file) ? errno
                                        : next<int(int, off_t, off_t)>("posix_fallocate")(file, at, size);
}

ssize_t pwrite(int file, const void* bytes, size_t size, off_t at) {
  return fails("pwrite", file)
             ? -1
             : next<ssize_t(int, const void*, size_t, off_t)>("pwrite")(file, bytes, size, at);
}

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  if ((flags & O_CREAT) != 0 && fails("open", path)) return -1;
  return next<int(const char*, int, ...)>("open")(path, flags, mode);
}

}  // extern "C"
