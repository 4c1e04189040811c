"""Session.send for what a kernel sends: the same messages, without the detours of a library for every client and server.

A cell sends four. jupyter_client looks its settings up through traitlets time and again, has headers encoded by a general
encoder, and signs part by part.
"""

import os
from datetime import datetime, timezone
from json.encoder import encode_basestring_ascii as quoted

import zmq


def install(session):
    """Call when the session has its way of packing. The original still sends what is out of the ordinary."""
    from jupyter_client import session as module

    stock, extract_header, delimiter, done = session.send, module.extract_header, module.DELIM, module.DONE
    if type(session) is not module.Session or session.adapt_version or session.debug:
        raise TypeError("a session of another make")
    version = module.protocol_version
    sample = module.msg_header('an "id"', "type", "user", "session")
    if session.unpack(_pack_header(sample)) != session.unpack(session.pack(sample)):
        raise TypeError("headers of another make")

    def send(
        stream, msg_or_type, content=None, parent=None, ident=None, buffers=None, track=False, header=None, metadata=None
    ):
        if isinstance(msg_or_type, str):
            is_plain = header is None and not buffers
        else:
            is_plain = type(msg_or_type) is dict and not buffers and not msg_or_type.get("buffers")
        if not is_plain or not stream or isinstance(stream, zmq.Socket):
            return stock(stream, msg_or_type, content, parent, ident, buffers, track, header, metadata)
        if session.check_pid and os.getpid() != session.pid:
            return None  # from a child that a cell forked
        if isinstance(msg_or_type, str):
            header = {
                "msg_id": session.msg_id,
                "msg_type": msg_or_type,
                "username": session.username,
                "session": session.session,
                "date": datetime.now(timezone.utc),
                "version": version,
            }
            message = {
                "header": header,
                "msg_id": header["msg_id"],
                "msg_type": msg_or_type,
                "parent_header": extract_header(parent),
                "content": {} if content is None else content,
                "metadata": {**session.metadata, **(metadata or {})},
            }
        else:
            message = msg_or_type
        pack = session.pack
        content = message.get("content")
        if type(content) is not dict:
            return stock(stream, message, ident=ident)
        signed = (
            _pack_header(message["header"]) or pack(message["header"]),
            pack(message["parent_header"]),
            pack(message["metadata"]),
            pack(content),
        )
        prefix = ident if isinstance(ident, list) else () if ident is None else (ident,)
        parts = [*prefix, delimiter, _sign(session.auth, signed), *signed]
        stream.send_multipart(parts, copy=len(signed[3]) < session.copy_threshold)
        message["tracker"] = done
        return message

    session.send = send


def _sign(auth, parts):
    if auth is None:
        return b""
    signature = auth.copy()
    signature.update(b"".join(parts))
    return signature.hexdigest().encode()


def _pack_header(header):
    """As Session makes it; None for one of another form."""
    if len(header) != 6:
        return None
    try:
        return (
            f'{{"msg_id": {quoted(header["msg_id"])}, "msg_type": {quoted(header["msg_type"])}, '
            f'"username": {quoted(header["username"])}, "session": {quoted(header["session"])}, '
            f'"date": "{header["date"].isoformat().replace("+00:00", "Z")}", "version": {quoted(header["version"])}}}'
        ).encode()
    except (KeyError, TypeError, AttributeError):
        return None
