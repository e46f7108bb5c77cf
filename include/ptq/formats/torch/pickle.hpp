// SPDX-License-Identifier: Apache-2.0
/// @file pickle.hpp Reads a pickle without running it: what it would call becomes data, and only the
/// functions and classes of `torch_globals` may be named at all.
#ifndef PTQ_FORMATS_TORCH_PICKLE_HPP
#define PTQ_FORMATS_TORCH_PICKLE_HPP

#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ptq/error.hpp"
#include "ptq/formats/torch/globals.hpp"
#include "ptq/formats/torch/opcodes.hpp"
#include "ptq/formats/torch/pickle_value.hpp"
#include "ptq/result.hpp"

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr std::string_view plain_checkpoint_remedy =
    " Nothing was run. If you trust the file, load it with PyTorch and save its tensors alone: "
    "torch.save(model.state_dict(), path).";

/// The bounds of a pickle: room for some 80,000 tensors, in less than a second.
struct pickle_limits {
  static constexpr std::size_t bytes = std::size_t{64} << 20;   ///< of the pickle
  static constexpr std::size_t steps = std::size_t{1} << 22;    ///< opcodes
  static constexpr std::size_t depth = std::size_t{1} << 17;    ///< values on the stack
  static constexpr std::size_t memory = std::size_t{64} << 20;  ///< of the objects and of the memo
};

/// The stack machine. Each step says whether it may go on; if not, there is an error.
class pickle_machine {
 public:
  /// @param bytes begin with the pickle; others may follow it
  /// @param where names the file and the pickle in errors
  pickle_machine(std::span<const std::byte> bytes, std::string where)
      : bytes_(bytes), where_(std::move(where)) {}

  result<pickle_graph> run() {
    while (!has_ended_) {
      at_ = next_;
      if (!step()) return *std::move(error_);
    }
    graph_.size = next_;
    return std::move(graph_);
  }

 private:
  using op = pickle_opcode;
  using kind = pickle_kind;

  bool refuse(errc code, const std::string& text) {
    error_ = error(code, where_ + ": byte " + std::to_string(at_), text);
    return false;
  }
  bool damaged(const std::string& what) {
    return refuse(errc::wrong_format, "the pickle is damaged: " + what + ". Get the file again.");
  }
  bool too_large(const std::string& what) {
    return refuse(errc::validation_overflow, "the pickle has more than " + what +
                                                 ", which no checkpoint of weights needs. Save the tensors "
                                                 "alone: torch.save(model.state_dict(), path).");
  }

  // ---- bytes

  bool take(std::uint64_t count, std::string_view& out) {
    if (count > bytes_.size() - next_) return damaged("it ends in the middle of a value");
    if (next_ + count > pickle_limits::bytes)
      return too_large(std::to_string(pickle_limits::bytes >> 20) + " MB");
    const auto* const text = static_cast<const char*>(static_cast<const void*>(bytes_.data()));
    out = std::string_view(text, bytes_.size()).substr(next_, static_cast<std::size_t>(count));
    next_ += static_cast<std::size_t>(count);
    return true;
  }
  /// Little-endian, without a sign.
  bool take_number(unsigned width, std::uint64_t& out) {
    std::string_view text;
    if (!take(width, text)) return false;
    out = 0;
    for (unsigned i = width; i-- > 0;) out = out << 8 | static_cast<unsigned char>(text[i]);
    return true;
  }
  bool take_counted(unsigned width, std::string_view& out) {
    std::uint64_t count = 0;
    return take_number(width, count) && take(count, out);
  }
  bool take_line(std::string_view& out) {
    constexpr std::size_t longest = 1000;
    const std::size_t first = next_;
    std::string_view c;
    do {
      if (!take(1, c)) return false;
      if (next_ - first > longest) return damaged("a name has no end");
    } while (c != "\n");
    const auto* const text = static_cast<const char*>(static_cast<const void*>(bytes_.data()));
    out = {text + first, next_ - first - 1};
    return true;
  }

  // ---- the stack, the memo and the objects

