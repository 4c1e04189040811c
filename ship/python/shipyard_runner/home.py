"""Prepares a session's home: workspace, and a virtual environment layered over the ship's Python.

The environment has no packages of its own at first: a .pth file lets it see the ship's. What pip installs goes into it,
wins over the ship's, and stays with the home. Everything is written whole (a temporary sibling, then a rename) and only
where it differs, so that preparing costs nothing the second time. It is done with the session's rights: links that the
session planted lead it where the session could write anyway.
"""

import os
import stat
import sys

_VERSION = "%d.%d" % sys.version_info[:2]
_PIP = """#!/bin/sh
'''exec' "$(dirname "$0")/python3" "$0" "$@"
' '''
import sys

try:
    from pip._internal.cli.main import main
except ImportError:
    sys.exit("pip is not installed in this ship's Python")
sys.argv[0] = sys.argv[0].removesuffix("3") if hasattr(str, "removesuffix") else sys.argv[0]
sys.exit(main())
"""
_PIP_CONF = """[global]
disable-pip-version-check = true
"""


def prepare_home(home, workspace, executable, matplotlibrc=None):
    """`executable`: the ship's interpreter, maybe of a virtual environment. Returns the session's interpreter."""
    _make_directory(workspace)
    environment = os.path.join(home, ".venv")
    base = os.path.realpath(executable)
    packages = os.path.join(environment, "lib", "python" + _VERSION, "site-packages")
    _make_directory(packages)
    _make_directory(os.path.join(environment, "bin"))

    binaries = os.path.join(environment, "bin")
    _link(base, os.path.join(binaries, "python3"))
    _link("python3", os.path.join(binaries, "python"))
    _link("python3", os.path.join(binaries, "python" + _VERSION))
    _write(
        os.path.join(environment, "pyvenv.cfg"),
        "home = %s\ninclude-system-site-packages = false\nversion = %s\nexecutable = %s\n"
        % (os.path.dirname(base), ".".join(map(str, sys.version_info[:3])), base),
    )
    _write(os.path.join(packages, "shipyard.pth"), "".join(path + "\n" for path in _ship_packages(executable, base)))
    _write(os.path.join(environment, "pip.conf"), _PIP_CONF, keep=True)
    for name in ("pip", "pip3"):
        _write(os.path.join(binaries, name), _PIP, mode=0o700, keep=True)
    if matplotlibrc:
        directory = os.path.join(home, ".config", "matplotlib")
        _make_directory(directory)
        _write(os.path.join(directory, "matplotlibrc"), matplotlibrc, keep=True)
    return os.path.join(binaries, "python3")


def _ship_packages(executable, base):
    """Where the ship's interpreter keeps its packages; without asking it, which would cost its start."""
    prefixes = []
    environment = os.path.dirname(os.path.dirname(os.path.abspath(executable)))
    try:
        with open(os.path.join(environment, "pyvenv.cfg"), encoding="utf-8") as file:
            settings = dict(map(str.strip, line.lower().split("=", 1)) for line in file if "=" in line)
        prefixes.append(environment)
        if settings.get("include-system-site-packages") == "true":
            prefixes.append(os.path.dirname(os.path.dirname(base)))
    except FileNotFoundError:
        prefixes.append(os.path.dirname(os.path.dirname(base)))
    found = []
    for prefix in prefixes:
        for parts in (
            ("lib", "python" + _VERSION, "site-packages"),
            ("lib64", "python" + _VERSION, "site-packages"),
            # Debian's
            ("local", "lib", "python" + _VERSION, "dist-packages"),
            ("lib", "python3", "dist-packages"),
        ):
            path = os.path.join(prefix, *parts)
            if os.path.isdir(path) and os.path.realpath(path) not in map(os.path.realpath, found):
                found.append(path)
    return found


def _make_directory(path):
    """What stands in the way is the session's, and is kept beside it."""
    if os.path.isdir(path):
        return
    try:
        os.makedirs(path, 0o700)
    except (FileExistsError, NotADirectoryError):
        obstacle = path
        while not os.path.lexists(obstacle):
            obstacle = os.path.dirname(obstacle)
        os.rename(obstacle, _sibling(obstacle))
        os.makedirs(path, 0o700)


def _link(target, path):
    try:
        if os.readlink(path) == target:
            return
    except OSError:
        pass  # missing, or something else in its place: replaced
    temporary = _sibling(path)
    os.symlink(target, temporary)
    os.replace(temporary, path)


def _write(path, text, mode=0o600, keep=False):
    """keep: what is there already is the session's."""
    try:
        if keep and stat.S_ISREG(os.stat(path).st_mode):
            return
        with open(path, encoding="utf-8") as file:
            if file.read(len(text) + 1) == text:
                return
    except (OSError, UnicodeError):
        pass  # missing, or not ours: replaced
    temporary = _sibling(path)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def _sibling(path):
    return "%s.%s" % (path, os.urandom(4).hex())
