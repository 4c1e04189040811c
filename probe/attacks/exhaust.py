"""Takes all that it gets of one thing, until it is refused, its time is up or the limit is reached.

ARGS: thing (processes | memory | file | descriptors | output | processor), seconds, limit, path
"""

END = time.monotonic() + ARGS["seconds"]
LIMIT = ARGS["limit"]


def processes():
    """Each child makes children; all of them end by themselves."""
    count = 0
    try:
        while time.monotonic() < END:
            pid = os.fork()
            if pid == 0:
                signal.alarm(ARGS["seconds"] + 1)
            count += 1
    except OSError as error:
        tell({"attempt": "more processes", "failed": errno.errorcode[error.errno]})
        while time.monotonic() < END:
            try:
                if os.fork() == 0:
                    signal.alarm(ARGS["seconds"] + 1)
            except OSError:
                pass
    if os.getpid() == FIRST:
        tell({"attempt": "fork", "got": "%d times" % count})
    os._exit(0)


def memory():
    taken = []
    size = 32 << 20
    while len(taken) * size < LIMIT and time.monotonic() < END:
        piece = bytearray(size)
        for at in range(0, size, 4096):
            piece[at] = 1
        taken.append(piece)
        tell({"attempt": "memory", "got": (len(taken) * size)})


def file():
    """Whatever is left of it in the end is not removed: who fills a disk does not clean up either."""
    piece = os.urandom(1 << 20)
    written = 0
    try:
        with open(ARGS["path"], "wb", 0) as target:
            while written < LIMIT and time.monotonic() < END:
                written += target.write(piece)
    except OSError as error:
        tell({"attempt": "write more", "failed": errno.errorcode[error.errno]})
    tell({"attempt": "write", "got": written})


def descriptors():
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    for _ in range(16):
        if os.fork() == 0:
            held = []
            try:
                while len(held) < LIMIT:
                    held.append(os.open("/dev/null", os.O_RDONLY))
            except OSError as error:
                tell({"attempt": "one more than %d" % len(held), "failed": errno.errorcode[error.errno]})
            time.sleep(max(0, END - time.monotonic()))
            os._exit(0)
    for _ in range(16):
        os.wait()
    tell({"attempt": "descriptors", "got": "held"})


def output():
    line = b"x" * 65535 + b"\n"
    written = 0
    while written < LIMIT and time.monotonic() < END:
        written += os.write(1, line)
    tell({"attempt": "output", "got": written})


def processor():
    for _ in range(16):
        if os.fork() == 0:
            while time.monotonic() < END:
                pass
            os._exit(0)
    for _ in range(16):
        os.wait()
    tell({"attempt": "processor", "got": "used"})


FIRST = os.getpid()
tell({"attempt": "begin", "got": ARGS["thing"]})
globals()[ARGS["thing"]]()
