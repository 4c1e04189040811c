"""How the parts of messages become bytes: quickly, and whatever is in them."""

import json

from . import cells


def install(session):
    """json.dumps makes an encoder for every part of every message; this one is made once.

    Each message that answers a request carries the request's header, which is encoded once for all of them. Half of a
    surrogate pair is no UTF-8, and a message with one would be lost; as a JSON escape it gets through.
    """
    from jupyter_client.jsonutil import json_clean, json_default

    stock = session.pack
    encode = json.JSONEncoder(default=json_default, ensure_ascii=False, allow_nan=False, check_circular=False).encode

    def pack_any(message):
        if message == {}:
            return b"{}"  # most metadata
        cell = cells.running
        if message is not cell.header:
            return pack(message)
        if cell.packed is None:
            cell.packed = pack(message)
        return cell.packed

    def pack(message):
        try:
            return encode(message).encode()
        except UnicodeEncodeError:
            return as_ascii(message)
        except (TypeError, ValueError, RecursionError):
            pass
        try:
            return stock(message)  # which cleans what is no JSON
        except UnicodeEncodeError:
            return as_ascii(json_clean(message))

    def as_ascii(message):
        return json.dumps(message, default=json_default, allow_nan=False).encode("ascii")

    session.pack = pack_any
