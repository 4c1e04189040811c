"""Contents of files through pipes, a thread each, so that a slow reader or disk holds up nothing else.

Reading: the kernel moves pages from the file into the pipe (sendfile); writing: from the pipe into the file (splice,
where Python has it). The agent holds the other end of the pipe.
"""

import errno
import os
import select
import threading

from shipyard_files import open_new, open_regular

from .errors import RunnerError, from_os_error
from .processes import widen_pipe

STREAM_PIPE_BYTES = 1024 * 1024
MAX_STREAMS = 256


class Streams:
    def __init__(self, workspace, channel):
        self._workspace = workspace
        self._channel = channel
        self._uploads = {}
        self._count = 0
        self._lock = threading.Lock()

    def open_read(self, request):
        """Hands over a pipe and answers FileInfo; afterwards sends {event: "stream", stream, bytes | error} at the end."""
        self._begin()
        pipe = []
        descriptor = -1
        try:
            descriptor, info = open_regular(self._workspace, request["path"])
            pipe.extend(_open_pipe())
            self._channel.send_pipe({"id": request["id"], "handle": "data"}, pipe.pop(0))
        except BaseException:
            for end in (*pipe, *((descriptor,) if descriptor >= 0 else ())):
                os.close(end)
            self._end()
            raise
        _run(self._fill, request, descriptor, pipe[0], info["sizeBytes"])
        return info

    def open_write(self, request):
        self._begin()
        pipe = []
        file = None
        try:
            file = open_new(self._workspace, request["path"])
            pipe.extend(_open_pipe())
            self._channel.send_pipe({"id": request["id"], "handle": "data"}, pipe.pop(1))
        except BaseException:
            for end in pipe:
                os.close(end)
            if file is not None:
                file.close()
            self._end()
            raise
        upload = _Upload(file, pipe[0], request)
        self._uploads[request["stream"]] = upload
        _run(self._take, upload)
        return {"path": file.path}

    def finish(self, request, answer):
        """commit, after the agent closed its end of the pipe, or abort. answer(result) comes from the upload's thread,
        once the file is in its place or gone."""
        upload = self._uploads.pop(request["stream"], None)
        if upload is None:
            raise RunnerError("INTERNAL", "no such upload")
        upload.decide(request["op"] == "commit", answer)

    def _begin(self):
        with self._lock:
            if self._count >= MAX_STREAMS:
                raise RunnerError("TOO_MANY_CALLS", "%d file streams are open in this session" % MAX_STREAMS)
            self._count += 1

    def _end(self):
        with self._lock:
            self._count -= 1

    def _fill(self, request, descriptor, pipe, size):
        report = {"event": "stream", "stream": request["stream"]}
        sent = 0
        try:
            offset = request.get("offset") or 0
            remaining = request.get("length") or max(0, size - offset)
            while remaining:
                count = _send(pipe, descriptor, offset, min(remaining, STREAM_PIPE_BYTES))
                if count == 0:
                    break
                offset += count
                sent += count
                remaining -= count
            report["bytes"] = sent
        except BrokenPipeError:
            report["bytes"] = sent  # the reader left
        except OSError as error:
            report["error"] = from_os_error(error, request["path"]).to_json()
        finally:
            os.close(descriptor)
            # Before the pipe's end, so that the agent knows at EOF how it came about.
            self._channel.send(report)
            os.close(pipe)
            self._end()

    def _take(self, upload):
        try:
            upload.run()
        finally:
            self._end()


class _Upload:
    """One file on its way in. Its thread owns everything; decide() only says what is wanted."""

    def __init__(self, file, pipe, request):
        self._file = file
        self._pipe = pipe
        self._path = request["path"]
        self._mode = request.get("mode")
        self._size = request.get("sizeBytes")
        self._decided = threading.Event()
        self._wanted = False
        self._answer = None
        self._wake_read, self._wake_write = os.pipe()

    def decide(self, commit, answer):
        """Once."""
        self._wanted = commit
        self._answer = answer
        if not commit:
            os.write(self._wake_write, b"x")  # before the decision, after which the thread closes it
        self._decided.set()

    def run(self):
        failure = self._try(self._copy)
        # After a failure the agent's next write breaks, and it asks for the reason by commit.
        os.close(self._pipe)
        if failure is not None:
            self._file.abort()
        self._decided.wait()
        if self._wanted and failure is None:
            failure = self._try(lambda: self._file.commit(self._mode))
        self._file.close()
        for end in (self._wake_read, self._wake_write):
            os.close(end)
        self._answer(failure if self._wanted and failure else {"path": self._file.path, "sizeBytes": self._file.size})

    def _try(self, act):
        try:
            act()
        except RunnerError as error:
            return error
        except OSError as error:
            return from_os_error(error, self._path)
        return None

    def _copy(self):
        move = _splice if hasattr(os, "splice") else _copy_through_memory()
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _events in poll.poll()]
            if self._wake_read in ready:
                return
            count = move(self._pipe, self._file.descriptor)
            if count == 0:
                break
            self._file.size += count
            if self._size is not None and self._file.size > self._size:
                break
        if self._size is not None and self._file.size != self._size:
            raise RunnerError(
                "INVALID_ARGUMENT",
                "upload has %s%d bytes, but %d were announced"
                % ("at least " if self._file.size > self._size else "", self._file.size, self._size),
                field="size_bytes",
            )


def _send(pipe, descriptor, offset, count):
    try:
        return os.sendfile(pipe, descriptor, offset, count)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        return os.write(pipe, os.pread(descriptor, min(count, 65536), offset))  # a file system without splice


def _splice(source, target):
    return os.splice(source, target, STREAM_PIPE_BYTES)


def _copy_through_memory():
    buffer = bytearray(256 * 1024)
    view = memoryview(buffer)

    def move(source, target):
        count = os.readv(source, [buffer])
        written = 0
        while written < count:
            written += os.write(target, view[written:count])
        return count

    return move


def _open_pipe():
    read_end, write_end = os.pipe()
    widen_pipe(write_end, STREAM_PIPE_BYTES)
    return read_end, write_end


def _run(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()
