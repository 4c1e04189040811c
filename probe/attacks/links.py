"""Prepares, or keeps changing, what file routes are led to.

ARGS: act (plant | swap | special | hard), targets [path], seconds, outside (folder), inside (name of a folder)
"""


def plant():
    """link-0, link-1, ...: one to each target."""
    for index, target in enumerate(ARGS["targets"]):
        path = "link-%d" % index
        if os.path.lexists(path):
            os.unlink(path)
        attempt("link to %s" % target, lambda: os.symlink(target, path) or "made")


def swap():
    """`flip` is a folder at one moment and a link to another outside at the next, thousands of times a second."""
    folder, link = "flip-folder", "flip-link"
    count = 0
    exchange = 2
    end = time.monotonic() + ARGS["seconds"]
    while not os.path.lexists(link):
        try:
            os.makedirs("flip", exist_ok=True)
            with open("flip/file", "w") as file:
                file.write(ARGS["inside"])
            os.symlink(ARGS["outside"], link)
        except FileNotFoundError:
            # Bay has removed the folder already: the other side of the race does not wait for us.
            if time.monotonic() > end:
                raise
    # The two change places in one step, so that the name is always one of them.
    while time.monotonic() < end:
        if LIBC.renameat2(-100, b"flip", -100, link.encode(), exchange) == 0:
            count += 1
    tell({"attempt": "swap", "got": "%d times" % count})


def special():
    os.mkfifo("pipe")
    socket.socket(socket.AF_UNIX).bind("socket")
    os.symlink("loop", "loop")
    os.symlink("/dev/zero", "zero")
    os.symlink("/proc/self/mem", "memory")
    os.symlink("/dev/tty", "terminal")
    tell({"attempt": "make special files", "got": "made"})


def hard():
    """Names of one's own for files of others."""
    with open("to-link.txt", "w") as file:
        file.write("own")
    attempt("own file", lambda: os.link("to-link.txt", "hard-own") or "linked")
    for index, pattern in enumerate(ARGS["targets"]):
        for path in glob.glob(pattern) or [pattern]:
            attempt("hard link to %s" % path, lambda: os.link(path, "hard-%d" % index) or "linked")


globals()[ARGS["act"]]()
