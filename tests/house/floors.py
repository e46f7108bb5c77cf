#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""floors.py INCLUDE_DIR HEADER_SETS: checks what the public headers include.

Every header stands on a floor and includes only what its floor allows; every header is reached by exactly the umbrellas
that promise it, or belongs to the optional target that carries its third party; no policy is missing from its list; none
throws.
HEADER_SETS, written by CMake, has a line "<optional target> <header>" for each header of an optional target.
"""
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

# The first pattern that fits a header gives its floor.
FLOORS = [
    ("core.hpp policies.hpp calibrators.hpp", 3),
    ("dtypes.hpp backends.hpp", 1),
    ("version.hpp error.hpp fwd.hpp detail/*", 0),
    ("numeric/* fixed_point/* dtype/* backend/*", 1),
    ("tensor/*", 2),
    ("quantize/error_metrics.hpp calibration/expected_error.hpp", 4),
    ("kernels/threads.hpp", 6),
    ("kernels/* quantize/* calibration/*", 3),
    ("adaptors/*", 5),
    ("config/yaml.hpp file/* data/* formats/* artifact/* formats.hpp engine/* report/*", 7),
    ("result.hpp text/* model/* config/* ptq.hpp", 6),
    ("concepts.hpp", 7),
]

# The rooms of a floor, in their order: a header includes those before its own, never one behind it.
ROOMS = {
    1: "numeric fixed_point dtype backend",
    3: "kernels quantize calibration",
    6: "text config model",
    7: "file data formats artifact formats.hpp engine report config/yaml.hpp",
}

# What a floor may use of the system, beyond the floors below it. Floors 0 to 3 are for firmware: GCC refuses hosted headers
# there with -ffreestanding since version 13. <iostream>, <ranges>, <functional> and <regex> are too dear for any floor.
SYSTEM = {
    0: "bit compare concepts cstddef cstdint initializer_list limits type_traits utility version",
    1: "",
    2: "array span",
    3: "",
    4: "cmath",
    5: "",
    6: "algorithm atomic charconv climits condition_variable cstdio cstdlib cstring deque exception iterator map memory mutex numeric optional"
       " set string string_view system_error thread tuple unordered_map unordered_set variant vector",
    7: "cerrno chrono ctime filesystem",
}

# What one operating system or processor has, and whose business that is. Everything else asks the room file, and not which system it is.
SYSTEMS = {
    "fcntl.h sys/file.h sys/mman.h sys/resource.h sys/stat.h sys/types.h unistd.h":
        "file/posix/* file/run_folder.hpp data/images.hpp",
    "windows.h": "file/windows/*",
    "immintrin.h": "kernels/x86_*",
    "arm_neon.h": "kernels/neon*",
    "arm_mve.h": "kernels/cortex_m*",
}
ASKS = re.compile(r"^\s*#\s*(?:if|elif).*\b(_WIN32|__MINGW\w*|_MSC_VER|__linux__|__unix__|__APPLE__)\b", re.MULTILINE)
MAY_ASK = "file/* detail/platform.hpp"

# The highest floor that a floor sees: itself, but an adaptor is for those who have no more than tensors.
SEES = {5: 2}

# A third party, as the optional target that carries it, and what its headers look like. Floors 5 and 7 may use one.
THIRD_PARTIES = {
    "eigen": r"(unsupported/)?Eigen/",
    "images": r"stb_",
    "json": r"nlohmann/",
    "mpi": r"mpi\.h",
    "onnx": r"protozero/",
    "openvino": r"openvino/",
    "xtensor": r"(xtensor|xtl)/",
    "yaml": r"yaml-cpp/",
    "zlib": r"zlib\.h",
}

# What the interface of a third party takes, allowed where that party is: yaml-cpp parses streams.
INTERFACES = {"yaml": "sstream"}

# Nothing throws. yaml-cpp's parser can only be stopped so; what it is stopped by is caught in the same file.
THROWS = "config/yaml.hpp"

# What of the room model ptq.hpp leaves to be included by name: engines need no hash and write no files, and what
# owns memory brings the containers that most do without.
BY_NAME = "model/model_hash.hpp model/quantized_tensor.hpp model/weight_parts.hpp"

# The list of formats brings what each of them brings, and so does a format that is an archive with JSON in it, or that reads one
# container and writes another; all other headers bring one third party at most.
OF_MANY = "formats.hpp formats/numpy/format.hpp formats/torch/artifact.hpp formats/torch/format.hpp formats/torch/layout.hpp"

# A list, and the folder that has its policies: the files that give themselves a name.
LISTS = {"dtypes.hpp": "dtype", "backends.hpp": "backend", "calibrators.hpp": "calibration"}

NAME = re.compile(r'\bname = "(\w+)"')
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")', re.MULTILINE)


def floor_of(header):
    for patterns, floor in FLOORS:
        if fits(header, patterns):
            return floor
    return None


def room_of(header):
    """The floor's number and the header's place among its rooms; None for headers in none."""
    floor = floor_of(header)
    for place, room in enumerate(ROOMS.get(floor, "").split()):
        if header == room or header.startswith(room + "/"):
            return floor, place
    return None


def system_headers(floor):
    return {name for level in range(SEES.get(floor, floor) + 1) for name in SYSTEM[level].split()}


def fits(header, patterns):
    return any(fnmatch(header, pattern) for pattern in patterns.split())


def owners_of(name):
    """The headers that may include a name that one operating system has; None for other names."""
    return next((owners for names, owners in SYSTEMS.items() if name in names.split()), None)


def third_party_of(name):
    return next((target for target, pattern in THIRD_PARTIES.items() if re.match(pattern, name)), None)


class House:
    """The headers under a folder, and what each includes."""

    def __init__(self, include_dir):
        self.root = Path(include_dir) / "ptq"
        self.text = {str(path.relative_to(self.root)): path.read_text() for path in sorted(self.root.rglob("*.hpp"))}
        self.system = {}   # header -> <names>
        self.own = {}      # header -> "ptq/..." names, without ptq/
        self.foreign = {}  # header -> quoted names that are not ours
        for header, text in self.text.items():
            found = INCLUDE.findall(text)
            self.system[header] = [name for name, _ in found if name]
            quoted = [name for _, name in found if name]
            self.own[header] = [name.removeprefix("ptq/") for name in quoted if name.startswith("ptq/")]
            self.foreign[header] = [name for name in quoted if not name.startswith("ptq/")]

    def reach(self, header):
        """The header and all that it includes."""
        seen, todo = set(), [header]
        while todo:
            at = todo.pop()
            if at not in seen and at in self.text:
                seen.add(at)
                todo += self.own[at]
        return seen

    def third_parties(self, header):
        """Those that the header includes, itself or through others."""
        return {party for at in self.reach(header) for name in self.system[at] if (party := third_party_of(name))}


def is_behind(header, other):
    """Whether the other is in a room of the same floor that comes later."""
    here, there = room_of(header), room_of(other)
    return here is not None and there is not None and here[0] == there[0] and here[1] < there[1]


def wrong_includes(house, header):
    floor = floor_of(header)
    if floor is None:
        yield f"{header}: stands on no floor; add it to FLOORS in tests/house/floors.py"
        return
    for name in house.foreign[header]:
        yield f'{header}: includes "{name}"; write our headers as "ptq/..." and others as <...>'
    for name in house.own[header]:
        other = floor_of(name)
        if name not in house.text:
            yield f'{header}: includes "ptq/{name}", which does not exist'
        elif other is not None and other > SEES.get(floor, floor) and other != floor:
            yield f'{header}: floor {floor} includes "ptq/{name}" of floor {other}; include only downward'
        elif is_behind(header, name):
            yield f'{header}: includes "ptq/{name}" of a room behind its own; the order is: {ROOMS[floor]}'
    taken = {name for party in house.third_parties(header) for name in INTERFACES.get(party, "").split()}
    for name in house.system[header]:
        own_container = floor == 5 and header == f"adaptors/std_{name}.hpp"
        if third_party_of(name):
            if floor not in (5, 7):
                yield f"{header}: floor {floor} includes <{name}>; third parties belong to adaptors and floor 7"
        elif owners_of(name):
            if not fits(header, owners_of(name)):
                yield f"{header}: includes <{name}>, which is for {owners_of(name)}; take what the room file has"
        elif name not in system_headers(floor) | taken and not own_container:
            yield f"{header}: floor {floor} may not include <{name}>"
    if not fits(header, OF_MANY) and len(house.third_parties(header)) > 1:
        yield f"{header}: brings {' and '.join(sorted(house.third_parties(header)))}; one third party a header"


def wrong_owners(house, header_sets):
    """core.hpp has floors 0 to 3; ptq.hpp has those to 5 and the room model, what these include, and no third party; optional
    targets have what needs one. The rest is included by name."""
    owned = {tuple(line.split()) for line in header_sets.splitlines()}
    brought = {(party, header) for header in house.text if not fits(header, OF_MANY) for party in house.third_parties(header)}
    for party, header in sorted(brought - owned):
        yield f"{header}: brings {party}; name it in ptq_optional({party} ...) of CMakeLists.txt"
    of_others = {header for _, header in owned | brought}
    core = {header for header in house.text if floor_of(header) in range(4)}
    engine = {header for header in house.text if floor_of(header) in range(6) or header.startswith("model/")}
    engine -= of_others | set(BY_NAME.split())
    hosted = {header for header in house.text if floor_of(header) in range(7)} - of_others
    for umbrella, wanted, allowed in (("core.hpp", core, core), ("ptq.hpp", engine, hosted)):
        reached = house.reach(umbrella)
        for header in sorted(wanted - reached):
            yield f"{header}: missing from {umbrella}"
        for header in sorted(reached - allowed):
            yield f"{header}: reached from {umbrella}, where it does not belong"


def asking_for_the_system(house):
    for header, text in house.text.items():
        if not fits(header, MAY_ASK):
            for name in ASKS.findall(text):
                yield f"{header}: asks for {name}; only the room file and detail/platform.hpp know which system it is"


def throwing(house):
    for header, text in house.text.items():
        if header != THROWS and re.search(r"\bthrow\b(?!\()", re.sub(r"//.*|\"[^\"\n]*\"", "", text)):
            yield f"{header}: throws; return a status or a result<T>"


def missing_from_lists(house):
    for list_header, folder in LISTS.items():
        members = re.search(r"\busing \w+ = list<([^;]*)>;", house.text[list_header])
        listed = set(re.findall(r"\w+", re.sub(r"//.*", "", members.group(1)))) if members else set()
        for header, text in house.text.items():
            if Path(header).parent != Path(folder):
                continue
            for name in NAME.findall(text):
                if name != Path(header).stem:
                    yield f'{header}: has the name "{name}"; one word for the policy, its file and its YAML value'
                if name not in listed:
                    yield f"{header}: {name} is missing from {list_header}"


def violations(include_dir, header_sets):
    house = House(include_dir)
    found = [message for header in house.text for message in wrong_includes(house, header)]
    return found + [*wrong_owners(house, header_sets), *asking_for_the_system(house), *throwing(house), *missing_from_lists(house)]


if __name__ == "__main__":
    problems = violations(sys.argv[1], Path(sys.argv[2]).read_text())
    print("\n".join(problems) or "every header is on its floor")
    sys.exit(bool(problems))
