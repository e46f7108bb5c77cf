#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""guide.py SOURCE_DIR: checks that include/ptq/README.md is true.

Its table of rooms has every folder once, in the order and on the floor that floors.py knows; what it says an addition
touches exists; the row that names a policy as an example has exactly the headers that name this policy; and every list of
policies is some row's.
"""
import re
import sys
from pathlib import Path

import floors

GUIDE = "include/ptq/README.md"
PATH = re.compile(r"`([\w.]+(?:/[\w.]*)+|\w+\.(?:hpp|txt|md))`")


def rows(text, heading):
    """The cells of each row of the table below a heading, without its two first lines."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    lines = [line for line in (section.group(1) if section else "").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def known_rooms(library):
    """(floor, room) of each folder, from the lowest up. A room stands on the lowest floor of its headers."""
    floor_of = {}
    for path in library.glob("*/**/*.hpp"):
        header = path.relative_to(library).as_posix()
        room, floor = header.split("/")[0], floors.floor_of(header)
        if floor is not None:  # else tests/house/floors.py says so
            floor_of[room] = min(floor, floor_of.get(room, floor))
    order = [room for floor in sorted(floors.ROOMS) for room in floors.ROOMS[floor].split()]
    rooms = sorted(floor_of, key=lambda room: (floor_of[room], order.index(room) if room in order else -1))
    return [(str(floor_of[room]), f"`{room}/`") for room in rooms]


def wrong_rooms(library, text):
    told = [(floor, room) for floor, room, _ in rows(text, "Floors and rooms")]
    known = known_rooms(library)
    for floor, room in known:
        if told.count((floor, room)) != 1:
            yield f"{GUIDE}: has {room} on floor {floor} {told.count((floor, room))} times, not once"
    for floor, room in told:
        if (floor, room) not in known:
            yield f"{GUIDE}: has {room} on floor {floor}, where there is no such room"
    if sorted(told) == sorted(known) and told != known:
        yield f"{GUIDE}: has the rooms in another order than tests/house/floors.py: {' '.join(room for _, room in known)}"


def naming(library, name):
    """The headers whose code, without comments and texts, has this name."""
    code = {path.relative_to(library).as_posix(): re.sub(r'//.*|"(?:[^"\\\n]|\\.)*"', "", path.read_text())
            for path in library.rglob("*.hpp")}
    return {header for header, text in code.items() if re.search(rf"\b{name}\b", text)}


def wrong_additions(root, library, text):
    listed = set()
    for kind, example, files in rows(text, "What an addition touches"):
        paths = PATH.findall(files)
        listed.update(paths)
        for path in paths:
            pattern = path.replace("NAME", "*").rstrip("/")
            if not any(next(folder.glob(pattern), None) for folder in (library, root)):
                yield f"{GUIDE}: {kind} touches {path}, which does not exist"
        if example:
            name = example.strip("`")
            told = {path.replace("NAME", name) for path in paths}
            for header in sorted(naming(library, name) - told):
                yield f"{GUIDE}: {kind} touches {header}, too, as {name} does"
            for header in sorted(told - naming(library, name)):
                yield f"{GUIDE}: {kind} does not touch {header}: there is no {name} in it"
    for list_header in floors.LISTS:
        if list_header not in listed:
            yield f"{GUIDE}: no addition touches the list {list_header}"


def violations(root):
    root = Path(root)
    library, text = root / "include/ptq", (root / GUIDE).read_text()
    return [*wrong_rooms(library, text), *wrong_additions(root, library, text)]


if __name__ == "__main__":
    problems = violations(sys.argv[1])
    print("\n".join(problems) or "the guide is true")
    sys.exit(bool(problems))
