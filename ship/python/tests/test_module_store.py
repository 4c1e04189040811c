"""Modules from the store are those that Python itself would have found, and it serves nobody else."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

SUPPORT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# What a program does, as kernel_launcher.py does it; prints what each module looks like then.
PROGRAM = """
import json, sys
sys.path[0] = sys.argv[1]
import module_store
before = list(sys.meta_path)
with module_store.served("session_runner"):
    is_served = sys.meta_path != before
    import shipyard_runner.runner
assert sys.meta_path == before
assert "module_store" not in sys.modules
assert sys.modules["shipyard_runner"].__loader__ is sys.modules["shipyard_runner"].__spec__.loader
import inspect
assert "def run(" in inspect.getsource(shipyard_runner.runner)
look = lambda m: [repr(getattr(m, n, None)) for n in ("__file__", "__cached__", "__package__", "__path__")] + [
    repr(m.__spec__.origin), type(m.__loader__).__name__, m.__spec__.has_location, len(vars(m))]
print(json.dumps([is_served, {n: look(m) for n, m in sys.modules.items() if getattr(m, "__spec__", None)}]))
"""


class ModuleStore(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.support = os.path.join(folder.name, "support")
        shutil.copytree(SUPPORT, self.support, ignore=shutil.ignore_patterns("tests", "*.bin"))

    def run_python(self, *arguments, **environment):
        environment = {"PATH": os.environ["PATH"], **environment}
        options = {"env": environment, "check": True, "capture_output": True, "text": True, "timeout": 60}
        return subprocess.run([sys.executable, "-S", *arguments], **options).stdout

    def make_store(self):
        self.run_python(os.path.join(self.support, "module_store.py"), "session_runner")

    def make_packages(self, *names):
        packages = os.path.join(self.folder, "packages")
        os.mkdir(packages)
        for name in names:
            open(os.path.join(packages, name), "w").close()
        return packages

    def run_program(self, **environment):
        return json.loads(self.run_python("-c", PROGRAM, self.support, **environment))

    def test_modules_look_as_those_that_python_finds(self):
        is_served, found = self.run_program()
        self.assertFalse(is_served)
        self.make_store()
        is_served, stored = self.run_program()
        self.assertTrue(is_served)
        self.assertIn("shipyard_runner.runner", stored)
        self.assertEqual(stored, found)

    def test_code_of_the_store_is_what_runs(self):
        self.make_store()
        with open(os.path.join(self.support, "shipyard_runner", "errors.py"), "w") as file:
            file.write("raise Exception('the file was read')\n")
        self.assertTrue(self.run_program()[0])

    def test_a_session_that_has_nothing_installed_is_served(self):
        self.make_store()
        self.assertTrue(self.run_program(PYTHONPATH=self.make_packages("shipyard.pth"))[0])

    def test_a_session_with_packages_of_its_own_is_not_served(self):
        self.make_store()
        self.assertFalse(self.run_program(PYTHONPATH=self.make_packages("shipyard.pth", "queue.py"))[0])
        self.assertFalse(self.run_program(PYTHONPATH=os.path.join(self.folder, "not there"))[0])

    def test_a_store_that_was_made_elsewhere_is_left_alone(self):
        self.make_store()
        moved = os.path.join(self.folder, "moved")
        os.rename(self.support, moved)
        self.support = moved
        self.assertFalse(self.run_program()[0])

    def test_what_is_no_store_of_this_interpreter_is_left_alone(self):
        self.make_store()
        store = os.path.join(self.support, "session_runner.bin")
        with open(store, "rb") as file:
            content = file.read()
        version = sys.version.encode()
        for changed in (
            content.replace(version, b"x" * len(version)),
            content[:-1],
            content[:1000],
            content[:4],
            b"",
            b"\xff" * 64,
        ):
            with open(store, "wb") as file:
                file.write(changed)
            self.assertFalse(self.run_program()[0])


if __name__ == "__main__":
    unittest.main()
