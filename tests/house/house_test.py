#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""house_test.py: the checks of this folder find what they look for. Each test breaks one rule in a small house."""
import tempfile
import unittest
from pathlib import Path

import files
import floors
import guide
import readme
import std_includes


def header(name, body="", first="/// @file {base} Something.\n"):
    guard = "PTQ_" + name.replace("/", "_").replace(".", "_").upper()
    first = first.format(base=name.rsplit("/", 1)[-1])
    return f"// SPDX-License-Identifier: Apache-2.0\n{first}#ifndef {guard}\n#define {guard}\n{body}\n#endif  // {guard}\n"


SOUND = {
    "core.hpp": '#include "ptq/backends.hpp"\n#include "ptq/calibrators.hpp"\n#include "ptq/dtypes.hpp"',
    "ptq.hpp": '#include "ptq/core.hpp"\n#include "ptq/model/layer.hpp"\n#include "ptq/adaptors/std_vector.hpp"',
    "dtypes.hpp": '#include "ptq/dtype/int8.hpp"\nusing dtypes = list<int8>;',
    "dtype/int8.hpp": '#include <cstdint>\nstruct int8 { static constexpr const char* name = "int8"; };',
    "backends.hpp": "using backends = list<>;",
    "calibrators.hpp": "#include <span>\nusing calibrators = list<>;",
    "adaptors/std_vector.hpp": "#include <vector>",
    "adaptors/eigen.hpp": "#include <Eigen/Core>",
    "model/layer.hpp": "#include <string>",
}
SETS = "eigen adaptors/eigen.hpp\n"


class HouseTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)
        for name, body in SOUND.items():
            self.write(name, header(name, body))

    def write(self, name, text):
        path = self.root / "include/ptq" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def add(self, name, line):
        self.write(name, header(name, SOUND[name] + "\n" + line))

    def assert_floors(self, *wanted, sets=SETS):
        self.assertEqual(floors.violations(self.root / "include", sets), list(wanted))

    def assert_files(self, *wanted):
        self.assertEqual(files.violations(self.root), list(wanted))

    def test_a_sound_house(self):
        self.assert_floors()
        self.assert_files()

    def assert_includes(self, *wanted):
        prefix = (self.root / "include").as_posix() + "/ptq/"
        self.assertEqual(std_includes.violations([self.root / "include"]), [prefix + line for line in wanted])

    def test_what_is_used_is_included(self):
        self.assert_includes()
        self.add("model/layer.hpp", "std::vector<int> a;  // std::map\nstd::ranges::sort(a); \"std::set\";")
        self.assert_includes("model/layer.hpp: uses std::sort and does not include <algorithm>",
                             "model/layer.hpp: uses std::vector and does not include <vector>")
        self.write("model/layer.hpp", header("model/layer.hpp", "std::unheard_of a;"))
        self.assert_includes("model/layer.hpp: uses std::unheard_of, which is not in the table of std_includes.py")

    def test_others_are_reached(self):
        self.add("model/layer.hpp", "nlohmann::json a;")
        self.assert_includes("model/layer.hpp: uses nlohmann:: and does not lead to its header")
        self.write("text/json.hpp", header("text/json.hpp", "#include <nlohmann/json.hpp>"))
        self.add("model/layer.hpp", '#include "ptq/text/json.hpp"\nnlohmann::json a;')
        self.assert_includes()

    def test_a_header_on_no_floor(self):
        self.write("misc/all.hpp", header("misc/all.hpp"))
        self.add("ptq.hpp", '#include "ptq/misc/all.hpp"')
        self.assertIn("misc/all.hpp: stands on no floor; add it to FLOORS in tests/house/floors.py",
                      floors.violations(self.root / "include", SETS))

    def test_an_include_upward(self):
        self.add("model/layer.hpp", '#include "ptq/formats/numpy/npy.hpp"')
        self.write("formats/numpy/npy.hpp", header("formats/numpy/npy.hpp"))
        self.assert_floors('model/layer.hpp: floor 6 includes "ptq/formats/numpy/npy.hpp" of floor 7; include only downward',
                           "formats/numpy/npy.hpp: reached from ptq.hpp, where it does not belong")

    def test_an_include_of_a_room_behind(self):
        self.write("text/words.hpp", header("text/words.hpp", '#include "ptq/model/layer.hpp"'))
        self.add("ptq.hpp", '#include "ptq/text/words.hpp"')
        self.assert_floors('text/words.hpp: includes "ptq/model/layer.hpp" of a room behind its own; the order is: text config model')
        self.write("text/words.hpp", header("text/words.hpp"))
        self.write("file/path.hpp", header("file/path.hpp", '#include "ptq/data/array.hpp"'))
        self.write("data/array.hpp", header("data/array.hpp"))
        self.assert_floors('file/path.hpp: includes "ptq/data/array.hpp" of a room behind its own; '
                           "the order is: file data formats artifact formats.hpp engine report config/yaml.hpp")
        self.write("file/path.hpp", header("file/path.hpp"))
        self.write("data/array.hpp", header("data/array.hpp", '#include "ptq/file/path.hpp"'))
        self.assert_floors()

    def test_what_is_included_by_name(self):
        self.write("formats/numpy/npy.hpp", header("formats/numpy/npy.hpp"))
        self.write("config/reader.hpp", header("config/reader.hpp"))
        self.assert_floors()
        self.write("model/plan.hpp", header("model/plan.hpp"))
        self.assert_floors("model/plan.hpp: missing from ptq.hpp")

    def test_an_adaptor_sees_tensors_only(self):
        self.add("adaptors/std_vector.hpp", '#include "ptq/core.hpp"')
        self.assert_floors(
            'adaptors/std_vector.hpp: floor 5 includes "ptq/core.hpp" of floor 3; include only downward')

    def test_a_hosted_header_in_the_core(self):
        for name in ("string", "cmath", "cassert", "iostream"):
            self.add("dtype/int8.hpp", f"#include <{name}>")
            self.assert_floors(f"dtype/int8.hpp: floor 1 may not include <{name}>")

    def test_a_header_of_one_system(self):
        self.write("file/path.hpp", header("file/path.hpp", "#include <windows.h>"))
        self.assert_floors("file/path.hpp: includes <windows.h>, which is for file/windows/*; take what the room file has")
        self.write("file/path.hpp", header("file/path.hpp", '#ifdef _WIN32\n#include "ptq/file/windows/path.hpp"\n#endif'))
        self.write("file/windows/path.hpp", header("file/windows/path.hpp", "#include <windows.h>"))
        self.assert_floors()
        self.write("file/windows/path.hpp", header("file/windows/path.hpp", "#include <unistd.h>"))
        self.assert_floors("file/windows/path.hpp: includes <unistd.h>, which is for file/posix/* file/run_folder.hpp "
                           "data/images.hpp; take what the room file has")

    def test_a_question_for_the_system(self):
        self.add("model/layer.hpp", "#if defined(_WIN32)\n#endif")
        self.assert_floors("model/layer.hpp: asks for _WIN32; only the room file and detail/platform.hpp know which system it is")

    def test_a_throw(self):
        self.add("model/layer.hpp", "inline void stop() { throw 1; }  // throws")
        self.assert_floors("model/layer.hpp: throws; return a status or a result<T>")
        self.add("model/layer.hpp", 'inline const char* what() { return "a throw"; }  // nor does a throw here')
        self.assert_floors()

    def test_a_dear_header_anywhere(self):
        for name in ("iostream", "ranges", "functional", "regex"):
            self.add("ptq.hpp", f"#  include <{name}>")
            self.assert_floors(f"ptq.hpp: floor 6 may not include <{name}>")

    def test_what_a_third_party_takes(self):
        self.write("config/yaml.hpp", header("config/yaml.hpp", "#include <yaml-cpp/yaml.h>\n#include <sstream>"))
        self.write("formats/text.hpp", header("formats/text.hpp", "#include <sstream>"))
        self.assert_floors("formats/text.hpp: floor 7 may not include <sstream>", sets=SETS + "yaml config/yaml.hpp\n")

    def test_two_libraries_in_an_adaptor(self):
        self.add("adaptors/std_vector.hpp", "#include <string>")
        self.assert_floors("adaptors/std_vector.hpp: floor 5 may not include <string>")
        self.add("adaptors/std_vector.hpp", "")
        self.add("adaptors/eigen.hpp", "#include <xtensor/xview.hpp>")
        self.assert_floors("adaptors/eigen.hpp: brings eigen and xtensor; one third party a header",
                           sets=SETS + "xtensor adaptors/eigen.hpp")

    def test_a_third_party_where_none_belongs(self):
        self.add("model/layer.hpp", "#include <nlohmann/json.hpp>")
        self.assertEqual(
            floors.violations(self.root / "include", SETS)[0],
            "model/layer.hpp: floor 6 includes <nlohmann/json.hpp>; third parties belong to adaptors and floor 7")

    def test_a_third_party_of_no_target(self):
        self.assert_floors("adaptors/eigen.hpp: brings eigen; name it in ptq_optional(eigen ...) of CMakeLists.txt",
                           sets="")

    def test_a_third_party_in_an_umbrella(self):
        self.add("ptq.hpp", '#include "ptq/adaptors/eigen.hpp"')
        self.assertIn("adaptors/eigen.hpp: reached from ptq.hpp, where it does not belong",
                      floors.violations(self.root / "include", SETS))

    def test_a_header_of_no_umbrella(self):
        self.write("tensor/view.hpp", header("tensor/view.hpp"))
        self.assert_floors("tensor/view.hpp: missing from core.hpp", "tensor/view.hpp: missing from ptq.hpp")

    def test_a_header_that_is_not_there(self):
        self.add("model/layer.hpp", '#include "ptq/model/plan.hpp"')
        self.assert_floors('model/layer.hpp: includes "ptq/model/plan.hpp", which does not exist')

    def test_quotes_around_another_header(self):
        self.add("model/layer.hpp", '#include "layer.h"')
        self.assert_floors('model/layer.hpp: includes "layer.h"; write our headers as "ptq/..." and others as <...>')

    def test_a_policy_that_is_not_in_its_list(self):
        self.write("dtype/int4.hpp", header("dtype/int4.hpp", 'static constexpr const char* name = "int4";'))
        self.add("dtypes.hpp", '#include "ptq/dtype/int4.hpp"')
        self.assert_floors("dtype/int4.hpp: int4 is missing from dtypes.hpp")

    def test_a_policy_with_two_words(self):
        self.write("dtype/int8.hpp", header("dtype/int8.hpp", 'static constexpr const char* name = "i8";'))
        self.assertIn('dtype/int8.hpp: has the name "i8"; one word for the policy, its file and its YAML value',
                      floors.violations(self.root / "include", SETS))

    def test_a_file_without_license(self):
        (self.root / "tool.py").write_text("print()\n")
        self.assert_files("tool.py: does not start with SPDX-License-Identifier: Apache-2.0")

    def test_a_second_printer(self):
        command = self.root / "examples/cli"
        command.mkdir(parents=True)
        for name in ("plan.cpp", "output.cpp"):
            (command / name).write_text("// SPDX-License-Identifier: Apache-2.0\nvoid f() { std::puts(\"name\"); }\n")
        self.assert_files("examples/cli/plan.cpp:2: prints; only examples/cli/output.cpp does, so that no name reaches a terminal "
                          "as it is")

    def test_an_example_that_looks_inside(self):
        engine = self.root / "examples/tiny_engine"
        engine.mkdir(parents=True)
        for line in ("int n = ptq::detail::count();", "using namespace ptq::detail;", "namespace inside = ptq::detail;"):
            (engine / "graph.hpp").write_text(f"// SPDX-License-Identifier: Apache-2.0\n{line}\n")
            self.assert_files("examples/tiny_engine/graph.hpp:2: uses ptq::detail; make public what users need, or write it here: " + line)
        (engine / "graph.hpp").write_text("// SPDX-License-Identifier: Apache-2.0\nint n = detail::count();  // our own\n")
        self.assert_files()

    def test_a_long_file(self):
        self.add("model/layer.hpp", "\n" * files.MOST_LINES)
        self.assertRegex(files.violations(self.root)[0], r"^include/ptq/model/layer.hpp: has 9\d\d lines")

    def test_a_long_example(self):
        for name, lines in (("04_quantized_tensor", 26), ("03_inference_engine", 24), ("05_run_time", 25)):
            path = self.root / f"examples/{name}.cpp"
            path.parent.mkdir(exist_ok=True)
            path.write_text("// SPDX-License-Identifier: Apache-2.0\n" + "\n" * (lines - 1))
        self.assertEqual(files.violations(self.root),
                         ["examples/04_quantized_tensor.cpp: has 26 lines; 25 show how little it takes"])

    def test_forbidden_words(self):
        for line in ("// see /" + "work/x", "// TO" + "DO later", "// is" + "sue 3", "// pypi." + "org"):
            self.add("model/layer.hpp", line)
            found = files.violations(self.root)
            self.assertEqual(len(found), 1, line)
            self.assertIn("include/ptq/model/layer.hpp:6: names ", found[0])

    def test_a_header_that_does_not_name_itself(self):
        self.write("model/layer.hpp", header("model/layer.hpp", SOUND["model/layer.hpp"], first="/// A layer.\n"))
        self.assert_files(
            "ptq/model/layer.hpp: its first comment does not say: /// @file layer.hpp <what it is>")

    def test_a_guard_of_another_header(self):
        self.write("model/layer.hpp", header("model/plan.hpp", "#include <string>",
                                             first="/// @file layer.hpp A layer.\n"))
        self.assert_files("ptq/model/layer.hpp: its include guard is not PTQ_MODEL_LAYER_HPP")

    def write_pages(self):
        """The README and the other pages, whose programs are examples."""
        for name in readme.PAGES:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text("# A page\n")
        (self.root / f"{readme.FIRST}.cpp").write_text('// What it is.\n#include "ptq/core.hpp"\nint main() {\n  more();\n}\n')
        (self.root / f"{readme.SECOND}.cpp").write_text("// What it is.\n#include <cstdio>\nint main() {}\n")
        (self.root / f"{readme.SECOND}.expected").write_text("done\n")
        for name, text in zip(readme.SHOWN, ("int a;\nint b;\n", "int d;\n"), strict=True):
            (self.root / name).write_text(text)
        (self.root / readme.GUIDE).write_text("```cpp\nint b;\n```\n```cpp\nint d;\n```\n")
        page = self.root / "README.md"
        page.write_text('```cpp\n#include "ptq/core.hpp"\nint main() {\n}\n```\n'
                        "```cpp\n#include <cstdio>\nint main() {}\n```\n\n```\ndone\n```\n")
        return page

    def test_a_readme_that_shows_another_program(self):
        page = self.write_pages()
        self.assertEqual(readme.violations(self.root), [])
        sound = page.read_text()
        page.write_text(sound.replace("main() {}", "other() {}").replace("done", "failed"))
        self.assertEqual(readme.violations(self.root),
                         ["README.md: has no code block that is examples/02_model.cpp, from its first #include on",
                          "README.md: has no code block that is examples/02_model.expected"])
        page.write_text(sound.replace("int main() {\n}", "}\nint main() {"))
        self.assertEqual(readme.violations(self.root),
                         ["README.md: its first program does not include ptq/core.hpp, or has lines that "
                          "examples/01_quantize.cpp has not, in this order"])

    def test_a_guide_that_shows_other_code(self):
        self.write_pages()
        for text in ("# A page\n", "```cpp\nint c;\n```\n", "```cpp\nint b;\nint a;\n```\n"):
            (self.root / readme.GUIDE).write_text(text)
            self.assertEqual(readme.violations(self.root), [f"{readme.GUIDE}: its code is not that of {' or '.join(readme.SHOWN)}"])

    def test_a_link_that_leads_nowhere(self):
        page = self.write_pages()
        page.write_text(page.read_text() + "# What is promised\n[a](#what-is-promised) [b](examples/cli/README.md#a-page) [c](x.md) [d](#no)\n")
        self.assertEqual(readme.violations(self.root), ["README.md: links to x.md, which does not exist",
                                                        "README.md: links to #no, which is no heading of this page"])

    def test_a_path_that_leads_nowhere(self):
        page = self.write_pages()
        page.write_text(page.read_text() + "`ptq/core.hpp` `examples/02_model.cpp` `examples/` `ptq/io/path.hpp` `tests/gone.sh`\n")
        self.assertEqual(readme.violations(self.root), ["README.md: names ptq/io/path.hpp, which does not exist",
                                                        "README.md: names tests/gone.sh, which does not exist"])

    ROOMS = ["| 1 | `dtype/` | codes |", "| 5 | `adaptors/` | tensors |", "| 6 | `model/` | layers |"]
    ADDITIONS = ["| a dtype | `int8` | `dtype/NAME.hpp`, `dtypes.hpp` |", "| a list | | `backends.hpp`, `calibrators.hpp`, `dtype/` |"]

    def assert_guide(self, rooms, additions, *wanted):
        head = "| a | b | c |\n| --- | --- | --- |\n"
        (self.root / guide.GUIDE).write_text("# A page\n\n## Floors and rooms\n\n" + head + "\n".join(rooms) +
                                             "\n\n## What an addition touches\n\n" + head + "\n".join(additions) + "\n")
        self.assertEqual(guide.violations(self.root), [f"{guide.GUIDE}: {text}" for text in wanted])

    def test_a_true_guide(self):
        self.assert_guide(self.ROOMS, self.ADDITIONS)

    def test_rooms_of_a_guide(self):
        self.assert_guide(self.ROOMS[1:], self.ADDITIONS, "has `dtype/` on floor 1 0 times, not once")
        self.assert_guide(self.ROOMS + self.ROOMS[:1], self.ADDITIONS, "has `dtype/` on floor 1 2 times, not once")
        self.assert_guide([*self.ROOMS, "| 7 | `io/` | files |"], self.ADDITIONS,
                          "has `io/` on floor 7, where there is no such room")
        self.write("text/table.hpp", header("text/table.hpp"))
        self.assert_guide([*self.ROOMS, "| 6 | `text/` | words |"], self.ADDITIONS,
                          "has the rooms in another order than tests/house/floors.py: `dtype/` `adaptors/` `text/` `model/`")

    def test_additions_of_a_guide(self):
        self.assert_guide(self.ROOMS, [self.ADDITIONS[0], "| a list | | `backends.hpp`, `engine/NAME.hpp` |"],
                          "a list touches engine/NAME.hpp, which does not exist", "no addition touches the list calibrators.hpp")
        self.write("fwd.hpp", header("fwd.hpp", "struct int8;  // and a list"))
        self.assert_guide(self.ROOMS, self.ADDITIONS, "a dtype touches fwd.hpp, too, as int8 does")
        self.write("fwd.hpp", header("fwd.hpp", 'inline const char* of() { return "int8"; }  // int8'))
        more = self.ADDITIONS[0].replace("`dtypes.hpp`", "`dtypes.hpp`, `fwd.hpp`")
        self.assert_guide(self.ROOMS, [more, self.ADDITIONS[1]], "a dtype does not touch fwd.hpp: there is no int8 in it")


if __name__ == "__main__":
    unittest.main()
