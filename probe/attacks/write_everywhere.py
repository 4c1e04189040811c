"""Tries to leave a file in every folder, and to write to what others run.

ARGS: guesses [paths and patterns where others' files are known to lie], mark (content), own (folder that is free), free
[more such folders: the data of the ship, where agent and session are one user]
"""

#: For everybody, or this session's own; /run/shipyard holds its sockets.
FREE = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/shipyard", os.path.expanduser("~"), ARGS["own"], *ARGS["free"])
DEADLINE = time.monotonic() + 30
refused = {}


def main():
    attempt("own folder", leave_file, ARGS["own"])
    for pattern in ARGS["guesses"]:
        for path in glob.glob(pattern) or [pattern]:
            if not path.startswith(FREE):
                attempt("write %s" % path, overwrite if os.path.isfile(path) else leave_file, path)
    for folder, folders, _ in os.walk("/"):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys")]
        if time.monotonic() > DEADLINE:
            break
        if folder.startswith(FREE):
            continue
        try:
            leave_file(folder)
        except OSError as error:
            code = errno.errorcode.get(error.errno, "?")
            refused[code] = refused.get(code, 0) + 1
        else:
            tell({"attempt": "write to %s" % folder, "got": "a file was made"})
    for code, count in refused.items():
        tell({"attempt": "write to %d folders" % count, "failed": code})


def leave_file(folder):
    path = os.path.join(folder, "probe-left")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(descriptor, ARGS["mark"].encode())
    os.close(descriptor)
    os.unlink(path)
    return "a file was made in %s" % folder


def overwrite(path):
    with open(path, "r+b"):
        return "%s opened for writing" % path


main()
