"""Calls a gRPC server by hand: HTTP/2 in plain text, one request with whatever token, and no look at the answer but its
first bytes. Whether the call was taken is seen by what it did.

ARGS: targets [{host, port} | {path}], method, message (hex), tokens ['' for none]
"""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, HEADERS, DATA = 4, 1, 0
END_HEADERS, END_STREAM = 4, 1


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A header that is not indexed, name and value as they are (RFC 7541, 6.2.2)."""
    return b"\0" + string(name) + string(value)


def string(text):
    data = text.encode()
    length = len(data)
    if length < 127:
        return bytes([length]) + data
    prefix, rest = [127], length - 127
    while rest >= 128:
        prefix.append(rest % 128 + 128)
        rest //= 128
    return bytes([*prefix, rest]) + data


def request(token):
    headers = [(":method", "POST"), (":scheme", "http"), (":path", ARGS["method"]), (":authority", "ship")]
    headers += [("content-type", "application/grpc"), ("te", "trailers")]
    if token:
        headers.append(("authorization", "Bearer " + token))
    message = bytes.fromhex(ARGS["message"])
    return (
        PREFACE
        + frame(SETTINGS, 0, 0, b"")
        + frame(HEADERS, END_HEADERS, 1, b"".join(literal(*header) for header in headers))
        + frame(DATA, END_STREAM, 1, struct.pack(">BI", 0, len(message)) + message)
    )


def go(address, token):
    with socket.socket(socket.AF_UNIX) if isinstance(address, str) else socket.socket() as connection:
        connection.settimeout(3)
        connection.connect(address)
        connection.sendall(request(token))
        said = b""
        try:
            while len(said) < 65536:
                piece = connection.recv(4096)
                if not piece:
                    break
                said += piece
        except (TimeoutError, socket.timeout):
            pass
        return "connected, %d bytes" % len(said)


threads = []
for target in ARGS["targets"]:
    places = glob.glob(target["path"]) or [target["path"]] if "path" in target else [(target["host"], target["port"])]
    for place in places:
        for token in ARGS["tokens"]:
            name = "call %s %s" % (place, "with a token" if token else "without a token")
            threads.append(threading.Thread(target=attempt, args=(name, go, place, token)))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
