#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""std_includes.py FOLDER...: each header includes what it uses of the standard library, and leads to what it uses of others.

What a foreign header happens to bring is there with one library and one version, and gone with the next. Compilers do not see
that; and so tests/headers may compile headers behind a precompiled one that has all of these.
"""
import re
import sys
from pathlib import Path

# The header of each name, without std::. A new name has to be told here once.
NAMES = {
    "algorithm": """adjacent_find all_of any_of binary_search clamp copy copy_n count count_if equal fill fill_n find find_if
        find_if_not for_each is_sorted iter_swap lower_bound max max_element min min_element minmax_element mismatch none_of
        nth_element partial_sort remove remove_if replace reverse rotate set_difference sort stable_sort transform unique
        upper_bound""",
    "array": "array to_array",
    "atomic": "atomic memory_order_acquire memory_order_acq_rel memory_order_relaxed memory_order_release",
    "bit": "bit_cast bit_ceil bit_width countl_zero countr_zero endian has_single_bit popcount rotl rotr",
    "charconv": "from_chars to_chars",
    "chrono": "chrono",
    "csignal": "raise sig_atomic_t signal",
    "cmath": "ceil cos erf exp fabs floor hypot isfinite isinf isnan ldexp llround log log10 nearbyint round signbit sqrt trunc",
    "compare": "strong_ordering",
    "concepts": """constructible_from convertible_to copyable default_initializable derived_from floating_point integral
        invocable movable regular same_as signed_integral""",
    "condition_variable": "condition_variable",
    "cstddef": "byte max_align_t nullptr_t ptrdiff_t size_t to_integer",
    "cstdint": "int16_t int32_t int64_t int8_t intptr_t uint16_t uint32_t uint64_t uint8_t uintptr_t",
    "cstdio": "fclose ferror fopen fputs fread fwrite printf rename snprintf",
    "cstring": "memcmp memcpy memmove memset strerror strlen",
    "ctime": "strftime time time_t tm",
    "deque": "deque",
    "exception": "current_exception exception exception_ptr rethrow_exception",
    "filesystem": "filesystem",
    "functional": "function hash",
    "initializer_list": "initializer_list",
    "iterator": "back_inserter begin data distance end input_iterator move_iterator next prev size ssize",
    "limits": "numeric_limits",
    "map": "map multimap",
    "memory": "addressof make_shared make_unique make_unique_for_overwrite shared_ptr unique_ptr",
    "mutex": "lock_guard mutex scoped_lock unique_lock",
    "new": "bad_alloc",
    "numeric": "accumulate gcd iota reduce",
    "optional": "nullopt optional",
    "set": "set",
    "span": "as_bytes as_writable_bytes dynamic_extent span",
    "sstream": "istringstream ostringstream",
    "string": "string to_string wstring",
    "string_view": "string_view string_view_literals wstring_view",
    "system_error": "errc error_code generic_category system_error",
    "thread": "thread",
    "tuple": "apply tie tuple tuple_size",
    "type_traits": """add_const_t bool_constant common_type_t conditional_t decay_t enable_if_t false_type invoke_result_t
        is_base_of_v is_const_v is_constant_evaluated is_default_constructible_v is_empty_v is_enum_v is_floating_point_v
        is_integral_v is_invocable_v is_lvalue_reference_v is_pointer_v is_same_v is_signed_v is_trivially_copyable_v
        is_unsigned_v is_void_v make_signed_t make_unsigned_t remove_const_t remove_cv_t remove_cvref_t remove_pointer_t
        remove_reference_t true_type type_identity type_identity_t underlying_type_t void_t""",
    "unordered_map": "unordered_map unordered_multimap",
    "unordered_set": "unordered_set",
    "utility": "as_const cmp_less declval exchange forward get in_range index_sequence make_index_sequence move pair swap",
    "variant": "get_if holds_alternative monostate variant visit",
    "vector": "erase erase_if vector",
}
HEADERS = {name: header for header, names in NAMES.items() for name in names.split()}
# Names that several headers have, by the standard or by what they are for.
ALSO = {"begin": {"array", "span", "string", "string_view", "vector", "map", "set"}, "hash": {"string", "string_view"},
        "size_t": {"cstring", "cstdio"}, "size": {"array", "span", "string", "string_view", "vector"},
        "move": {"algorithm"}, "swap": {"memory", "string"}, "less": {"map", "set"}, "get": {"tuple", "variant", "array"},
        "erase_if": {"map", "set", "string"}, "remove": {"cstdio"}, "count": {"algorithm"}, "errc": {"charconv"}, "initializer_list": {"string", "vector"}}
for shared in ("end", "data", "ssize"):
    ALSO[shared] = ALSO["begin"]
HEADERS["less"] = "functional"  # which no public header includes: the containers that are ordered by it have it
FOREIGN = {r"\bnlohmann::": r"nlohmann/json(_fwd)?\.hpp", r"\bYAML::": r"yaml-cpp/yaml\.h", r"\bprotozero::": r"protozero/\w+\.hpp",
           r"\bEigen::": r"Eigen/\w+|unsupported/Eigen/.+", r"\bxt::": r"xtensor/.+", r"\bov::": r"openvino/.+",
           r"\b(inflate|crc32\w*|z_stream)\b": r"zlib\.h"}


def without_words(text):
    """Comments and what stands in quotes are no code."""
    text = re.sub(r'R"(\w*)\(.*?\)\1"', '""', text, flags=re.S)
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', "", text, flags=re.S)


def reached(text, roots, seen=None):
    """What a header includes of others, itself and through ours."""
    seen = set() if seen is None else seen
    for quote, one in re.findall(r'^ *# *include ([<"])([^>"]+)[>"]', text, flags=re.M):
        path = next((root / one for root in roots if (root / one).is_file()), None) if quote == '"' else None
        if path is not None and one not in seen:
            seen.add(one)
            reached(path.read_text(), roots, seen)
        seen.add(one)
    return seen


def lacking(name, text, roots=()):
    included = set(re.findall(r"^ *# *include <([^>]+)>", text, flags=re.M))
    code = without_words(re.sub(r"^ *# *include [^\n]*", "", text, flags=re.M))
    for used in sorted(set(re.findall(r"\bstd::(?:ranges::)?([a-z_]\w*)", code)) - {"ranges"}):
        header = HEADERS.get(used)
        if header is None:
            yield f"{name}: uses std::{used}, which is not in the table of {Path(__file__).name}"
        elif not included & ({header} | ALSO.get(used, set())):
            yield f"{name}: uses std::{used} and does not include <{header}>"
    for used, header in FOREIGN.items():
        if re.search(used, code) and not any(re.fullmatch(header, one) for one in reached(text, roots)):
            yield f"{name}: uses {re.search(used, code)[0]} and does not lead to its header"


def violations(roots):
    paths = [path for root in roots for path in sorted(root.rglob("*.hpp"))]
    return [line for path in paths for line in lacking(path.as_posix(), path.read_text(), roots + [path.parent])]


def main():
    roots = [Path(folder) for folder in sys.argv[1:]]
    found = violations(roots) or [f"{root}: has no headers" for root in roots if not list(root.rglob("*.hpp"))]
    print("\n".join(found))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
