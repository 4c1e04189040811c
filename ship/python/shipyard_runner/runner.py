"""The runner's loop: one thread that starts processes and hears of their ends, and a few that touch files."""

import os
import queue
import select
import signal
import sys
import threading

from shipyard_files import OPERATIONS

from . import isolation
from .channel import Channel
from .confine import Workspace
from .errors import RunnerError, reason_of
from .home import prepare_home
from .processes import Processes
from .streams import Streams
from .terminals import Terminals

#: Enough that a slow disk under some operations does not hold up the others.
_FILE_WORKERS = 4


def run(descriptor, guarded=False, end=None):
    """Never returns. end() ends what outlives us, where nothing around us does it."""
    # Work on files holds the interpreter's lock; starting a process is not to wait 5 ms for it.
    sys.setswitchinterval(0.0005)
    _Runner(Channel(descriptor), guarded, end).run()


class _Runner:
    def __init__(self, channel, guarded, end):
        self._channel = channel
        self._end_others = end
        self._guarded = guarded
        self._poll = select.poll()
        self._jobs = queue.SimpleQueue()
        self._workspace = None
        self._processes = None
        self._terminals = None
        self._streams = None

    def run(self):
        woken, wake = os.pipe()
        for end in (woken, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTSTP):
            signal.signal(number, signal.SIG_IGN)
        # Session code may signal all that is its own. Only the guard's death speaks to us by SIGTERM.
        guard = os.getppid()
        signal.signal(signal.SIGTERM, lambda *_: self._end() if self._guarded and os.getppid() != guard else None)
        self._poll.register(woken, select.POLLIN)
        self._poll.register(self._channel, select.POLLIN)
        while True:
            for descriptor, _events in self._poll.poll():
                if descriptor == woken:
                    os.read(woken, 65536)
                    if self._processes is not None:
                        self._processes.reap()
                elif descriptor == self._channel.fileno():
                    messages = self._channel.receive()
                    if messages is None:
                        self._end()
                    for message in messages:
                        self._handle(message)
                elif self._terminals is not None and descriptor == self._terminals.fileno():
                    accepted = self._terminals.accept()
                    if accepted is not None:
                        self._poll.register(accepted, select.POLLIN)
                else:
                    self._poll.unregister(descriptor)
                    self._terminals.receive(descriptor)

    def _handle(self, request):
        operation = request.get("op")
        if operation in ("file", "openRead", "openWrite"):
            self._jobs.put(request)
            return
        try:
            if operation == "spawn":
                self._spawn(request)
            elif operation == "terminal":
                self._terminals.open(request, lambda result: self._answer(request, result))
            elif operation in ("commit", "abort"):
                self._streams.finish(request, lambda result: self._answer(request, result))
            else:
                self._answer(request, self._control(operation, request))
        except RunnerError as error:
            self._answer(request, error)
        except OSError as error:
            self._answer(request, RunnerError(reason_of(error), str(error)))

    def _spawn(self, request):
        process, pipes = self._processes.spawn(request)
        for name, descriptor in pipes:
            self._channel.send_pipe({"id": request["id"], "handle": name}, descriptor)
        self._answer(request, {"pid": process.pid, "mark": process.mark})

    def _control(self, operation, request):
        if operation == "ping":
            return {}
        if operation == "kill":
            reach = "tree" if request.get("tree") else "foreground" if request.get("foreground") else "group"
            self._processes.signal(request["pid"], request["mark"], request["signal"], reach)
            return {}
        if operation == "forgetTerminal":
            return self._terminals.forget(request)
        if operation == "start":
            return self._start(request)
        raise RunnerError("INTERNAL", "unknown operation %r" % operation)

    def _start(self, request):
        """Prepares the home; from then on work is taken."""
        if "filter" in request:
            isolation.restrict(bytes.fromhex(request["filter"]))
        environment = dict(request["environment"])
        python = prepare_home(
            request["home"], request["workspace"], request["python"], _matplotlibrc(request["supportDir"])
        )
        self._workspace = Workspace(request["workspace"])
        self._processes = Processes(self._workspace, environment, self._report_exit)
        self._terminals = Terminals(request["socketDir"], self._processes)
        self._streams = Streams(self._workspace, self._channel)
        self._poll.register(self._terminals, select.POLLIN)
        for _ in range(_FILE_WORKERS):
            threading.Thread(target=self._work, daemon=True).start()
        return {"python": python}

    def _report_exit(self, process, status):
        code = os.waitstatus_to_exitcode(status)
        report = {"event": "exit", "name": process.name}
        if code >= 0:
            report["code"] = code
        else:
            report["signal"] = _signal_name(-code)
        self._channel.send(report)

    def _work(self):
        """One of the threads that do what may wait for a disk."""
        while True:
            request = self._jobs.get()
            try:
                result = self._file_job(request)
            except RunnerError as error:
                result = error
            except Exception as error:  # noqa: B902 -- a defect in one operation must not cost the thread
                print("file operation:", repr(error), file=sys.stderr, flush=True)
                result = RunnerError("INTERNAL", "internal error")
            self._answer(request, result)

    def _file_job(self, request):
        operation = request["op"]
        if operation == "openRead":
            return self._streams.open_read(request)
        if operation == "openWrite":
            return self._streams.open_write(request)
        function = OPERATIONS.get(request["operation"])
        if function is None:
            raise RunnerError("INTERNAL", "unknown file operation %r" % request["operation"])
        return function(self._workspace, request["args"])

    def _answer(self, request, result):
        if isinstance(result, RunnerError):
            self._channel.send({"id": request["id"], "error": result.to_json()})
        else:
            self._channel.send({"id": request["id"], "ok": result})

    def _end(self):
        if self._end_others is not None:
            self._end_others()
        os._exit(0)


def _signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return "SIGRTMIN+%d" % (number - signal.SIGRTMIN)


def _matplotlibrc(support):
    try:
        with open(os.path.join(support, "shipyard_kernel", "matplotlibrc"), encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None
