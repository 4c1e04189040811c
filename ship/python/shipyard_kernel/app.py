"""The kernel's application, made of subclasses of ipykernel's own parts."""

import faulthandler
import os
import sys
import threading
import time

from . import cells, children, levers
from .interrupts import interrupts

levers.pull("imports", levers.import_less)
with levers.without_unneeded(), levers.later_dates():
    import zmq
    from ipykernel import kernelapp
    from ipykernel.ipkernel import IPythonKernel
    from traitlets import Type
    from traitlets.config import Config

    from . import direct, messages, names, once, own_streams, packing, plain, publisher, streams, tokens
    from .shell import ZMQInteractiveShell


class _NoSubshells:
    """Stands for the thread of subshells, which costs each cell a detour; false, but it knows the main thread."""

    parent_thread = threading.main_thread()

    def __bool__(self):
        return False


class ShipKernel(IPythonKernel):
    shell_class = Type(ZMQInteractiveShell)
    _execute_sleep = 0

    def __init__(self, **options):
        super().__init__(**options)
        # A cell of a moment wakes the publisher once: for `idle`, with all that came before.
        self._iopub_in_time = getattr(self.iopub_thread, "in_time", self.iopub_socket)
        self.shell.displayhook.pub_socket = self._iopub_in_time

    def start(self):
        super().start()
        if hasattr(self, "shell_main"):  # of ipykernel 7
            levers.pull("one task a message", direct.receive, self)

    @property
    def _supports_kernel_subshells(self):
        return bool(self.shell_channel_thread)

    @property
    def kernel_info(self):
        info = {
            "byte_exact": isinstance(own_streams.own.get("stdout"), streams.CellStream),
            "lossless": "lossless" in levers.on,
            "levers": levers.on,
            "missing": levers.off,
        }
        return {**super().kernel_info, "shipyard": info}

    def _publish_execute_input(self, code, parent, execution_count):
        """Left out: the agent has the code, and `busy` brings the count."""

    def _publish_status(self, status, channel, parent=None):
        if status != "busy" or channel != "shell":
            super()._publish_status(status, channel, parent)
            if channel == "shell":
                self._rest()
            return
        content = {
            "execution_state": status,
            "execution_count": self.execution_count,
            # An interrupt that was sent before this moment did nothing.
            "monotonic_us": time.monotonic_ns() // 1000,
        }
        parent = parent or self.get_parent(channel)
        self.session.send(self._iopub_in_time, "status", content, parent=parent, ident=self._topic("status"))

    def _end(self):
        """The cell's code has ended."""
        capture = streams.CellStream.capture
        if hasattr(self.iopub_thread, "main_sends"):
            # An exception of a signal handler in the middle of a message would leave half of it in the socket.
            self.iopub_thread.main_sends = interrupts.nothing_breaks_in()
        if capture:
            capture.end_cell()
        cells.leave()

    def _rest(self):
        """All is said of the request; tasks of the user's may run from here on."""
        if hasattr(self.iopub_thread, "main_sends"):
            self.iopub_thread.main_sends = False
        capture = streams.CellStream.capture
        if capture:
            capture.disarm()

    def set_parent(self, ident, parent, channel="shell"):
        super().set_parent(ident, parent, channel)
        if channel == "shell":
            cell = cells.enter(parent)
            if parent.get("header", {}).get("msg_type") == "execute_request":
                interrupts.expect()
            capture = streams.CellStream.capture
            if capture:
                capture.begin_cell(cell)

    def init_metadata(self, parent):
        """Left out: the time of the start, which nobody reads."""
        return {}

    def get_parent(self, channel=None):
        # A thread or task of an ended cell answers for that cell: comms and input go by this.
        message = cells.current().message
        if channel != "control" and message and threading.current_thread() is not self.control_thread:
            return message
        return super().get_parent(channel or "shell")

    # SIGINT is ours for the kernel's whole life, see interrupts.py; a cell may have taken it.

    def pre_handler_hook(self):
        if "interrupts" in levers.on:
            interrupts.install()
        else:
            super().pre_handler_hook()

    def post_handler_hook(self):
        if "interrupts" not in levers.on:
            super().post_handler_hook()

    def _cancel_on_sigint(self, future):
        """ipykernel's own takes SIGINT for itself, and does not wake the loop that is to cancel the task."""
        return interrupts.of_task(future) if "interrupts" in levers.on else super()._cancel_on_sigint(future)

    async def do_execute(self, code, silent, *args, **kwargs):
        once.expect_cell()
        try:
            try:
                reply = await super().do_execute(code, silent, *args, **kwargs)
            finally:
                interrupts.forbid()
                once.forget()
        except KeyboardInterrupt:
            # Struck between the lines of the cell and ours.
            interrupts.forbid()
            reply = {
                "status": "error",
                "ename": "KeyboardInterrupt",
                "evalue": "",
                "traceback": [],
                "execution_count": self.execution_count,
                "user_expressions": {},
                "payload": [],
            }
        if children.is_child():
            children.leave()
        self._end()
        return reply

    def _input_request(self, prompt, ident, parent, password=False):
        # stdin is a channel of its own; this mark tells the agent which output came before the question.
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        content = {"prompt": str(prompt), "password": password}
        self.session.send(self.iopub_socket, "shipyard_input_request", content, parent=parent)
        return super()._input_request(prompt, ident, parent, password=password)