  /// What an object or a memo may take of the memory that there is for all.
  bool spend(std::size_t count) {
    spent_ += count;
    return spent_ <= pickle_limits::memory ||
           too_large(std::to_string(pickle_limits::memory >> 20) + " MB of objects");
  }
  bool push(const pickle_value& value) {
    if (stack_.size() >= pickle_limits::depth)
      return too_large(std::to_string(pickle_limits::depth) + " values waiting");
    stack_.push_back(value);
    return true;
  }
  /// Values above the last mark.
  std::size_t available() const noexcept { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }
  bool needs(std::size_t count) {
    return available() >= count || damaged("an opcode lacks the values that it is about");
  }
  bool pop(pickle_value& out) {
    if (!needs(1)) return false;
    out = stack_.back();
    stack_.pop_back();
    return true;
  }
  /// Takes the last mark away. @param count of the values above it
  bool pop_mark(std::size_t& count) {
    if (marks_.empty()) return damaged("an opcode lacks its mark");
    count = available();
    marks_.pop_back();
    return true;
  }
  /// The last values of the stack become the items of a new object on it.
  bool make(kind what, std::size_t count) {
    constexpr std::size_t block = 16;  // what the system needs for a piece of memory
    const std::size_t items = count == 0 ? 0 : block + count * sizeof(pickle_value);
    if (!needs(count) || !spend(sizeof(std::vector<pickle_value>) + items)) return false;
    if (what == kind::dict && count % 2 != 0) return damaged("a dict has a key without a value");
    const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
    graph_.objects.emplace_back(first, stack_.end());
    stack_.erase(first, stack_.end());
    return push(pickle_value(what, static_cast<std::int64_t>(graph_.objects.size() - 1)));
  }
  bool make_reference() {
    if (!spend(sizeof(pickle_value)) || !make(kind::persistent, 1)) return false;
    graph_.references.push_back(stack_.back());
    return true;
  }
  bool make_of_marked(kind what) {
    std::size_t count = 0;
    return pop_mark(count) && make(what, count);
  }
  /// The last values of the stack go to the object below them.
  bool extend(kind what, std::size_t count) {
    if (!needs(count + 1)) return false;
    const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
    const pickle_value& target = *(first - 1);
    if (!target.is(what))
      return damaged(std::string("items for a ") + name_of(what) + " come to a " + name_of(target.kind()));
    if (what == kind::dict && count % 2 != 0) return damaged("a dict gets a key without a value");
    std::vector<pickle_value>& items = graph_.objects[target.place()];
    const std::size_t before = items.capacity();
    items.insert(items.end(), first, stack_.end());
    stack_.erase(first, stack_.end());
    return spend((items.capacity() - before) * sizeof(pickle_value));
  }
  bool extend_by_marked(kind what) {
    std::size_t count = 0;
    return pop_mark(count) && extend(what, count);
  }
  bool put(std::uint64_t place) {
    if (!needs(1)) return false;
    if (place >= memo_.size()) {
      const std::uint64_t grown = place + 1 - memo_.size();
      if (!spend(static_cast<std::size_t>(grown) * sizeof(pickle_value))) return false;
      memo_.resize(static_cast<std::size_t>(place) + 1);
    }
    pickle_value& kept = memo_[static_cast<std::size_t>(place)];
    if (kept.is(kind::unset)) ++memo_count_;
    kept = stack_.back();
    return true;
  }
  bool put_at(unsigned width) {
    std::uint64_t place = 0;
    return take_number(width, place) && put(place);
  }
  bool get_at(unsigned width) {
    std::uint64_t place = 0;
    if (!take_number(width, place)) return false;
    if (place >= memo_.size() || memo_[static_cast<std::size_t>(place)].is(kind::unset))
      return damaged("place " + std::to_string(place) + " of the memo is read before it is written");
    return push(memo_[static_cast<std::size_t>(place)]);
  }

  // ---- values

  bool push_integer(unsigned width, bool is_signed) {
    std::uint64_t bits = 0;
    if (!take_number(width, bits)) return false;
    const auto number = static_cast<std::int64_t>(bits);
    return push(pickle_value(kind::integer, is_signed ? static_cast<std::int32_t>(number) : number));
  }
  bool push_long(unsigned width) {
    std::string_view text;
    if (!take_counted(width, text)) return false;
    if (text.size() > 8) return push(pickle_value(kind::long_number, text));
    std::uint64_t bits = 0;
    for (std::size_t i = text.size(); i-- > 0;) bits = bits << 8 | static_cast<unsigned char>(text[i]);
    const auto unused = static_cast<int>(64 - 8 * text.size());
    // Two's complement of fewer bytes: its sign moves up, and down again.
    return push(
        pickle_value(kind::integer, unused == 64 ? 0 : static_cast<std::int64_t>(bits << unused) >> unused));
  }
  bool push_real() {
    std::string_view text;
    if (!take(8, text)) return false;
    std::uint64_t bits = 0;  // big-endian
    for (const char c : text) bits = bits << 8 | static_cast<unsigned char>(c);
    return push(pickle_value(kind::real, static_cast<std::int64_t>(bits)));
  }
  bool push_text(kind what, unsigned width) {
    std::string_view text;
    return take_counted(width, text) && push(pickle_value(what, text));
  }

  // ---- what would run in Python

