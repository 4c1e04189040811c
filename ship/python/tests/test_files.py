"""What each file operation does, and the texts of its failures, which are part of the HTTP contract."""

import os
import stat
import unittest
from unittest import mock

from test_confine import WorkspaceCase

from shipyard_files import MAX_TEXT_BYTES
from shipyard_runner import new_file, remove_tree


class ReadText(WorkspaceCase):
    def test_line_ends_stay(self):
        self.write(self.path("f"), "a\r\nb\nc\rd")
        self.assertEqual(self.operate("readText", path="f"), {"content": "a\r\nb\nc\rd", "path": self.path("f"), "sizeBytes": 8})

    def test_windows_of_lines(self):
        self.write(self.path("f"), "1\n2\r\n3\u2028x\n4")
        for offset, limit, content in (
            (None, None, "1\n2\r\n3\u2028x\n4"),
            (2, None, "2\r\n3\u2028x\n4"),
            (2, 1, "2\r\n"),
            (0, 1, "1\n"),
            (-5, 1, "1\n"),
            (1, 0, ""),
            (None, -1, "1\n2\r\n3\u2028x\n"),
            (9, 5, ""),
        ):
            with self.subTest(offset=offset, limit=limit):
                self.assertEqual(self.operate("readText", path="f", offset=offset, limit=limit)["content"], content)

    def test_failures(self):
        with open(self.path("latin"), "wb") as file:
            file.write(b"\xff")
        os.mkdir(self.path("d"))
        for path, encoding, reason, message in (
            ("no", None, "FILE_NOT_FOUND", "File not found: no"),
            ("latin/x", None, "FILE_NOT_FOUND", "File not found: latin/x"),
            ("d", None, "PATH_WRONG_KIND", "Path is not a file: d"),
            ("latin", None, "ENCODING_FAILED", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
            ("latin", "klingon", "ENCODING_FAILED", "unknown encoding: klingon"),
            ("latin", "hex", "ENCODING_FAILED", "unknown encoding: hex"),
        ):
            with self.subTest(path=path, encoding=encoding):
                self.assertEqual(self.refuse(reason, "readText", path=path, encoding=encoding), message)
        self.assertEqual(self.operate("readText", path="latin", encoding="latin-1")["content"], "ÿ")

    def test_text_is_bounded(self):
        with open(self.path("big"), "wb") as file:
            file.truncate(MAX_TEXT_BYTES + 1)
        self.refuse("TOO_LARGE", "readText", path="big")

    @unittest.skipIf(os.geteuid() == 0, "root reads everything")
    def test_permission(self):
        self.write(self.path("f"), "")
        os.chmod(self.path("f"), 0)
        self.assertEqual(self.refuse("FILE_OPERATION_FAILED", "readText", path="f"), "[Errno 13] Permission denied: 'f'")


class WriteText(WorkspaceCase):
    def setUp(self):
        super().setUp()
        previous = os.umask(0o077)
        self.addCleanup(os.umask, previous)

    def mode(self, *parts):
        return stat.S_IMODE(os.stat(self.path(*parts)).st_mode)

    def test_makes_parents_and_sets_modes(self):
        answer = self.operate("writeText", path="a/b/c.txt", content="é\r\n")
        self.assertEqual(answer, {"path": self.path("a/b/c.txt"), "sizeBytes": 4})
        self.assertEqual((self.mode("a"), self.mode("a/b/c.txt")), (0o700, 0o600))
        self.operate("writeText", path="a/b/c.txt", content="x", mode=0o755)
        self.assertEqual(self.mode("a/b/c.txt"), 0o755)
        self.operate("writeText", path="a/b/c.txt", content="y")
        self.assertEqual((self.read(self.path("a/b/c.txt")), self.mode("a/b/c.txt")), ("y", 0o755))

    def test_writes_through_links_inside(self):
        self.operate("writeText", path="target", content="old")
        os.symlink("target", self.path("link"))
        os.symlink("new", self.path("dangling"))
        self.operate("writeText", path="link", content="one")
        self.operate("writeText", path="dangling", content="two")
        self.assertTrue(os.path.islink(self.path("link")) and os.path.islink(self.path("dangling")))
        self.assertEqual((self.read(self.path("target")), self.read(self.path("new"))), ("one", "two"))

    def test_appends(self):
        self.operate("writeText", path="f", content="a", append=True, encoding="utf-16")
        self.operate("writeText", path="f", content="b", append=True, encoding="utf-16")
        self.assertEqual(self.operate("readText", path="f", encoding="utf-16")["content"], "ab")

    def test_a_full_disk_leaves_nothing(self):
        self.operate("writeText", path="f", content="old")
        self.operate("writeText", path="g", content="old")
        real_write = os.write
        written = []

        def filling(descriptor, data):
            if written:
                raise OSError(28, "No space left on device")
            written.append(1)
            return real_write(descriptor, data[:1])

        for append in (False, True):
            written.clear()
            with mock.patch("os.write", filling):
                message = self.refuse("DISK_FULL", "writeText", path="f", content="new text", append=append)
            self.assertEqual(message, "[Errno 28] No space left on device: 'f'")
            self.assertEqual(self.read(self.path("f")), "old")
        self.assertEqual(sorted(os.listdir(self.root)), ["f", "g"])

    def test_without_nameless_files_it_is_as_atomic(self):
        real_open = os.open

        def old_kernel(path, flags, *rest, **more):
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(95, "Operation not supported")
            return real_open(path, flags, *rest, **more)

        with mock.patch("os.open", old_kernel):
            self.operate("writeText", path="f", content="text")
            with mock.patch.object(new_file.os, "fsync", side_effect=OSError(5, "Input/output error")):
                self.refuse("FILE_OPERATION_FAILED", "writeText", path="f", content="never")
        self.assertEqual((os.listdir(self.root), self.read(self.path("f"))), (["f"], "text"))

    def test_failures(self):
        self.operate("writeText", path="f", content="")
        self.assertEqual(
            self.refuse("FILE_OPERATION_FAILED", "writeText", path="f/x", content=""), "[Errno 20] Not a directory: 'f/x'"
        )
        self.assertIn("'ascii' codec can't encode", self.refuse("ENCODING_FAILED", "writeText", path="g", content="é", encoding="ascii"))
        self.assertEqual(os.listdir(self.root), ["f"])


class EditText(WorkspaceCase):
    def edit(self, content, old, new, **more):
        self.write(self.path("f"), content)
        answer = self.operate("editText", path="f", oldString=old, newString=new, **more)
        return self.read(self.path("f")), answer["replacements"]

    def test_replaces_once_or_everywhere(self):
        self.assertEqual(self.edit("a b", "b", "c"), ("a c", 1))
        self.assertEqual(self.edit("aaa", "a", "b", replaceAll=True), ("bbb", 3))
        self.assertEqual(self.edit("a.c abc", "a.c", "x"), ("x abc", 1))
        self.assertEqual(self.edit("ab", "a", "\\g<0>"), ("\\g<0>b", 1))

    def test_line_ends_stay_as_they_are(self):
        self.assertEqual(self.edit("a\r\nb\r\nc", "a\nb", "x\ny"), ("x\r\ny\r\nc", 1))
        self.assertEqual(self.edit("a\r\nb\r\nc", "a\r\nb", "x\r\ny"), ("x\r\ny\r\nc", 1))
        self.assertEqual(self.edit("a\r\nb\r\n", "a", "a\nnew"), ("a\r\nnew\r\nb\r\n", 1))
        self.assertEqual(self.edit("a\nb\n", "a", "a\nnew"), ("a\nnew\nb\n", 1))
        self.assertEqual(self.edit("a\nb a\r\nb", "a\nb", "x\ny", replaceAll=True), ("x\ny x\r\ny", 2))

    def test_the_mode_stays(self):
        self.write(self.path("run"), "#!/bin/sh\n")
        os.chmod(self.path("run"), 0o750)
        self.operate("editText", path="run", oldString="sh", newString="bash")
        self.assertEqual(stat.S_IMODE(os.stat(self.path("run")).st_mode), 0o750)

    def test_failures(self):
        self.write(self.path("f"), "a a")
        for old, new, message in (
            ("a", "a", "'old_string' and 'new_string' must differ"),
            ("b", "c", "'old_string' not found in file"),
            ("", "c", "'old_string' not found in file"),
            ("a", "b", "'old_string' appears 2 times in file; set replace_all=true to replace all occurrences"),
        ):
            with self.subTest(old=old):
                self.assertEqual(self.refuse("EDIT_FAILED", "editText", path="f", oldString=old, newString=new), message)
        self.assertEqual(self.refuse("FILE_NOT_FOUND", "editText", path="no", oldString="a", newString="b"), "File not found: no")
        self.assertEqual(self.refuse("PATH_WRONG_KIND", "editText", path=".", oldString="a", newString="b"), "Path is not a file: .")
        self.refuse("TOO_LARGE", "editText", path="f", oldString="a", newString="b" * MAX_TEXT_BYTES, replaceAll=True)


class Delete(WorkspaceCase):
    def test_files_links_and_trees(self):
        self.write(self.path("f"), "x")
        os.symlink(self.secret, self.path("link"))
        os.makedirs(self.path("d/e"))
        os.symlink("/etc", self.path("d/e/etc"))
        self.assertEqual(self.operate("deleteFile", path="f"), {"wasDirectory": False})
        self.assertEqual(self.operate("deleteFile", path="link"), {"wasDirectory": False})
        self.assertEqual(self.operate("deleteFile", path="d"), {"wasDirectory": True})
        self.assertEqual(os.listdir(self.root), [])
        self.assertEqual(self.read(self.secret), "secret")

    def test_depth_costs_no_descriptors(self):
        directory = os.open(self.root, os.O_RDONLY)
        for _ in range(1500):
            os.mkdir("d", dir_fd=directory)
            deeper = os.open("d", os.O_RDONLY, dir_fd=directory)
            os.close(directory)
            directory = deeper
        os.close(directory)
        self.operate("deleteFile", path="d")
        self.assertEqual(os.listdir(self.root), [])

    def test_width_needs_no_long_list(self):
        os.mkdir(self.path("d"))
        for number in range(25):
            self.write(self.path("d", str(number)), "")
        with mock.patch.object(remove_tree, "_MAX_NAMES", 10):
            self.operate("deleteFile", path="d")
        self.assertEqual(os.listdir(self.root), [])

    def test_failures(self):
        os.mkfifo(self.path("fifo"))
        os.symlink("/etc", self.path("out"))
        for path in (".", "", "x/..", self.root):
            if path == "x/..":
                os.mkdir(self.path("x"))
            self.assertEqual(
                self.refuse("PATH_WRONG_KIND", "deleteFile", path=path),
                "Access denied: the workspace itself cannot be deleted: " + path,
            )
        self.assertEqual(self.refuse("FILE_NOT_FOUND", "deleteFile", path="no"), "Path not found: no")
        self.assertEqual(self.refuse("PATH_WRONG_KIND", "deleteFile", path="fifo"), "Unknown path type: fifo")
        self.refuse("PATH_OUTSIDE_WORKSPACE", "deleteFile", path="out/passwd")
        self.refuse("PATH_OUTSIDE_WORKSPACE", "deleteFile", path="..")


class Directories(WorkspaceCase):
    def names(self, **more):
        return [entry["name"] for entry in self.operate("listDirectory", **more)["files"]]

    def test_order_and_kinds(self):
        for name in ("b", "C", ".hidden"):
            self.write(self.path(name), "12")
        os.mkdir(self.path("z"))
        os.symlink("b", self.path("link"))
        os.symlink("gone", self.path("dangling"))
        self.assertEqual(self.names(), ["z", "b", "C", "link"])
        self.assertEqual(self.names(path=".", showHidden=True), ["z", ".hidden", "b", "C", "link"])
        answer = self.operate("listDirectory", path="")
        self.assertEqual((answer["path"], answer["truncated"]), (self.root, False))
        directory, link = answer["files"][0], answer["files"][3]
        self.assertEqual((directory["isDirectory"], directory["sizeBytes"], directory["path"]), (True, 0, self.path("z")))
        self.assertEqual((link["isFile"], link["sizeBytes"], link["linkTarget"]), (True, 2, "b"))

    def test_failures(self):
        self.write(self.path("f"), "")
        self.assertEqual(self.refuse("FILE_NOT_FOUND", "listDirectory", path="no"), "Directory not found: no")
        self.assertEqual(self.refuse("PATH_WRONG_KIND", "listDirectory", path="f"), "Path is not a directory: f")
        self.assertEqual(self.refuse("PATH_WRONG_KIND", "makeDirectory", path="f"), "Path is not a directory: f")

    def test_make_info_and_move(self):
        self.assertEqual(self.operate("makeDirectory", path="a/b")["path"], self.path("a/b"))
        self.operate("makeDirectory", path="a/b")
        self.operate("makeDirectory", path=".")
        self.write(self.path("f"), "text")
        self.write(self.path("g"), "old")
        self.assertEqual(self.operate("fileInfo", path="f")["sizeBytes"], 4)
        self.assertEqual(self.operate("fileInfo", path=".")["name"], "workspace")
        self.assertEqual(self.operate("moveFile", path="f", newPath="g")["path"], self.path("g"))
        self.assertEqual(self.read(self.path("g")), "text")
        self.operate("moveFile", path="g", newPath="new/deep/h")
        self.operate("moveFile", path="new", newPath="newer")
        self.assertEqual(self.read(self.path("newer/deep/h")), "text")
        self.assertEqual(self.refuse("FILE_NOT_FOUND", "moveFile", path="no", newPath="x"), "File not found: no")
        self.assertEqual(self.refuse("FILE_NOT_FOUND", "fileInfo", path="no"), "File not found: no")
        self.refuse("PATH_WRONG_KIND", "moveFile", path="newer", newPath="a")
        self.refuse("PATH_OUTSIDE_WORKSPACE", "moveFile", path="newer", newPath="../out")


if __name__ == "__main__":
    unittest.main()
