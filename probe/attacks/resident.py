"""Not an attack: a process that holds a secret in every way that a process can. It runs in the sessions that are robbed.

ARGS: port, abstract (name of a socket), shared (key of a segment); the secret comes in the environment, and another one as
an argument
"""

SECRET = os.environ["PROBE_SECRET"]

with open("/tmp/probe-%s" % ARGS["abstract"], "w") as file:
    file.write(SECRET)

segment = LIBC.shmget(ctypes.c_int(ARGS["shared"]), ctypes.c_size_t(4096), ctypes.c_int(0o1600))
LIBC.shmat.restype = ctypes.c_void_p
address = LIBC.shmat(ctypes.c_int(segment), None, 0)
ctypes.memmove(address, SECRET.encode(), len(SECRET))


def serve(listener):
    listener.listen()
    while True:
        connection = listener.accept()[0]
        try:
            connection.sendall(SECRET.encode())
            connection.close()
        except OSError:
            pass


tcp = socket.socket()
tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
tcp.bind(("0.0.0.0", ARGS["port"]))
abstract = socket.socket(socket.AF_UNIX)
abstract.bind("\0" + ARGS["abstract"])
threading.Thread(target=serve, args=(abstract,), daemon=True).start()
tell({"attempt": "hold a secret", "got": "ready"})
serve(tcp)