  bool refuse_global(std::string_view module, std::string_view name) {
    return refuse(errc::unsupported, "the pickle names \"" + std::string(module) + "." + std::string(name) +
                                         "\", which no tensor needs: loading it could run any code." +
                                         std::string(plain_checkpoint_remedy));
  }
  bool push_global(std::string_view module, std::string_view name) {
    steps_ += 16;  // a list is searched
    const auto known = find_torch_global(module, name);
    if (!known) return refuse_global(module, name);
    return push(pickle_value(kind::global, static_cast<std::int64_t>(*known)));
  }
  bool push_named_global() {
    std::string_view module;
    std::string_view name;
    return take_line(module) && take_line(name) && push_global(module, name);
  }
  bool push_stacked_global() {
    pickle_value name;
    pickle_value module;
    if (!pop(name) || !pop(module)) return false;
    if (!name.is(kind::text) || !module.is(kind::text)) return damaged("STACK_GLOBAL lacks a name");
    return push_global(module.text(), name.text());
  }
  /// INST names what it makes an instance of.
  bool refuse_instance() {
    std::string_view module;
    std::string_view name;
    return take_line(module) && take_line(name) && refuse_global(module, name);
  }

  /// A call of a known function: data, but for what makes a dict, which items come to afterwards.
  bool make_call(const char* opcode) {
    if (!needs(2)) return false;
    const pickle_value arguments = stack_.back();
    const pickle_value callee = *(stack_.end() - 2);
    if (!callee.is(kind::global) || !arguments.is(kind::tuple))
      return refuse(errc::unsupported, std::string(opcode) + " calls a " + name_of(callee.kind()) +
                                           " with a " + name_of(arguments.kind()) +
                                           ", which no tensor needs." + std::string(plain_checkpoint_remedy));
    const torch_global& known = torch_globals[callee.place()];
    if (known.role == torch_role::storage || known.role == torch_role::dtype)
      return refuse(errc::unsupported, std::string(opcode) + " calls \"" + known.qualified_name() +
                                           "\", which is only ever named." +
                                           std::string(plain_checkpoint_remedy));
    if (known.role != torch_role::mapping) return make(kind::call, 2);
    stack_.resize(stack_.size() - 2);
    return make_mapping(arguments);
  }
  /// OrderedDict() or OrderedDict([[key, value], ...]), as Python 2 wrote it.
  bool make_mapping(const pickle_value& arguments) {
    const auto given = graph_.items_of(arguments);
    if (given.empty() || !given.front().is(kind::list)) return make(kind::dict, 0);
    std::vector<pickle_value> items;
    for (const pickle_value& pair : graph_.items_of(given.front())) {
      if (!pair.is(kind::list) && !pair.is(kind::tuple)) return damaged("an OrderedDict is made of no pairs");
      const auto both = graph_.items_of(pair);
      if (both.size() != 2) return damaged("an OrderedDict is made of no pairs");
      items.insert(items.end(), both.begin(), both.end());
    }
    if (!spend(sizeof(std::vector<pickle_value>) + items.size() * sizeof(pickle_value))) return false;
    graph_.objects.push_back(std::move(items));
    return push(pickle_value(kind::dict, static_cast<std::int64_t>(graph_.objects.size() - 1)));
  }
  /// State of what is no tensor, such as `_metadata` of a state dict: it is left out.
  bool drop_state() {
    pickle_value state;
    if (!pop(state) || !needs(1)) return false;
    const pickle_value& target = stack_.back();
    if (target.is(kind::dict)) return true;
    const pickle_value callee = target.is(kind::call) ? graph_.items_of(target).front() : pickle_value();
    if (callee.is(kind::global) && torch_globals[callee.place()].role == torch_role::inert) return true;
    return refuse(errc::unsupported, std::string("BUILD sets the state of a ") + name_of(target.kind()) +
                                         ", which no tensor needs." + std::string(plain_checkpoint_remedy));
  }

  // ---- steps

  bool start(std::uint64_t most) {
    std::uint64_t protocol = 0;
    if (!take_number(1, protocol)) return false;
    return protocol <= most ||
           refuse(errc::unsupported, "the pickle is of protocol " + std::to_string(protocol) +
                                         "; those up to " + std::to_string(most) +
                                         " are read. Save it with torch.save.");
  }
  bool stop() {
    has_ended_ = true;
    if (!marks_.empty()) return damaged("it ends with a mark that nothing took");
    return pop(graph_.root);
  }
  bool pop_any() {
    pickle_value dropped;
    if (available() > 0 || marks_.empty()) return pop(dropped);
    marks_.pop_back();
    return true;
  }
  bool pop_marked() {
    std::size_t count = 0;
    if (!pop_mark(count)) return false;
    stack_.resize(stack_.size() - count);
    return true;
  }
  bool set_mark() {
    if (marks_.size() >= pickle_limits::depth)
      return too_large(std::to_string(pickle_limits::depth) + " values waiting");
    marks_.push_back(stack_.size());
    return true;
  }

