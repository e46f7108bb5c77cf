# SPDX-License-Identifier: Apache-2.0
"""form_test.py HEADER: the tables of form.hpp are those of the operators' schemas, versions 7 and later."""
import re
import sys
from collections import defaultdict
from pathlib import Path

from onnx import defs

KINDS = {"real": "FLOAT", "integer": "INT", "text": "STRING", "tensor": "TENSOR", "graph": "GRAPH", "reals": "FLOATS",
         "integers": "INTS", "texts": "STRINGS"}
EXCEPTIONS = {"value", "seed"}  # form.hpp has a line for each


def schemas():
    """Those of standard operators that are in force in operator set 7 or later."""
    versions = defaultdict(list)
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            versions[schema.name].append(schema)
    for history in versions.values():
        history.sort(key=lambda schema: schema.since_version)
        for schema, later in zip(history, [*history[1:], None]):
            if not schema.deprecated and (later is None or later.since_version > 7):
                yield schema


def tables(text):
    """{number or kind: its words}: string literals after `{5,` and `{type::integer,`."""
    found = {}
    for key, literals in re.findall(r'\{(\d+|type::\w+),((?:\s*"[^"]*")+)\}', text):
        found[key.removeprefix("type::")] = set("".join(re.findall(r'"([^"]*)"', literals)).split())
    return found


def main(header):
    found = tables(Path(header).read_text())
    least, kinds = {}, defaultdict(set)
    for schema in schemas():
        least[schema.name] = min(least.get(schema.name, 99), schema.min_input)
        for attribute in schema.attributes.values():
            kinds[attribute.name].add(str(attribute.type).rsplit(".", maxsplit=1)[-1])
    ours = {name: int(count) for count, names in found.items() if count.isdigit() for name in names}
    wrong = {name for name, count in least.items() if ours.get(name, 1) != count} | {name for name in ours if name not in least}
    for name, wanted in kinds.items():
        listed = {KINDS[kind] for kind, names in found.items() if kind in KINDS and name in names}
        if name not in EXCEPTIONS and wanted <= set(KINDS.values()) and listed != wanted:
            wrong.add(name)
    assert not wrong, sorted(wrong)
    print(f"{len(least)} operators, {len(kinds)} attributes")


if __name__ == "__main__":
    main(sys.argv[1])
