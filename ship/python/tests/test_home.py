"""Whatever a session has done to its home, it can start again."""

import os
import sys
import tempfile
import unittest

from shipyard_runner.home import prepare_home


class PrepareHome(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = os.path.join(folder.name, "home")
        self.workspace = os.path.join(self.home, "workspace")

    def prepare(self):
        prepare_home(self.home, self.workspace, sys.executable)
        self.assertTrue(os.path.isdir(self.workspace))
        self.assertTrue(os.access(os.path.join(self.home, ".venv", "bin", "python3"), os.X_OK))

    def test_file_in_place_of_the_workspace_is_kept_beside_it(self):
        os.makedirs(self.home)
        with open(self.workspace, "w") as file:
            file.write("mine")
        self.prepare()
        (kept,) = [name for name in os.listdir(self.home) if name.startswith("workspace.")]
        with open(os.path.join(self.home, kept)) as file:
            self.assertEqual(file.read(), "mine")

    def test_file_in_place_of_the_environment(self):
        os.makedirs(self.home)
        open(os.path.join(self.home, ".venv"), "w").close()
        self.prepare()

    def test_link_to_nowhere_in_place_of_the_workspace(self):
        os.makedirs(self.home)
        os.symlink("/nowhere/at/all", self.workspace)
        self.prepare()

    def test_twice(self):
        self.prepare()
        self.prepare()


if __name__ == "__main__":
    unittest.main()
