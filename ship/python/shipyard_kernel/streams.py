"""sys.stdout and sys.stderr: text and raw bytes, in order, exact, each piece bound to the cell that wrote it.

What goes past Python (os.write, subprocesses, C libraries) arrives through the pipes of capture.py.
"""

import codecs
import fcntl
import io
import os
import sys
import termios
import threading

from ipykernel.iostream import OutStream

from . import cells
from .capture import FLUSH_SIZE, READ_SIZE, Capture
from .interrupts import interrupts

#: Text from this length on, in characters, and all that is not UTF-8, travels as bytes beside an empty text, which are
#: neither escaped nor signed nor parsed: that is most of the work for much output.
BYTES_SIZE = 4096
#: A message's bytes; the agent's bound for what waits in its socket counts messages.
MESSAGE_SIZE = 256 * 1024

_NOTHING = bytearray(4)
_ioctl, _FIONREAD = fcntl.ioctl, termios.FIONREAD
_known_cell = cells.known


def _escape(error):
    # File names that are not UTF-8 carry their bytes as lone surrogates: they come out as those bytes. Others cannot be
    # expressed and are shown as \udxxx, as stderr does it.
    text = error.object[error.start : error.end]
    out = b"".join(
        bytes([ord(c) - 0xDC00]) if "\udc80" <= c <= "\udcff" else c.encode("ascii", "backslashreplace") for c in text
    )
    return out, error.end


codecs.register_error("shipyard", _escape)


def to_bytes(text):
    return text.encode("utf-8", "shipyard")


