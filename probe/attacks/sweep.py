"""Reads whatever can be opened, files and processes, and looks for secrets that were planted elsewhere.

ARGS: needles {name: text written backwards, so that no copy of this program's arguments is a find},
      guesses [paths and patterns at which secrets are known to lie], seconds
"""

NEEDLES = {name: text[::-1].encode() for name, text in ARGS["needles"].items()}
DEADLINE = time.monotonic() + ARGS["seconds"]
#: Programs and packages, which nobody plants secrets in; processes are looked into by themselves.
PASSED = {"/proc", "/sys", "/usr", "/lib", "/lib64", "/bin", "/sbin", sys.base_prefix, *sys.path}
FOUND = set()
COUNTS = {"files": 0, "processes": 0, "opened": 0}


def main():
    for pattern in ARGS["guesses"]:
        for path in glob.glob(pattern) or [pattern]:
            walk(path)
    # A folder on the way to it may not let itself be listed.
    walk(os.path.expanduser("~"))
    for name in os.listdir("/"):
        if "/" + name not in PASSED:
            walk("/" + name)
    for pid in other_processes():
        look_into(pid)
    if time.monotonic() < DEADLINE:
        seen = "%(opened)d files that opened, of %(files)d, and %(processes)d processes" % COUNTS
        attempt("reach the end", lambda: seen)


def walk(root):
    """Files directly, folders with all that is below; links are read but not walked."""
    look_at(root)
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in PASSED]
        for name in files:
            if time.monotonic() > DEADLINE:
                return
            look_at(os.path.join(folder, name))


def look_at(path):
    COUNTS["files"] += 1
    try:
        content = read_up_to(path, 4 << 20)
    except OSError:
        return
    COUNTS["opened"] += 1
    search(path, content)


def search(path, content):
    for name, needle in NEEDLES.items():
        if needle in content and (name, path) not in FOUND and len(FOUND) < 100:
            FOUND.add((name, path))
            attempt("look for %s" % name, lambda: "%s holds %s" % (path, needle.decode()))


def look_into(pid):
    COUNTS["processes"] += 1
    base = "/proc/%d" % pid
    for name in ("environ", "cmdline"):
        look_at("%s/%s" % (base, name))
    for kind in ("fd", "map_files"):
        try:
            for name in os.listdir("%s/%s" % (base, kind)):
                look_at("%s/%s/%s" % (base, kind, name))
        except OSError:
            pass
    for kind in ("root", "cwd"):
        for pattern in ARGS["guesses"]:
            for path in glob.glob("%s/%s%s" % (base, kind, pattern)):
                walk(path)
    try:
        look_into_memory(base)
    except OSError:
        pass


def look_into_memory(base):
    with open(base + "/maps") as maps, open(base + "/mem", "rb", 0) as memory:
        for line in maps:
            area, rights = line.split()[:2]
            start, end = (int(part, 16) for part in area.split("-"))
            if not rights.startswith("rw") or end - start > 64 << 20 or time.monotonic() > DEADLINE:
                continue
            try:
                memory.seek(start)
                search(base + "/mem", memory.read(end - start))
            except OSError:
                continue


main()
