"""The one error that crosses to the agent: a reason of shipyard.errors.v1 and a text."""

import errno
import os


class RunnerError(Exception):
    def __init__(self, reason, message, **details):
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.details = details

    def to_json(self):
        return {"reason": self.reason, "message": self.message, "details": self.details}


def describe_os_error(error, path):
    """The operating system's word, as Python prints it, but with the path as the caller gave it."""
    return "[Errno %d] %s: %r" % (error.errno or 0, os.strerror(error.errno or 0), path)


def from_os_error(error, path):
    """An OSError as a RunnerError; a full disk or quota is told apart, because it may pass."""
    return RunnerError(
        reason_of(error), describe_os_error(error, path), errno=errno.errorcode.get(error.errno or 0, "")
    )


def reason_of(error):
    return "DISK_FULL" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "FILE_OPERATION_FAILED"