class ShipKernelApp(kernelapp.IPKernelApp):
    # Clients of jupyter_client, which a kernel never makes, and which importing costs a tenth of its start.
    blocking_class = Type(object, klass=object)

    def _bind_socket(self, s, port):
        if s.type in (zmq.PUB, zmq.XPUB):
            levers.pull("lossless", self._make_lossless, s)
        return super()._bind_socket(s, port)

    def _make_lossless(self, socket):
        if publisher.prepare(socket):
            kernelapp.IOPubThread = publisher.PublisherThread

    def init_sockets(self):
        # For the directory's group too, which is the agent's where that is another user.
        previous = os.umask(0o007)
        try:
            super().init_sockets()
        finally:
            os.umask(previous)

    def init_control(self, context):
        super().init_control(context)
        if hasattr(self, "shell_channel_thread"):
            self.shell_channel_thread = _NoSubshells()

    def write_connection_file(self, **_options):
        """The launcher wrote it; here it would be read again and compared."""

    def log_connection_info(self):
        """Stock prints advice for a person at a terminal here, and notes its ports."""
        ports = ("shell", "iopub", "stdin", "hb", "control")
        self._ports = {name: getattr(self, f"{name}_port") for name in ports}

    def init_heartbeat(self):
        """Left out: the agent sees the kernel's process end, and a heartbeat costs a thread and a ZeroMQ context."""

    def init_signal(self):
        levers.pull("interrupts", interrupts.install)
        levers.pull("prompt interrupts", interrupts.watch)

    def init_kernel(self):
        levers.pull("direct replies", direct.install, kernelapp)
        with levers.without_unneeded():
            super().init_kernel()

    def init_io(self):
        levers.pull("threads", cells.install)
        super().init_io()
        own_streams.remember()
        levers.pull("crash report", faulthandler.enable, sys.stderr._original_stdstream_copy)
        levers.pull("last words", _send_before_exit, self)

    def initialize(self, argv=None):
        levers.pull("signatures", levers.cache_signatures)
        levers.pull("dates", levers.skip_dates)
        super().initialize(argv)
        levers.pull("packing", packing.install, self.session)
        levers.pull("copied messages", levers.copy_messages, self.session)
        levers.pull("messages", messages.install, self.session)
        levers.pull("names", names.install, self.shell)
        levers.pull("tokens", tokens.install, self.shell)
        levers.pull("once", once.install, self.shell)
        levers.pull("plain values", plain.install, self.shell)
        levers.pull("quiet log", levers.log_what_is_shown, self)
        levers.pull("no copies of output", levers.forget_outputs, self.shell)


def _send_before_exit(app):
    """os._exit() takes what was printed just before along; here it waits until that is on its way."""
    leave, kernel_pid = os._exit, os.getpid()

    def _exit(status):
        if os.getpid() == kernel_pid:
            try:
                streams.CellStream.capture.flush_all()
                sent = threading.Event()
                app.iopub_thread.schedule(sent.set)
                sent.wait(1)
                # ZeroMQ's own thread writes to the socket now, and has no way to say that it did.
                time.sleep(0.02)
            except BaseException:  # noqa: S110 -- nothing may keep the process from leaving
                pass
        leave(status)

    os._exit = _exit


def run(argv):
    config = Config()
    config.HistoryManager.enabled = False
    config.IPKernelApp.outstream_class = "shipyard_kernel.streams.CellStream"
    config.IPKernelApp.kernel_class = "shipyard_kernel.app.ShipKernel"
    ShipKernelApp.launch_instance(argv, config=config)