class CellStream(cells.OfCell, OutStream):
    """Takes OutStream's place. OutStream's own constructor is not called: everything that it makes is replaced here."""

    encoding = "utf-8"
    errors = "surrogateescape"
    newlines = None
    line_buffering = False
    write_through = False
    mode = "w"

    capture = None

    def __init__(self, session, pub_thread, name, *_args, echo=None, isatty=False, **_kwargs):
        io.TextIOBase.__init__(self)
        self.session = session
        self.pub_thread = pub_thread
        self.name = name
        self.topic = b"stream." + name.encode()
        self.echo = None
        self.descriptor = 1 if name == "stdout" else 2
        self.pipe = None
        self.size = 0
        self.buffer = _BufferOf(self)
        self._isatty = bool(isatty)
        # The names that other parts of ipykernel touch.
        self._exc = None
        self._should_watch = False
        self._local = threading.local()
        self._master_pid = os.getpid()
        self._thread_to_parent = {}
        self._thread_to_parent_header = {}
        self._parent_header_global = {}
        self._io_loop = pub_thread.io_loop
        # Whoever flushes has waited for room before; waiting again with locks held would keep an interrupt out.
        self._channel = getattr(pub_thread, "without_waiting", pub_thread)
        self._count = bytearray(4)
        self._original_stdstream_fd = self.descriptor
        self._original_stdstream_copy = os.dup(self.descriptor)
        os.set_inheritable(self._original_stdstream_copy, False)
        self.forget()
        cls = type(self)
        if cls.capture is None:
            cls.capture = Capture(pub_thread)
        self.capture.add(self)

    def forget(self):
        self.lock = threading.RLock()
        self._sending = threading.RLock()
        self._runs = []
        self._parts = None
        self._cell = None
        self.size = 0
        # Runs that the publisher got, and those of them that it is known to have sent.
        self._handed_over = 0
        self._confirmed = 0
        self._line = b""

    # Writing

    def write(self, string):
        if not isinstance(string, str):
            raise TypeError(f"write() argument must be str, not {type(string).__name__}")
        return self._put(string)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def _put(self, piece):
        # Runs twice a print(); what can be looked up once is looked up once.
        capture = self.capture
        if capture.forked:
            return self._write_lines(piece)
        cell = _known_cell(None) or cells.current()
        count = self._count
        with self.lock:
            _ioctl(self.pipe.fd, _FIONREAD, count, True)
            if count != _NOTHING:
                self.drain(self.pipe)
            if cell is self._cell:
                self._parts.append(piece)
            else:
                self._begin_run(cell, piece)
            self.size = size = self.size + len(piece)
        if size >= FLUSH_SIZE:
            self.send_pending()
        elif not capture.armed:
            capture.arm()
        return len(piece)

    def _begin_run(self, cell, piece):
        # In this order: an interrupt between two lines loses nothing.
        self._cell = None
        self._parts = [piece]
        self._runs.append((cell, self._parts))
        self._cell = cell

    def _write_lines(self, piece):
        """A forked child's: whole lines in one write each, as on a terminal, since print() writes their ends by themselves.

        Children that print at once mix their lines and do not break them. What os._exit() or a signal ends in the middle of
        a line loses that, as everywhere.
        """
        with self.lock:
            data = self._line + (to_bytes(piece) if isinstance(piece, str) else piece)
            whole = len(data) if len(data) >= FLUSH_SIZE else data.rfind(b"\n") + 1
            self._line = data[whole:]
            self._write_out(data[:whole])
        return len(piece)

    def _write_out(self, data):
        data = memoryview(data)
        while data:
            data = data[os.write(self.descriptor, data) :]

    def _end_line(self):
        with self.lock:
            line, self._line = self._line, b""
            self._write_out(line)

    def unread(self):
        """Whether something is in the pipe. Call with the lock held."""
        _ioctl(self.pipe.fd, _FIONREAD, self._count, True)
        return self._count != _NOTHING

    def drain(self, pipe, limit=None):
        """Takes what is in the pipe now. Call with the lock held. True at the end: nobody can write to it any more."""
        with interrupts.held:
            return self._drain(pipe, limit)

    def _drain(self, pipe, limit):
        if limit is None:
            # What was written before this moment, and no more: another writer could go on for ever.
            _ioctl(pipe.fd, _FIONREAD, self._count, True)
            limit = int.from_bytes(self._count, sys.byteorder)
        taken = 0
        while True:
            try:
                data = os.read(pipe.fd, READ_SIZE)
            except BlockingIOError:
                return False
            if not data:
                return True
            if pipe.cell is self._cell:
                self._parts.append(data)
            else:
                self._begin_run(pipe.cell, data)
            self.size += len(data)
            taken += len(data)
            if taken >= limit and pipe is self.pipe:
                return False
            if taken > limit:
                return False

    # Sending

    @property
    def pending(self):
        return bool(self._runs)

    def flush(self):
        """The user's: what was written is with the socket when it returns, whatever the code does next with the GIL.

        ZeroMQ's own thread writes it a moment later, and has no way to say that it did: a signal that ends the process now
        may take it along.

        ipykernel flushes each stream three times a cell, mostly for nothing; waiting costs a trip to another thread.
        """
        self.send_pending()
        handed_over = self._handed_over
        if self._confirmed < handed_over and not self.capture.forked:
            self.capture.wait_until_sent()
            self._confirmed = max(self._confirmed, handed_over)

    def send_pending(self):
        """Hands what was written to the publisher, and goes on."""
        if self.capture.forked:
            self._end_line()
            return
        if not self._runs:
            # Nothing to wait for: what another thread took from here is in the publisher's queue before it lets go of
            # the lock, and whatever we send next comes after it there.
            with self._sending:
                pass
            return
        self.capture._wait_for_room()
        with interrupts.held, self._sending:
            self._send()

    def flush_if_free(self):
        if not self._sending.acquire(blocking=False):
            return False
        try:
            self._send()
        finally:
            self._sending.release()
        return True

    def _send(self):
        with self.lock:
            runs, self._runs = self._runs, []
            self._cell = self._parts = None
            self.size = 0
        # The publisher's thread is fork-safe by itself; Session's own check would refuse to send.
        self.session.pid = os.getpid()
        self._handed_over += len(runs)
        for cell, parts in runs:
            for content, buffers in self._messages(parts):
                self.session.send(self._channel, "stream", content, parent=cell.header, ident=self.topic, buffers=buffers)

    def _messages(self, parts):
        try:
            text = "".join(parts)
            if len(text) < BYTES_SIZE:
                if not text.isascii():
                    text.encode()
                yield {"name": self.name, "text": text}, None
                return
            data = text.encode()
        except (TypeError, UnicodeEncodeError):
            data = b"".join(to_bytes(part) if isinstance(part, str) else part for part in parts)
        for start in range(0, len(data), MESSAGE_SIZE):
            yield {"name": self.name, "text": ""}, [data[start : start + MESSAGE_SIZE]]

    # What else a text stream and an OutStream are asked for

    def fileno(self):
        return self.descriptor

    def isatty(self):
        return self._isatty

    def writable(self):
        return True

    def reconfigure(self, **_options):
        """UTF-8 and nothing else; accepted, because scripts call it."""

    @property
    def closed(self):
        return False

    def close(self):
        # The next cell needs the stream.
        self.flush()


class _BufferOf(io.BufferedIOBase):
    """sys.stdout.buffer: takes bytes, in order with the text."""

    mode = "wb"

    def __init__(self, stream):
        super().__init__()
        self._stream = stream

    @property
    def raw(self):
        return self

    @property
    def name(self):
        return self._stream.name

    def write(self, data):
        if isinstance(data, str):
            raise TypeError("a bytes-like object is required, not 'str'")
        return self._stream._put(bytes(data))

    def writable(self):
        return True

    def flush(self):
        self._stream.flush()

    def fileno(self):
        return self._stream.fileno()

    def isatty(self):
        return self._stream.isatty()

    @property
    def closed(self):
        return False

    def close(self):
        self.flush()
