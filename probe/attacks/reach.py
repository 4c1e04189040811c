"""Goes to addresses and takes what is said there.

ARGS: targets [{kind: tcp | udp | unix | abstract, host, port, path, send}], control (a secret that this program
serves to itself: what it would see if a way were open)
"""

PATIENCE_S = 2.0
FAMILIES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def main():
    own = serve_myself()
    threads = [threading.Thread(target=try_one, args=(target,)) for target in [*own, *spread(ARGS["targets"])]]
    for first in range(0, len(threads), 32):
        for thread in threads[first : first + 32]:
            thread.start()
        for thread in threads[first : first + 32]:
            thread.join()


def spread(targets):
    """Patterns of paths become the paths that are there, or stay as they are; `resolver` becomes the configured ones."""
    for target in targets:
        if target["kind"] == "unix":
            for path in glob.glob(target["path"]) or [target["path"]]:
                yield {**target, "path": path}
        elif target.get("host") == "resolver":
            for host in resolvers():
                yield {**target, "host": host}
        elif target.get("host") == "gateway":
            for host in gateways():
                yield {**target, "host": host}
        else:
            yield target


def resolvers():
    with open("/etc/resolv.conf") as file:
        return [line.split()[1] for line in file if line.startswith("nameserver")]


def gateways():
    with open("/proc/net/route") as file:
        routes = [line.split() for line in file][1:]
    return [socket.inet_ntoa(struct.pack("<I", int(route[2], 16))) for route in routes if route[2] != "00000000"]


def try_one(target):
    place = target.get("path") or "%s:%s" % (target["host"], target["port"])
    attempt("%s %s" % (target["kind"], place), go, target)


def go(target):
    connection, address = dial(target)
    with connection:
        connection.settimeout(PATIENCE_S)
        connection.connect(address)
        if target.get("send"):
            connection.sendall(target["send"].encode())
        try:
            said = connection.recv(65536)
        except (TimeoutError, socket.timeout):
            # A datagram that nobody answered is no arrival; its receiver knows better.
            if target["kind"] == "udp":
                raise
            said = b""
        return "connected: %s" % said.decode("utf-8", "replace")


def dial(target):
    if target["kind"] in ("unix", "abstract"):
        path = target["path"] if target["kind"] == "unix" else "\0" + target["path"]
        return socket.socket(socket.AF_UNIX), path
    family, kind, _, _, address = socket.getaddrinfo(target["host"], target["port"], type=FAMILIES[target["kind"]])[0]
    connection = socket.socket(family, kind)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    return connection, address


def serve_myself():
    tcp = socket.socket()
    tcp.bind(("127.0.0.1", 0))
    abstract = socket.socket(socket.AF_UNIX)
    name = "probe-%d-%d" % (os.getpid(), time.time_ns())
    abstract.bind("\0" + name)
    for listener in (tcp, abstract):
        listener.listen()
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
    yield {"kind": "tcp", "host": "127.0.0.1", "port": tcp.getsockname()[1]}
    yield {"kind": "abstract", "path": name}


def answer(listener):
    connection = listener.accept()[0]
    connection.sendall(ARGS["control"].encode())
    connection.close()


main()
