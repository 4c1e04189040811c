"""Processes of the session: started on pipes or on a terminal, signalled, and reaped."""

import errno
import fcntl
import os
import signal
import stat
import termios

from .errors import RunnerError, describe_os_error
from .process_tree import Marks, foreground_group, signal_tree

#: A reader behind by this much stops the writer. Larger than the kernel's 64 KiB, so that a busy agent is woken less often.
PIPE_BYTES = 256 * 1024
_F_SETPIPE_SZ = 1031
_TOO_MANY = "; the ship has all the processes that it may have: end some, or the session's lease, which ends all of its own"
#: Python ignores these for itself; a program expects them as the system has them.
_DEFAULT_SIGNALS = [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Process:
    __slots__ = ("name", "pid", "mark", "on_exit")

    def __init__(self, name, pid, mark, on_exit=None):
        self.name = name
        self.pid = pid
        self.mark = mark
        self.on_exit = on_exit


class Processes:
    def __init__(self, workspace, environment, report_exit):
        """report_exit(process, wait_status) is called from reap()."""
        self._workspace = workspace
        self._environment = environment
        self._report_exit = report_exit
        self._marks = Marks()
        self._live = {}
        self._null = os.open("/dev/null", os.O_RDWR)

    def spawn(self, spec):
        """Starts a process on pipes of its own. Returns it with our ends: [("stdout", fd), ("stderr", fd), ("stdin", fd)]."""
        ours = []
        theirs = []
        try:
            for name in ("stdout", "stderr", *(("stdin",) if spec.get("stdin") else ())):
                read_end, write_end = os.pipe()
                mine, other = (write_end, read_end) if name == "stdin" else (read_end, write_end)
                ours.append((name, mine))
                theirs.append(other)
                widen_pipe(mine, PIPE_BYTES)
            actions = [
                (os.POSIX_SPAWN_DUP2, theirs[2] if spec.get("stdin") else self._null, 0),
                (os.POSIX_SPAWN_DUP2, theirs[0], 1),
                (os.POSIX_SPAWN_DUP2, theirs[1], 2),
            ]

            def start(path, argv, environment):
                return os.posix_spawn(
                    path,
                    argv,
                    environment,
                    file_actions=actions,
                    setsid=True,
                    setsigmask=[],
                    setsigdef=_DEFAULT_SIGNALS,
                )

            return self._start(spec, start), ours
        except BaseException:
            for _name, descriptor in ours:
                os.close(descriptor)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)

    def spawn_on_terminal(self, spec, tty, on_exit):
        """Starts a session leader whose controlling terminal is `tty`; on_exit() is called once it was reaped."""

        def start(path, argv, environment):
            return _fork_on_terminal(path, argv, environment, tty)

        return self._start(spec, start, on_exit)

    def signal(self, pid, mark, number, reach):
        """reach: "group"; "foreground", the group that the terminal's keys reach; "tree", everything that came from the
        process. What is gone is no error."""
        ours = pid in self._live
        if reach == "tree":
            signal_tree(pid, mark, number, ours)
        elif ours:
            try:
                os.killpg((foreground_group(pid) if reach == "foreground" else 0) or pid, number)
            except (ProcessLookupError, PermissionError):
                pass
        elif mark:
            signal_tree(pid, mark, number, False)

    def reap(self):
        """After SIGCHLD: reports each of our processes that ended. Adopted orphans are reaped in silence."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            process = self._live.pop(pid, None)
            if process is None:
                continue
            if process.on_exit is not None:
                process.on_exit()
            self._report_exit(process, status)

    def _start(self, spec, start, on_exit=None):
        argv = spec["argv"]
        environment = dict(self._environment)
        environment.update(spec.get("env") or {})
        cwd = spec.get("cwd") or "."
        directory = self._open_directory(cwd)
        mark = self._marks.take({process.mark for process in self._live.values()})
        try:
            os.fchdir(directory)
            self._marks.put_on(mark)
            path = _find_program(argv[0], environment.get("PATH", os.defpath))
            pid = start(path, argv, environment)
        except OSError as error:
            reason = "FILE_NOT_FOUND" if isinstance(error, FileNotFoundError) else "FILE_OPERATION_FAILED"
            remedy = _TOO_MANY if error.errno == errno.EAGAIN else ""
            raise RunnerError(reason, "cannot run " + describe_os_error(error, argv[0]) + remedy) from error
        except ValueError as error:
            raise RunnerError("INVALID_ARGUMENT", "cannot run %r: %s" % (argv[0], error)) from error
        finally:
            self._marks.take_off()
            os.chdir("/")
            os.close(directory)
        process = Process(spec["name"], pid, mark, on_exit)
        self._live[pid] = process
        return process

    def _open_directory(self, cwd):
        try:
            return self._workspace.open_directory(cwd)
        except OSError as error:
            kinds = {FileNotFoundError: "FILE_NOT_FOUND", NotADirectoryError: "PATH_WRONG_KIND"}
            reason = kinds.get(type(error), "FILE_OPERATION_FAILED")
            raise RunnerError(reason, "cannot enter " + describe_os_error(error, cwd)) from error


def widen_pipe(descriptor, size):
    """As large as the system lets this user's pipes be."""
    try:
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, size)
    except OSError:
        pass  # the user's pipe pages are used up (pipe-user-pages-soft): the pipe works, in smaller steps


def _find_program(name, path):
    """What execvp would run; looked up in the new process's PATH, which may not be ours."""
    if "/" in name:
        return name
    denied = None
    for directory in path.split(":"):
        candidate = os.path.join(directory or ".", name)
        try:
            if stat.S_ISREG(os.stat(candidate).st_mode):
                if os.access(candidate, os.X_OK):
                    return candidate
                denied = PermissionError(13, "Permission denied", name)
        except OSError:
            continue
    raise denied or FileNotFoundError(2, "No such file or directory", name)


def _fork_on_terminal(path, argv, environment, tty):
    """fork, because a controlling terminal cannot be asked of posix_spawn; the child makes system calls only."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            fcntl.ioctl(tty, termios.TIOCSCTTY, 0)
            for number in _DEFAULT_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            for standard in (0, 1, 2):
                os.dup2(tty, standard)
            os.execve(path, argv, environment)
        except BaseException as error:  # noqa: B902 -- whatever it is, the parent must hear of it and the child must end
            os.write(write_end, b"%d" % (getattr(error, "errno", None) or 5))
        finally:
            os._exit(127)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as failure:
        word = failure.read(16)
    if word:
        os.waitpid(pid, 0)
        raise OSError(int(word), os.strerror(int(word)), argv[0])
    return pid
