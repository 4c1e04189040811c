"""What is told of a program that does not start."""

import errno
import os
import unittest
from unittest import mock

from test_confine import WorkspaceCase

from shipyard_runner.errors import RunnerError
from shipyard_runner.processes import Processes


class Spawn(WorkspaceCase):
    def refused(self, argv):
        processes = Processes(self.workspace, {"PATH": os.defpath}, lambda *_: None)
        with self.assertRaises(RunnerError) as caught:
            processes.spawn({"name": "a", "argv": argv})
        return caught.exception

    def test_a_program_that_is_not_there(self):
        self.assertEqual(self.refused(["no-such"]).reason, "FILE_NOT_FOUND")

    def test_no_room_for_another_process(self):
        full = BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        with mock.patch("os.posix_spawn", side_effect=full):
            error = self.refused(["sh"])
        self.assertEqual(error.reason, "FILE_OPERATION_FAILED")
        self.assertIn("[Errno 11] Resource temporarily unavailable: 'sh'; the ship has all the processes", error.message)


if __name__ == "__main__":
    unittest.main()
