// SPDX-License-Identifier: Apache-2.0
/// @file checkpoint.hpp An open model: named tensors that look into one or more mapped files.
#ifndef PTQ_FORMATS_CHECKPOINT_CHECKPOINT_HPP
#define PTQ_FORMATS_CHECKPOINT_CHECKPOINT_HPP

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/file/mapped_file.hpp"
#include "ptq/formats/checkpoint/stored_tensor.hpp"
#include "ptq/numeric/element_type.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {

/// Move-only; what it gave out stays valid when it moves.
class checkpoint {
 public:
  /// @param word what the format calls an element type
  explicit checkpoint(const char* (*word)(element_type) noexcept = name_of) : word_(word) {}

  /// Takes a file, the tensors that look into it, and what it says about itself (the first file to use a key
  /// keeps it).
  ///
  /// @return duplicate_key if another file has a tensor of the same name; nothing is taken then
  result<void> add(mapped_file file, std::vector<stored_tensor> tensors, metadata_map metadata) {
    for (const stored_tensor& tensor : tensors)
      if (find(tensor.name) != nullptr)
        return error(errc::duplicate_key, absolute_path(file.path()),
                     "tensor \"" + tensor.name + "\" is in another file of this model too.");
    files_.push_back(std::move(file));
    for (stored_tensor& tensor : tensors) {
      index_.emplace(tensor.name, tensors_.size());
      tensors_.push_back(std::move(tensor));
    }
    metadata_.merge(metadata);
    return {};
  }

  /// Takes all files of another one.
  ///
  /// @return duplicate_key if both have a tensor of one name; nothing is taken then
  result<void> add(checkpoint other) {
    for (const stored_tensor& tensor : other.tensors_)
      if (find(tensor.name) != nullptr)
        return error(errc::duplicate_key, absolute_path(other.files_.front().path()),
                     "tensor \"" + tensor.name + "\" is in another file of this model too.");
    for (stored_tensor& tensor : other.tensors_) {
      index_.emplace(tensor.name, tensors_.size());
      tensors_.push_back(std::move(tensor));
    }
    for (mapped_file& file : other.files_) files_.push_back(std::move(file));
    keep(std::move(other.unpacked_));
    metadata_.merge(other.metadata_);
    return {};
  }

  /// Takes memory that tensors look into, as files do that are packed.
  void keep(std::vector<std::vector<std::byte>> unpacked) {
    for (std::vector<std::byte>& memory : unpacked) unpacked_.push_back(std::move(memory));
  }

  /// Gives every tensor another name.
  ///
  /// @param names in the order of the tensors; no two are the same
  void rename(std::vector<std::string> names) {
    index_.clear();
    for (std::size_t i = 0; i < names.size(); ++i) {
      index_.emplace(names[i], i);
      tensors_[i].name = std::move(names[i]);
    }
  }

  /// Gives it other tensors.
  void replace(std::vector<stored_tensor> tensors) {
    tensors_ = std::move(tensors);
    index_.clear();
    for (std::size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
  }

  /// Forgets the tensors of which `is_kept`, one for each in their order, is false: what `tensors` and `find`
  /// gave out is void then, what looks into the files is not.
  void keep_only(const std::vector<bool>& is_kept) {
    std::vector<stored_tensor> kept;
    for (std::size_t i = 0; i < tensors_.size(); ++i)
      if (is_kept[i]) kept.push_back(std::move(tensors_[i]));
    replace(std::move(kept));
  }

  /// Brings the tensors into the order that another checkpoint has them in; what that lacks comes last.
  void sort_as(const checkpoint& other) {
    std::vector<std::pair<std::size_t, std::size_t>> order;  // place in the other one, and here
    for (const stored_tensor& tensor : tensors_) {
      const auto found = other.index_.find(tensor.name);
      order.emplace_back(found == other.index_.end() ? other.tensors_.size() : found->second, order.size());
    }
    std::sort(order.begin(), order.end());
    std::vector<stored_tensor> sorted;
    for (const auto& [place, here] : order) sorted.push_back(std::move(tensors_[here]));
    replace(std::move(sorted));
  }

  /// In the order of the files, and within each as it lists them.
  std::span<const stored_tensor> tensors() const noexcept { return tensors_; }
  const metadata_map& metadata() const noexcept { return metadata_; }

  /// What the model says about itself that this is the artifact of; where that is not known, what this does.
  const metadata_map& origin() const noexcept { return origin_ ? *origin_ : metadata_; }
  void set_origin(metadata_map metadata) { origin_ = std::move(metadata); }

  std::span<const mapped_file> files() const noexcept { return files_; }

  /// Null if there is none of that name.
  const stored_tensor* find(std::string_view name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &tensors_[found->second];
  }

  /// What the format calls an element type.
  const char* word_of(element_type type) const noexcept { return word_(type); }

  /// Gives the memory of a tensor, or of a part of one, back for now (`mapped_file::release`).
  void release(const stored_tensor& tensor) const noexcept { release(tensor.data); }
  void release(std::span<const std::byte> part) const noexcept {
    for (const mapped_file& file : files_) file.release(part);
  }

 private:
  const char* (*word_)(element_type) noexcept;
  std::vector<mapped_file> files_;
  std::vector<std::vector<std::byte>> unpacked_;
  std::vector<stored_tensor> tensors_;
  metadata_map metadata_;
  std::optional<metadata_map> origin_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_CHECKPOINT_CHECKPOINT_HPP
