// SPDX-License-Identifier: Apache-2.0
/// @file legacy.hpp PyTorch's container before 1.6: five pickles, one behind the other (a magic number, a
/// version, the system, the object, the keys of storages), then the storages in the order of the keys, each
/// behind the number of its elements.
#ifndef PTQ_FORMATS_TORCH_LEGACY_HPP
#define PTQ_FORMATS_TORCH_LEGACY_HPP

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "ptq/error.hpp"
#include "ptq/formats/torch/container.hpp"
#include "ptq/formats/torch/pickle.hpp"
#include "ptq/formats/torch/pickle_value.hpp"
#include "ptq/formats/torch/tensors.hpp"
#include "ptq/formats/zip.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

/// Reads one part after the other.
class legacy_torch_reader {
 public:
  legacy_torch_reader(std::span<const std::byte> file, std::string where)
      : file_(file), where_(std::move(where)) {}

  result<torch_container> read() {
    if (auto known = read_magic(); !known) return known.error();
    if (auto known = read_version(); !known) return known.error();
    if (auto known = read_system(); !known) return known.error();
    auto object = next("the object");
    if (!object) return object.error();
    const auto keys = next("the list of storages");
    if (!keys) return keys.error();
    if (!keys->root.is(pickle_kind::list)) return wrong("its list of storages is none");
    torch_container made{*std::move(object), {}, {}};
    if (auto found = read_storages(*keys, made); !found) return found.error();
    return made;
  }

 private:
  error wrong(const std::string& what) const {
    return {errc::wrong_format, where_,
            "this is no checkpoint of PyTorch, or a damaged one: " + what +
                ". Save one with torch.save(model.state_dict(), path)."};
  }

  result<pickle_graph> next(const std::string& what) {
    auto graph = read_pickle(file_.subspan(at_), where_ + ": " + what + ", at byte " + std::to_string(at_));
    if (graph) at_ += graph->size;
    return graph;
  }

  result<void> read_magic() {
    constexpr std::string_view magic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
    const auto found = next("the magic number");
    if (!found) return found.error();
    if (found->root.text() == magic) return {};
    return wrong("a Python pickle without the magic number of PyTorch");
  }
  result<void> read_version() {
    const auto found = next("the version");
    if (!found) return found.error();
    if (found->root.is(pickle_kind::integer) && found->root.number() == 1001) return {};
    return wrong("its version is not 1001");
  }
  result<void> read_system() {
    const auto found = next("the system");
    if (!found) return found.error();
    if (!found->root.is(pickle_kind::dict)) return wrong("it does not say which system wrote it");
    const auto items = found->items_of(found->root);
    for (std::size_t i = 0; i < items.size(); i += 2)
      if (items[i].text() == "little_endian" && items[i + 1].is(pickle_kind::boolean) &&
          items[i + 1].number() == 0)
        return error(errc::unsupported, where_,
                     "the numbers are not little-endian. Save the checkpoint on a machine where they are.");
    return {};
  }

  /// The sizes of elements are told where tensors name their storages.
  result<void> read_storages(const pickle_graph& keys, torch_container& made) {
    std::map<std::string_view, torch_storage> described;
    for (const pickle_value& reference : made.graph.references) {
      const auto storage = read_torch_storage(made.graph, reference);
      if (!storage) return storage.error().in(where_);
      described.emplace(storage->key, *storage);
    }
    const zip_bytes file(file_);
    for (const pickle_value& key : keys.items_of(keys.root)) {
      const auto found = described.find(key.text());
      const std::string name = "storage \"" + std::string(key.text()) + "\"";
      if (!key.is(pickle_kind::text) || found == described.end()) return wrong("nothing uses its " + name);
      if (!file.holds(at_, 8)) return wrong("it ends before its " + name);
      const std::uint64_t count = file.number(at_, 8);
      at_ += 8;
      const std::size_t size = found->second.element_size();
      if (count > file_.size() / size || !file.holds(at_, count * size))
        return wrong("its " + name + " has " + std::to_string(count) + " elements, which lie beyond its end");
      const auto bytes = file_.subspan(at_, static_cast<std::size_t>(count) * size);
      if (!made.storages.emplace(key.text(), bytes).second) return wrong("it has two of its " + name);
      at_ += bytes.size();
    }
    return {};
  }

  std::span<const std::byte> file_;
  std::string where_;
  std::size_t at_ = 0;
};

}  // namespace detail

/// @param file must outlive what is returned
/// @param where names the file in errors
/// @return what `read_pickle` returns; wrong_format; unsupported: big-endian
inline result<torch_container> read_legacy_torch(std::span<const std::byte> file, const std::string& where) {
  return detail::legacy_torch_reader(file, where).read();
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_LEGACY_HPP
