#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""macros.py COMPILER [FLAG ...]: our headers define no macro but PTQ_*, and undefine none of others."""
import subprocess
import sys


def macros_after(command, source):
    """All macros that are defined at the end of a source: {name: definition}."""
    listing = subprocess.run([*command, "-dM", "-E", "-x", "c++", "-"], input=source, capture_output=True, text=True)
    if listing.returncode:
        sys.exit(listing.stderr)
    definitions = (line.removeprefix("#define ") for line in listing.stdout.splitlines())
    return {definition.split("(")[0].split()[0]: definition for definition in definitions}


def changed(command, source):
    """What a source changes in the macros of the foreign headers."""
    foreign = '#include "foreign.hpp"\n'
    before, after = macros_after(command, foreign), macros_after(command, foreign + source)
    defined = {name for name, text in after.items() if before.get(name) != text and not name.startswith("PTQ_")}
    return sorted(defined | (before.keys() - after.keys()))


def main(command):
    if changed(command, "#define LOUD 1\n#undef INT_MAX\n#define PTQ_QUIET\n") != ["INT_MAX", "LOUD"]:
        sys.exit("this check does not see a macro")
    leaked = changed(command, '#include "first.hpp"\n')
    if leaked:
        sys.exit("headers define or undefine: " + " ".join(leaked))


main(sys.argv[1:])
