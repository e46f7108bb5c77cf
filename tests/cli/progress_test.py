# SPDX-License-Identifier: Apache-2.0
"""A run shows how far it is on a terminal, and leaves the line clean; elsewhere it shows nothing."""
import os
import pty
import subprocess
import sys

from command import CommandTest, LENET, PTQ, WEIGHT_ONLY, floats, main, safetensors


def all_of(terminal):
    """What is written to a terminal until nobody holds its other end."""
    seen = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux says EIO at the end
            part = b""
        if not part:
            return seen.decode()
        seen += part


def screen(text):
    """The lines that a terminal shows: "\r" goes to the beginning of a line, "\x1b[K" clears what follows."""
    lines = []
    for line in text.split("\n"):
        shown = ""
        for part in line.split("\r"):
            cleared = part.startswith("\x1b[K")
            part = part.removeprefix("\x1b[K")
            shown = part if cleared else part + shown[len(part):]
        lines.append(shown)
    return lines


class Progress(CommandTest):
    def on_a_terminal(self, *arguments):
        terminal, end = pty.openpty()
        self.addCleanup(os.close, terminal)
        process = subprocess.Popen([PTQ, *map(str, arguments)], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=end)
        os.close(end)
        said = all_of(terminal)
        self.assertEqual(process.wait(timeout=60), 0, said)
        return said

    def test_quantize(self):
        arguments = ("quantize", "-e", WEIGHT_ONLY, f"model_path={LENET}", "results_dir=out",
                     "quantize.skip_names=[no_such_layer]")
        said = self.on_a_terminal(*arguments)
        self.assertIn("\r\x1b[K[1/2] fc1", said)
        self.assertIn("\r\x1b[K[2/2] fc2", said)
        lines = screen(said)
        self.assertFalse([line for line in lines if "[1/2]" in line or "[2/2]" in line], lines)
        self.assertEqual(lines[-1], "")
        piped = self.ptq(*arguments)
        self.assertEqual([line for line in lines if line], piped.stderr.splitlines())  # the warnings stay
        self.assertNotIn("\x1b", piped.stderr + piped.stdout)
        self.assertNotIn("/2]", piped.stderr + piped.stdout)

    def test_compare(self):
        said = self.on_a_terminal("compare", LENET, LENET)
        self.assertIn("[8/8] fc2.weight", said)
        self.assertEqual(screen(said), [""])
        self.assertEqual(self.ptq("compare", LENET, LENET).stderr, "")

    def test_names_do_not_steer_the_terminal(self):
        model = self.write("model.safetensors", safetensors({"\x1b[31m\nred" + "é" * 90: ("F32", [1], floats(1))}))
        said = self.on_a_terminal("compare", model, model)
        self.assertIn("\r\x1b[K[1/1] \\x1b[31m\\nredéé", said)
        self.assertIn("éé...éé", said)
        self.assertEqual(screen(said), [""])


def require_terminals():
    """A bare chroot has none: the test is skipped then (77)."""
    try:
        for end in pty.openpty():
            os.close(end)
    except OSError as problem:
        print(f"skipped: this machine has no pseudo-terminals ({problem})")
        sys.exit(77)


if __name__ == "__main__":
    require_terminals()
    main()
