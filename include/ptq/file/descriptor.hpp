// SPDX-License-Identifier: Apache-2.0
/// @file descriptor.hpp An open file that closes itself, and what can be done with one. POSIX and Windows
/// each have a half; errors are errno values on both, paths UTF-8.
///
///     descriptor                     move-only; false: none
///     open_to_read(path)             none, with errno set, if that fails
///     create_new(path)               to read and write. Never a file that is there: errno is EEXIST then
///     size_of(file, size)            EISDIR for a folder, ESPIPE for what is no regular file
///     reserve(file, size)            takes the room on the disk now
///     set_size(file, size)
///     write_at(file, offset, bytes)  all of them; the file grows as needed
///     begin_flush(file)              lets the disk begin, where the system has that: `flush` waits less then
///     flush(file)                    to the disk
///     flush_folder(folder)           the names in it, where the system has that
///     move_over(from, to)            replaces what is there in one step. ETXTBSY: somebody has it open
///     remove_file(path)
///     take_mode(file, older)         gives a new file the permissions of the older one that it replaces
///     exceeds_limit(size)            whether this process must not write a file of that size
///     process_number()
///
/// Functions that return a number return 0, or why not.
#ifndef PTQ_FILE_DESCRIPTOR_HPP
#define PTQ_FILE_DESCRIPTOR_HPP

#ifdef _WIN32
#include "ptq/file/windows/descriptor.hpp"
#else
#include "ptq/file/posix/descriptor.hpp"
#endif

#endif  // PTQ_FILE_DESCRIPTOR_HPP
