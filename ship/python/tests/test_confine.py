"""Attack cases of the one function that confines paths."""

import os
import shutil
import socket
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from shipyard_files import OPERATIONS, open_regular  # noqa: E402
from shipyard_runner.confine import Workspace  # noqa: E402
from shipyard_runner.errors import RunnerError  # noqa: E402


class WorkspaceCase(unittest.TestCase):
    def setUp(self):
        self.home = os.path.realpath(tempfile.mkdtemp(prefix="shipyard-confine-"))
        self.addCleanup(shutil.rmtree, self.home, True)
        self.root = os.path.join(self.home, "workspace")
        os.mkdir(self.root)
        self.secret = os.path.join(self.home, "secret.txt")
        self.write(self.secret, "secret")
        self.workspace = Workspace(self.root)

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def write(self, path, text):
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)

    def read(self, path):
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()

    def operate(self, operation, **arguments):
        return OPERATIONS[operation](self.workspace, arguments)

    def refuse(self, reason, operation, **arguments):
        with self.assertRaises(RunnerError) as caught:
            self.operate(operation, **arguments)
        self.assertEqual((caught.exception.reason, caught.exception.message)[0], reason, caught.exception.message)
        return caught.exception.message


class Confinement(WorkspaceCase):
    def assert_outside(self, path):
        denied = "Access denied: path must be within workspace " + self.root
        for operation, more in (
            ("readText", {}),
            ("writeText", {"content": "x"}),
            ("writeText", {"content": "x", "append": True}),
            ("editText", {"oldString": "secret", "newString": "x"}),
            ("listDirectory", {}),
            ("fileInfo", {}),
            ("makeDirectory", {}),
        ):
            self.assertEqual(self.refuse("PATH_OUTSIDE_WORKSPACE", operation, path=path, **more), denied)
        self.assertEqual(self.read(self.secret), "secret")

    def test_dots_lead_nowhere(self):
        for path in ("..", "../secret.txt", "a/../../secret.txt", "./.././secret.txt", "../workspace2", "../../etc/passwd"):
            with self.subTest(path):
                os.makedirs(self.path("a"), exist_ok=True)
                self.assert_outside(path)

    def test_absolute_paths_outside(self):
        for path in ("/", "/etc/passwd", self.home, self.secret, self.root + "2/x", self.root + "/../secret.txt"):
            with self.subTest(path):
                self.assert_outside(path)

    def test_links_that_lead_out(self):
        os.symlink(self.secret, self.path("absolute"))
        os.symlink("../secret.txt", self.path("relative"))
        os.symlink("relative", self.path("twice"))
        os.symlink("/etc", self.path("directory"))
        os.symlink("../outside-and-missing", self.path("dangling"))
        for path in ("absolute", "relative", "twice", "directory", "directory/passwd", "dangling"):
            with self.subTest(path):
                self.assert_outside(path)

    def test_what_comes_back_is_inside(self):
        self.write(self.path("file"), "text")
        os.symlink(self.path("file"), self.path("absolute"))
        os.symlink("../workspace/file", self.path("around"))
        for path in ("file", "./file", self.path("file"), "../workspace/file", "/./" + self.path("file"), "absolute", "around", "file/"):
            with self.subTest(path):
                answer = self.operate("readText", path=path)
                self.assertEqual((answer["content"], answer["path"]), ("text", self.path("file")))

    def test_dots_are_taken_after_links_as_the_kernel_does(self):
        os.makedirs(self.path("deep/er"))
        self.write(self.path("deep/x"), "deep")
        os.symlink("deep/er", self.path("link"))
        self.assertEqual(self.operate("readText", path="link/../x")["content"], "deep")

    def test_link_loops_and_long_names_end(self):
        os.symlink("b", self.path("a"))
        os.symlink("a", self.path("b"))
        self.assertIn("[Errno 40]", self.refuse("FILE_OPERATION_FAILED", "readText", path="a"))
        self.assertIn("[Errno 36]", self.refuse("FILE_OPERATION_FAILED", "readText", path="x" * 300))
        self.assertIn("[Errno 36]", self.refuse("FILE_OPERATION_FAILED", "readText", path="a/" * 4000))
        self.assertEqual(self.refuse("FILE_OPERATION_FAILED", "readText", path="a\0b"), "embedded null byte")
        self.refuse("FILE_OPERATION_FAILED", "readText", path="\ud800")

    def test_nothing_but_regular_files_is_opened(self):
        os.mkfifo(self.path("fifo"))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path("socket"))
            os.symlink("fifo", self.path("link"))
            for path in ("fifo", "socket", "link", "."):
                with self.subTest(path):
                    message = "Path is not a file: " + path
                    self.assertEqual(self.refuse("PATH_WRONG_KIND", "readText", path=path), message)
                    self.assertEqual(self.refuse("PATH_WRONG_KIND", "writeText", path=path, content="x"), message)
                    self.assertEqual(self.refuse("PATH_WRONG_KIND", "writeText", path=path, content="x", append=True), message)

    def test_names_that_are_no_utf8_are_listed_and_removed(self):
        os.mkdir(self.path("d"))
        with open(os.fsencode(self.path("d")) + b"/\xff.txt", "w", encoding="utf-8"):
            pass
        self.assertEqual([entry["name"] for entry in self.operate("listDirectory", path="d")["files"]], ["\ufffd.txt"])
        self.operate("deleteFile", path="d")
        self.assertFalse(os.path.exists(self.path("d")))

    def test_a_directory_that_turns_into_a_link_lets_nobody_out(self):
        """A racer swaps a directory for a link to the outside as fast as it can."""
        os.mkdir(self.path("real"))
        self.write(self.path("real/secret.txt"), "mine")
        stop = threading.Event()

        def race():
            while not stop.is_set():
                os.rename(self.path("real"), self.path("hidden"))
                os.symlink(self.home, self.path("real"))
                os.unlink(self.path("real"))
                os.rename(self.path("hidden"), self.path("real"))

        racer = threading.Thread(target=race)
        racer.start()
        try:
            seen = set()
            began = time.monotonic()
            while time.monotonic() < began + 1.5 or ("mine" not in seen and time.monotonic() < began + 30):
                try:
                    seen.add(self.operate("readText", path="real/secret.txt")["content"])
                except RunnerError as error:
                    seen.add(error.reason)
        finally:
            stop.set()
            racer.join()
        self.assertNotIn("secret", seen)
        self.assertIn("mine", seen)

    def test_a_removed_workspace_is_made_again(self):
        shutil.rmtree(self.root)
        self.operate("writeText", path="a/b", content="x")
        self.assertEqual(self.read(self.path("a/b")), "x")

    def test_a_workspace_that_is_a_link_is_refused(self):
        shutil.rmtree(self.root)
        os.symlink("/etc", self.root)
        self.refuse("FILE_NOT_FOUND", "readText", path="passwd")
        self.refuse("FILE_OPERATION_FAILED", "writeText", path="x", content="x")


class OpenRegular(WorkspaceCase):
    def test_a_link_put_in_place_after_the_look_is_not_followed(self):
        real_lstat = os.stat
        self.write(self.path("file"), "mine")

        def swapping(name, *, dir_fd=None, follow_symlinks=True):
            status = real_lstat(name, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
            if name == "file":
                os.unlink(self.path("file"))
                os.symlink(self.secret, self.path("file"))
            return status

        os.stat = swapping
        try:
            with self.assertRaises(RunnerError):
                open_regular(self.workspace, "file")
        finally:
            os.stat = real_lstat


if __name__ == "__main__":
    unittest.main()
