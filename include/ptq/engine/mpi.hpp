// SPDX-License-Identifier: Apache-2.0
/// @file mpi.hpp Processes that an MPI launcher started, as a `process_group`. The only header that includes
/// mpi.h. `ptq::mpi` defines OMPI_SKIP_MPICXX and MPICH_SKIP_MPICXX: a C++ interface that MPI has given up.
#ifndef PTQ_ENGINE_MPI_HPP
#define PTQ_ENGINE_MPI_HPP

#include <mpi.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "ptq/engine/all_reduce.hpp"

namespace ptq::inline v0_1 {

/// Begins MPI, and ends it: one for the life of a program that does not do so itself. One thread calls MPI.
class mpi_session {
 public:
  mpi_session() noexcept {
    int provided = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  }
  mpi_session(const mpi_session&) = delete;
  mpi_session& operator=(const mpi_session&) = delete;
  ~mpi_session() { MPI_Finalize(); }
};

/// The processes of a communicator, which must outlive it. MPI's own handler decides what becomes of errors:
/// unless told otherwise it ends all processes.
class mpi_group {
 public:
  explicit mpi_group(MPI_Comm all = MPI_COMM_WORLD) noexcept : all_(all) {}

  std::size_t rank() const noexcept { return number_by(MPI_Comm_rank); }
  std::size_t size() const noexcept { return number_by(MPI_Comm_size); }

  void to_largest(std::span<std::uint32_t> numbers) noexcept { reduce(numbers, MPI_UINT32_T, MPI_MAX); }
  void to_least(std::span<std::uint64_t> numbers) noexcept { reduce(numbers, MPI_UINT64_T, MPI_MIN); }
  void to_sum(std::span<std::uint64_t> numbers) noexcept { reduce(numbers, MPI_UINT64_T, MPI_SUM); }

  /// Gives all processes the text that one has.
  ///
  /// @param root its rank
  void broadcast(std::string& text, std::size_t root) {
    std::uint64_t size = text.size();
    MPI_Bcast(&size, 1, MPI_UINT64_T, static_cast<int>(root), all_);
    text.resize(static_cast<std::size_t>(size));
    for_each_piece(std::span(text), [&](char* piece, int count) {
      MPI_Bcast(piece, count, MPI_CHAR, static_cast<int>(root), all_);
    });
  }

  /// Tells all others that something has happened here. They see it by `is_told`, without waiting; each must
  /// take it with `take_told` at last, from all that have told.
  void tell_others() noexcept {
    for (std::size_t other = 0; other < size(); ++other) {
      if (other == rank()) continue;
      MPI_Request sent = MPI_REQUEST_NULL;
      MPI_Isend(nullptr, 0, MPI_BYTE, static_cast<int>(other), told_tag, all_, &sent);
      MPI_Request_free(&sent);
    }
  }
  bool is_told() const noexcept {
    int there = 0;
    MPI_Iprobe(MPI_ANY_SOURCE, told_tag, all_, &there, MPI_STATUS_IGNORE);
    return there != 0;
  }
  void take_told(std::size_t times) noexcept {
    for (; times > 0; --times)
      MPI_Recv(nullptr, 0, MPI_BYTE, MPI_ANY_SOURCE, told_tag, all_, MPI_STATUS_IGNORE);
  }

 private:
  static constexpr int told_tag = 1;

  std::size_t number_by(int (*ask)(MPI_Comm, int*)) const noexcept {
    int number = 0;
    ask(all_, &number);
    return static_cast<std::size_t>(number);
  }

  /// MPI counts by int.
  template <class T, class F>
  static void for_each_piece(std::span<T> numbers, F&& f) {
    constexpr std::size_t most = std::size_t{1} << 24;
    for (std::size_t first = 0; first < numbers.size(); first += most)
      f(numbers.data() + first, static_cast<int>((std::min)(most, numbers.size() - first)));
  }

  template <class T>
  void reduce(std::span<T> numbers, MPI_Datatype type, MPI_Op how) noexcept {
    for_each_piece(numbers,
                   [&](T* piece, int count) { MPI_Allreduce(MPI_IN_PLACE, piece, count, type, how, all_); });
  }

  MPI_Comm all_;
};

static_assert(process_group<mpi_group>);

}  // namespace ptq::inline v0_1

#endif  // PTQ_ENGINE_MPI_HPP