  bool step() {
    std::uint64_t code = 0;
    std::string_view frame;
    if (++steps_ > pickle_limits::steps) return too_large(std::to_string(pickle_limits::steps) + " opcodes");
    if (!take_number(1, code)) return false;
    switch (static_cast<op>(code)) {
      case op::proto:
        return start(5);
      case op::frame:
        return take(8, frame);
      case op::stop:
        return stop();
      case op::mark:
        return set_mark();
      case op::pop:
        return pop_any();
      case op::pop_mark:
        return pop_marked();
      case op::dup:
        return needs(1) && push(stack_.back());
      case op::none:
        return push(pickle_value(kind::none));
      case op::new_true:
      case op::new_false:
        return push(pickle_value(kind::boolean, static_cast<op>(code) == op::new_true ? 1 : 0));
      case op::binint:
        return push_integer(4, true);
      case op::binint1:
        return push_integer(1, false);
      case op::binint2:
        return push_integer(2, false);
      case op::long1:
        return push_long(1);
      case op::long4:
        return push_long(4);
      case op::binfloat:
        return push_real();
      case op::short_binstring:
      case op::short_binunicode:
        return push_text(kind::text, 1);
      case op::binstring:
      case op::binunicode:
        return push_text(kind::text, 4);
      case op::binunicode8:
        return push_text(kind::text, 8);
      case op::short_binbytes:
        return push_text(kind::bytes, 1);
      case op::binbytes:
        return push_text(kind::bytes, 4);
      case op::binbytes8:
      case op::bytearray8:
        return push_text(kind::bytes, 8);
      case op::empty_tuple:
        return make(kind::tuple, 0);
      case op::tuple1:
        return make(kind::tuple, 1);
      case op::tuple2:
        return make(kind::tuple, 2);
      case op::tuple3:
        return make(kind::tuple, 3);
      case op::tuple:
        return make_of_marked(kind::tuple);
      case op::empty_list:
        return make(kind::list, 0);
      case op::list:
        return make_of_marked(kind::list);
      case op::append:
        return extend(kind::list, 1);
      case op::appends:
        return extend_by_marked(kind::list);
      case op::empty_dict:
        return make(kind::dict, 0);
      case op::dict:
        return make_of_marked(kind::dict);
      case op::setitem:
        return extend(kind::dict, 2);
      case op::setitems:
        return extend_by_marked(kind::dict);
      case op::empty_set:
        return make(kind::set, 0);
      case op::additems:
        return extend_by_marked(kind::set);
      case op::frozenset:
        return make_of_marked(kind::set);
      case op::global:
        return push_named_global();
      case op::stack_global:
        return push_stacked_global();
      case op::reduce:
        return make_call("REDUCE");
      case op::newobj:
        return make_call("NEWOBJ");
      case op::build:
        return drop_state();
      case op::binpersid:
        return make_reference();
      case op::binput:
        return put_at(1);
      case op::long_binput:
        return put_at(4);
      case op::memoize:
        return put(memo_count_);  // as Python counts: the places that have something
      case op::binget:
        return get_at(1);
      case op::long_binget:
        return get_at(4);
      case op::inst:
        return refuse_instance();
      default:
        return refuse(errc::unsupported,
                      "the pickle uses the opcode " + pickle_opcode_name(static_cast<std::uint8_t>(code)) +
                          ", which no checkpoint of tensors needs." + std::string(plain_checkpoint_remedy));
    }
  }

  std::span<const std::byte> bytes_;
  std::string where_;
  std::size_t at_ = 0;    // the opcode
  std::size_t next_ = 0;  // the byte to read next
  std::size_t steps_ = 0;
  std::size_t spent_ = 0;
  bool has_ended_ = false;
  std::vector<pickle_value> stack_;
  std::vector<std::size_t> marks_;  // sizes of the stack
  std::deque<pickle_value> memo_;
  std::size_t memo_count_ = 0;  // of its places that have something
  pickle_graph graph_;
  std::optional<error> error_;
};

}  // namespace detail

/// Reads the pickle at the beginning of some bytes; others may follow it. Memory and time are bounded, and
/// nothing of it is called.
///
/// @param bytes must outlive what is returned
/// @param where names the file, and the pickle in it, in errors
/// @return unsupported: an opcode, or the name of a function or class, that no tensor needs; wrong_format;
///   validation_overflow: more than `pickle_limits`
inline result<pickle_graph> read_pickle(std::span<const std::byte> bytes, std::string where) {
  return detail::pickle_machine(bytes, std::move(where)).run();
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_PICKLE_HPP
