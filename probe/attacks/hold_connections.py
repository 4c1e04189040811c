"""Holds as many connections to an agent as it gets, begun in every way and ended in none, and makes new ones for those that
it loses.

ARGS: targets [{host, port} | {path}], seconds, limit
"""

import resource

SILENT = b""
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
LARGE_FRAME = b"shipyard-mux/1\n" + struct.pack("<I", 1 << 20) + bytes(1 << 16)
BEGINNINGS = [SILENT, HTTP2, LARGE_FRAME]

END = time.monotonic() + ARGS["seconds"]
BATCH = 100


def begin(place, beginning):
    connection = socket.socket(socket.AF_UNIX if isinstance(place, str) else socket.AF_INET)
    try:
        connection.settimeout(1)
        connection.connect(place)
        connection.setblocking(False)
        if beginning:
            connection.send(beginning)
        return connection
    except OSError:
        connection.close()
        raise


def is_open(connection):
    try:
        while connection.recv(1 << 16):
            pass
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def go(place):
    made, most, held = 0, 0, []
    while time.monotonic() < END:
        try:
            for _ in range(min(BATCH, ARGS["limit"] - len(held))):
                held.append(begin(place, BEGINNINGS[made % len(BEGINNINGS)]))
                made += 1
        except OSError:
            if not made:
                raise
        standing = [connection for connection in held if is_open(connection)]
        for connection in held:
            if connection not in standing:
                connection.close()
        held = standing
        most = max(most, len(held))
        time.sleep(0.05)
    return "%d made, %d held at once" % (made, most)


resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
threads = []
for target in ARGS["targets"]:
    places = glob.glob(target["path"]) or [target["path"]] if "path" in target else [(target["host"], target["port"])]
    for place in places:
        threads.append(threading.Thread(target=attempt, args=("hold connections to %s" % (place,), go, place)))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
