"""The published SDK of the original Shipyard (shipyard-python-sdk 0.2.4), unmodified, against a Bay of ours.

SHIPYARD_ENDPOINT and SHIPYARD_TOKEN name the Bay, as they do for the SDK itself. Run it by
`python -m unittest -v test_published_sdk` in an environment that holds the published wheel.
"""

import asyncio
import base64
import contextlib
import dataclasses
import importlib.metadata
import inspect
import io
import json
import os
import re
import tempfile
import textwrap
import unittest
import uuid
import zipfile
from datetime import datetime, timedelta, timezone

import shipyard
from shipyard import client as client_module
from shipyard import filesystem, python, session, shell, types, utils
from shipyard import (
    FileSystemComponent,
    PythonComponent,
    SessionShip,
    ShellComponent,
    ShipInfo,
    ShipyardClient,
    Spec,
    create_session_ship,
)

WORKSPACE = "/home/user/workspace"


class Case(unittest.IsolatedAsyncioTestCase):
    """A client and a ship of its own for each test; the SDK cannot delete ships, so this does."""

    async def asyncSetUp(self):
        self.client = ShipyardClient()
        self.addAsyncCleanup(self.client.close)
        self.session_id = f"sdk-{uuid.uuid4()}"

    async def ship(self, ttl=600, **options):
        options.setdefault("session_id", self.session_id)
        ship = await self.client.create_ship(ttl, **options)
        self.addAsyncCleanup(self.delete, ship.id)
        return ship

    async def delete(self, ship_id):
        http = await self.client._get_session()
        async with http.delete(f"{self.client.endpoint_url}/ship/{ship_id}") as response:
            self.assertIn(response.status, (204, 404))

    async def fails(self, call, prefix, status, detail):
        """The SDK raises a bare Exception whose text ends with the answer."""
        with self.assertRaises(Exception) as caught:
            await call
        match = re.fullmatch(rf"{prefix}: (\d+) (.*)", str(caught.exception), re.S)
        self.assertIsNotNone(match, str(caught.exception))
        self.assertEqual((status, detail), (int(match[1]), json.loads(match[2])["detail"]))

    def has_envelope(self, result):
        self.assertEqual(["success", "data", "error"], list(result)[:3])
        self.assertIs(True, result["success"])


class Surface(unittest.TestCase):
    """What programs import and call: names, parameters, defaults."""

    def test_exports(self):
        names = {
            "Spec",
            "ShipInfo",
            "ShipyardClient",
            "SessionShip",
            "FileSystemComponent",
            "ShellComponent",
            "PythonComponent",
            "create_session_ship",
        }
        self.assertEqual(names, set(shipyard.__all__))
        self.assertEqual("1.0.0", shipyard.__version__)
        self.assertEqual("0.2.4", importlib.metadata.version("shipyard-python-sdk"))

    def test_submodules(self):
        self.assertIs(ShipyardClient, client_module.ShipyardClient)
        self.assertIs(SessionShip, session.SessionShip)
        self.assertIs(FileSystemComponent, filesystem.FileSystemComponent)
        self.assertIs(ShellComponent, shell.ShellComponent)
        self.assertIs(PythonComponent, python.PythonComponent)
        self.assertIs(Spec, types.Spec)
        self.assertIs(ShipInfo, types.ShipInfo)
        self.assertIs(create_session_ship, utils.create_session_ship)

    def test_signatures(self):
        required = inspect.Parameter.empty
        expected = {
            ShipyardClient.__init__: {"endpoint_url": None, "access_token": None},
            ShipyardClient.create_ship: {
                "ttl": required,
                "spec": None,
                "max_session_num": 1,
                "session_id": None,
            },
            ShipyardClient.get_ship: {"ship_id": required},
            ShipyardClient.extend_ship_ttl: {"ship_id": required, "ttl": required},
            ShipyardClient.get_ship_logs: {"ship_id": required},
            ShipyardClient.upload_file: {
                "ship_id": required,
                "file_path": required,
                "session_id": required,
                "remote_file_path": required,
            },
            ShipyardClient.download_file: {
                "ship_id": required,
                "remote_file_path": required,
                "session_id": required,
                "local_file_path": required,
            },
            ShipyardClient.close: {},
            ShipInfo.__init__: {"ship_data": required},
            SessionShip.__init__: {"client": required, "ship_data": required, "session_id": required},
            SessionShip.extend_ttl: {"ttl": required},
            SessionShip.get_logs: {},
            SessionShip.upload_file: {"file_path": required, "remote_file_path": None},
            SessionShip.download_file: {"remote_file_path": required, "local_file_path": None},
            FileSystemComponent.create_file: {"path": required, "content": "", "mode": 0o644},
            FileSystemComponent.read_file: {
                "path": required,
                "encoding": "utf-8",
                "offset": None,
                "limit": None,
            },
            FileSystemComponent.write_file: {
                "path": required,
                "content": required,
                "mode": "w",
                "encoding": "utf-8",
            },
            FileSystemComponent.edit_file: {
                "path": required,
                "old_string": required,
                "new_string": required,
                "replace_all": False,
                "encoding": "utf-8",
            },
            FileSystemComponent.delete_file: {"path": required},
            FileSystemComponent.list_dir: {"path": ".", "show_hidden": False},
            ShellComponent.exec: {
                "command": required,
                "cwd": None,
                "env": None,
                "timeout": 30,
                "shell": True,
                "background": False,
            },
            PythonComponent.exec: {"code": required, "kernel_id": None, "timeout": 30, "silent": False},
            create_session_ship: {
                "ttl": required,
                "spec": None,
                "max_session_num": 1,
                "endpoint_url": None,
                "access_token": None,
                "session_id": None,
            },
        }
        for function, parameters in expected.items():
            with self.subTest(function.__qualname__):
                found = inspect.signature(function).parameters.items()
                self.assertEqual(parameters, {name: one.default for name, one in found if name != "self"})

    def test_spec(self):
        self.assertEqual({"cpus": None, "memory": None}, dataclasses.asdict(Spec()))
        self.assertEqual({"cpus": 0.5, "memory": "256m"}, dataclasses.asdict(Spec(0.5, "256m")))

    def test_client_wants_endpoint_and_token(self):
        saved = {name: os.environ.pop(name) for name in ("SHIPYARD_ENDPOINT", "SHIPYARD_TOKEN")}
        try:
            with self.assertRaises(ValueError):
                ShipyardClient(access_token="x")
            with self.assertRaises(ValueError):
                ShipyardClient(endpoint_url="http://x")
            self.assertEqual("http://x", ShipyardClient("http://x///", "y").endpoint_url)
        finally:
            os.environ.update(saved)


class Ships(Case):
    async def test_create_ship(self):
        ship = await self.ship(ttl=600, spec=Spec(cpus=1.0, memory="512m"), max_session_num=3)
        self.assertIsInstance(ship, SessionShip)
        self.assertIsInstance(ship, ShipInfo)
        self.assertEqual(str(uuid.UUID(ship.id)), ship.id)
        self.assertEqual((1, 600, 3, 1), (ship.status, ship.ttl, ship.max_session_num, ship.current_session_num))
        self.assertIsNone(ship.created_at.tzinfo)
        age = datetime.now(timezone.utc).replace(tzinfo=None) - ship.created_at
        self.assertLess(abs(age), timedelta(seconds=60))
        for optional in (ship.container_id, ship.ip_address):
            self.assertIsInstance(optional, (str, type(None)))
        self.assertIsInstance(ship.fs, FileSystemComponent)
        self.assertIsInstance(ship.shell, ShellComponent)
        self.assertIsInstance(ship.python, PythonComponent)
        keys = "id status created_at updated_at container_id ip_address ttl max_session_num current_session_num"
        self.assertEqual([*keys.split(), "expires_at"], list(ship._data))
        self.assertTrue(ship._data["expires_at"].endswith("Z"))

    async def test_create_ship_without_a_session_makes_one(self):
        ship = await self.ship(session_id=None)
        self.assertEqual(str(uuid.UUID(ship._session_id)), ship._session_id)
        self.has_envelope(await ship.shell.exec("true"))

    async def test_create_ship_again_finds_the_same(self):
        first = await self.ship(ttl=60)
        again = await self.ship(ttl=900, spec=Spec(cpus=0.5))
        self.assertEqual(first.id, again.id)
        self.assertEqual(900, again.ttl)

    async def test_sessions_share_a_ship_with_free_seats(self):
        first = await self.ship(max_session_num=2)
        second = await self.ship(session_id=f"{self.session_id}-b", max_session_num=2)
        self.assertEqual((first.id, 2), (second.id, second.current_session_num))
        await first.fs.create_file("private.txt", "mine")
        await self.fails(
            second.fs.read_file("private.txt"),
            "Failed to execute operation",
            400,
            'Ship returned 404: {"detail":"File not found: private.txt"}',
        )

    async def test_create_ship_refuses_a_ttl_of_zero(self):
        detail = [
            {
                "type": "greater_than",
                "loc": ["body", "ttl"],
                "msg": "Input should be greater than 0",
                "input": 0,
                "ctx": {"gt": 0},
            }
        ]
        await self.fails(self.client.create_ship(0), "Failed to create ship", 422, detail)

    async def test_create_ship_refuses_memory_that_is_none(self):
        with self.assertRaisesRegex(Exception, "Failed to create ship: 422 .*k, kb, m, mb, g or gb"):
            await self.client.create_ship(60, spec=Spec(memory="1.5g"))

    async def test_get_ship(self):
        ship = await self.ship()
        found = await self.client.get_ship(ship.id)
        self.assertEqual((ship.id, 1), (found["id"], found["status"]))
        self.assertIsNone(await self.client.get_ship(str(uuid.uuid4())))

    async def test_extend_ttl(self):
        ship = await self.ship(ttl=60)
        self.assertEqual(5000, (await ship.extend_ttl(5000))["ttl"])
        await ship.shell.exec("true")
        self.assertGreater((await self.client.get_ship(ship.id))["ttl"], 4900)
        self.assertEqual(100, (await self.client.extend_ship_ttl(ship.id, 100))["ttl"])
        unknown = self.client.extend_ship_ttl("nobody", 10)
        await self.fails(unknown, "Failed to extend TTL", 404, "Ship not found")

    async def test_logs(self):
        ship = await self.ship()
        self.assertIsInstance(await ship.get_logs(), str)
        self.assertEqual("", await self.client.get_ship_logs("nobody"))

    async def test_create_session_ship(self):
        ship = await create_session_ship(600, Spec(cpus=0.5, memory="256m"), session_id=self.session_id)
        self.addAsyncCleanup(ship._client.close)
        self.addAsyncCleanup(self.delete, ship.id)
        self.assertEqual("hi", (await ship.shell.exec("echo hi"))["data"]["stdout"])

    async def test_client_is_a_context_manager(self):
        async with ShipyardClient() as one:
            self.assertIsNone(await one.get_ship("nobody"))
        self.assertTrue(one._session.closed)

    async def test_wrong_token(self):
        async with ShipyardClient(access_token="wrong") as stranger:
            await self.fails(stranger.get_ship("x"), "Failed to get ship", 401, "Invalid access token")
            await self.fails(stranger.create_ship(60), "Failed to create ship", 401, "Invalid access token")


class Files(Case):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.fs = (await self.ship()).fs

    async def refused(self, call, detail):
        await self.fails(call, "Failed to execute operation", 400, detail)

    async def test_create_file(self):
        result = await self.fs.create_file("a/b.txt", "text", 0o600)
        self.has_envelope(result)
        path = f"{WORKSPACE}/a/b.txt"
        self.assertEqual({"success": True, "message": "File created: a/b.txt", "path": path}, result["data"])
        await self.fs.create_file("a/b.txt")
        self.assertEqual(0, (await self.fs.read_file("a/b.txt"))["data"]["size"])

    async def test_read_file(self):
        await self.fs.create_file("lines.txt", "one\r\ntwo\nthréé\nfour")
        read = (await self.fs.read_file("lines.txt"))["data"]
        path = f"{WORKSPACE}/lines.txt"
        self.assertEqual({"content": "one\r\ntwo\nthréé\nfour", "path": path, "size": 21}, read)
        for offset, limit, content in [
            (2, 2, "two\nthréé\n"),
            (0, 1, "one\r\n"),
            (-3, None, "one\r\ntwo\nthréé\nfour"),
            (4, None, "four"),
            (99, None, ""),
            (None, 0, ""),
            (None, -1, "one\r\ntwo\nthréé\n"),
        ]:
            with self.subTest(offset=offset, limit=limit):
                read = await self.fs.read_file("lines.txt", offset=offset, limit=limit)
                self.assertEqual(content, read["data"]["content"])

    async def test_write_file(self):
        written = (await self.fs.write_file("w.txt", "één"))["data"]
        path = f"{WORKSPACE}/w.txt"
        self.assertEqual({"success": True, "message": "File written: w.txt", "path": path, "size": 5}, written)
        await self.fs.write_file("w.txt", "!", mode="a")
        self.assertEqual("één!", (await self.fs.read_file("w.txt"))["data"]["content"])
        await self.fs.write_file("latin.txt", "é", encoding="latin-1")
        self.assertEqual(1, (await self.fs.read_file("latin.txt", encoding="latin-1"))["data"]["size"])

    async def test_edit_file(self):
        await self.fs.create_file("e.txt", "a\r\nb\r\na\r\n")
        self.assertEqual(1, (await self.fs.edit_file("e.txt", "b", "c"))["data"]["replacements"])
        edited = await self.fs.edit_file("e.txt", "a", "x", replace_all=True)
        self.assertEqual(2, edited["data"]["replacements"])
        self.assertEqual("x\r\nc\r\nx\r\n", (await self.fs.read_file("e.txt"))["data"]["content"])

    async def test_delete_file(self):
        await self.fs.create_file("d/x")
        deleted = (await self.fs.delete_file("d/x"))["data"]
        self.assertEqual({"success": True, "message": "File deleted: d/x"}, deleted)
        self.assertEqual("Directory deleted: d", (await self.fs.delete_file("d"))["data"]["message"])

    async def test_list_dir(self):
        for name in ("b.txt", "A.txt", ".hidden", "sub/c"):
            await self.fs.create_file(name, name)
        listed = (await self.fs.list_dir())["data"]
        self.assertEqual(WORKSPACE, listed["current_path"])
        self.assertEqual(["sub", "A.txt", "b.txt"], [file["name"] for file in listed["files"]])
        folder, file = listed["files"][:2]
        self.assertEqual({"name", "path", "is_file", "is_dir", "size", "modified_time"}, set(file))
        self.assertEqual((True, False, None), (folder["is_dir"], folder["is_file"], folder["size"]))
        self.assertEqual((False, True, 5), (file["is_dir"], file["is_file"], file["size"]))
        self.assertIsInstance(file["modified_time"], float)
        hidden = (await self.fs.list_dir(".", show_hidden=True))["data"]["files"]
        self.assertIn(".hidden", [file["name"] for file in hidden])

    async def test_refusals(self):
        await self.fs.create_file("two.txt", "aa")
        await self.fs.create_file("dir/x")
        denied = f"Access denied: path must be within workspace {WORKSPACE}"
        cases = [
            (self.fs.read_file("no"), 404, "File not found: no"),
            (self.fs.read_file("dir"), 400, "Path is not a file: dir"),
            (self.fs.read_file("/etc/passwd"), 403, denied),
            (self.fs.read_file("../../x"), 403, denied),
            (self.fs.create_file("../../x"), 403, denied),
            (self.fs.write_file("/etc/x", ""), 403, denied),
            (self.fs.edit_file("no", "a", "b"), 404, "File not found: no"),
            (self.fs.edit_file("two.txt", "x", "y"), 400, "'old_string' not found in file"),
            (self.fs.edit_file("two.txt", "a", "a"), 400, "'old_string' and 'new_string' must differ"),
            (
                self.fs.edit_file("two.txt", "a", "b"),
                400,
                "'old_string' appears 2 times in file; set replace_all=true to replace all occurrences",
            ),
            (self.fs.delete_file("no"), 404, "Path not found: no"),
            (self.fs.list_dir("no"), 404, "Directory not found: no"),
            (self.fs.list_dir("two.txt"), 400, "Path is not a directory: two.txt"),
        ]
        for call, status, detail in cases:
            with self.subTest(detail):
                await self.refused(
                    call, f"Ship returned {status}: " + json.dumps({"detail": detail}, separators=(",", ":"))
                )
        with self.assertRaisesRegex(Exception, "Failed to execute operation: 400 .*Ship returned 400"):
            await self.fs.delete_file(".")
        await self.fs.create_file("still-there.txt")

    async def test_a_foreign_session(self):
        foreign = FileSystemComponent(self.client, self.fs._ship_id, "somebody else")
        await self.refused(foreign.list_dir(), "Session does not have access to this ship")
        unknown = FileSystemComponent(self.client, "nobody", self.session_id)
        await self.refused(unknown.list_dir(), "Ship not found or not running")


class Transfers(Case):
    async def test_upload_and_download(self):
        ship = await self.ship()
        content = os.urandom(1_500_000)
        with tempfile.TemporaryDirectory() as folder:
            local = os.path.join(folder, "报告 1.bin")
            with open(local, "wb") as file:
                file.write(content)
            uploaded = await ship.upload_file(local, "in/报告 1.bin")
            path = f"{WORKSPACE}/in/报告 1.bin"
            message = "File uploaded successfully"
            self.assertEqual({"success": True, "message": message, "file_path": path, "error": None}, uploaded)
            back = os.path.join(folder, "back.bin")
            self.assertIsNone(await ship.download_file("in/报告 1.bin", back))
            with open(back, "rb") as file:
                self.assertEqual(content, file.read())

            # The defaults: the name alone, in the workspace and in the current directory.
            self.assertTrue((await ship.upload_file(local))["success"])
            os.unlink(local)
            before = os.getcwd()
            os.chdir(folder)
            try:
                await ship.download_file("报告 1.bin")
            finally:
                os.chdir(before)
            self.assertEqual(len(content), os.path.getsize(local))

            # The session's shell owns what was uploaded.
            mine = await ship.shell.exec("rm -r in && test ! -e in")
            self.assertEqual(0, mine["exit_code"])

            missing = ship.download_file("nope.bin", back)
            await self.fails(missing, "Failed to download file", 404, 'Ship returned 404: {"detail":"File not found"}')
            outside = ship.upload_file(back, "/etc/x")
            denied = f"Access denied: path must be within workspace {WORKSPACE}"
            await self.fails(outside, "Failed to upload file", 403, 'Ship returned 403: {"detail":"%s"}' % denied)
            foreign = self.client.upload_file(ship.id, back, "somebody else", "x")
            no_access = "Session does not have access to this ship"
            await self.fails(foreign, "Failed to upload file", 403, no_access)
            gone = self.client.download_file("nobody", "x", self.session_id, back)
            await self.fails(gone, "Failed to download file", 404, "Ship not found or not running")


class Shell(Case):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.session_ship = await self.ship()
        self.shell = self.session_ship.shell

    async def test_exec(self):
        result = await self.shell.exec("echo out; echo err >&2; exit 3")
        self.has_envelope(result)
        data = result["data"]
        self.assertLessEqual({"success", "return_code", "stdout", "stderr", "pid", "error"}, set(data))
        self.assertEqual(
            (False, 3, "out", "err", None),
            tuple(data[key] for key in ("success", "return_code", "stdout", "stderr", "error")),
        )
        self.assertIsInstance(data["pid"], int)
        self.assertEqual(("out", 3, "err"), (result["stdout"], result["exit_code"], result["error"]))

    async def test_cwd(self):
        self.assertEqual(WORKSPACE, (await self.shell.exec("pwd"))["data"]["stdout"])
        await self.shell.exec("mkdir -p 'a b'")
        self.assertEqual(f"{WORKSPACE}/a b", (await self.shell.exec("pwd", cwd="a b"))["data"]["stdout"])
        absolute = await self.shell.exec("pwd", cwd=f"{WORKSPACE}/a b")
        self.assertEqual(f"{WORKSPACE}/a b", absolute["data"]["stdout"])
        missing = (await self.shell.exec("touch ran-anyway", cwd="nope"))["data"]
        self.assertEqual((False, True), (missing["success"], bool(missing["error"] or missing["stderr"])))
        self.assertNotIn(
            "ran-anyway", [file["name"] for file in (await self.session_ship.fs.list_dir())["data"]["files"]]
        )
        with self.assertRaisesRegex(Exception, "Access denied: path must be within workspace"):
            await self.shell.exec("pwd", cwd="/etc")

    async def test_env(self):
        self.assertEqual("b c", (await self.shell.exec('printf %s "$A"', env={"A": "b c"}))["data"]["stdout"])

    async def test_without_a_shell(self):
        self.assertEqual("$HOME a b", (await self.shell.exec("echo '$HOME' 'a b'", shell=False))["data"]["stdout"])

    async def test_timeout_returns_what_was_printed(self):
        data = (await self.shell.exec("echo started; sleep 60", timeout=1))["data"]
        self.assertEqual(
            (False, -1, "started", "Command timed out"),
            tuple(data[key] for key in ("success", "return_code", "stdout", "error")),
        )
        self.assertEqual("", (await self.shell.exec("cat /proc/[0-9]*/comm | grep -x sleep"))["data"]["stdout"])

    async def test_a_timeout_of_none_is_no_limit(self):
        self.assertEqual(0, (await self.shell.exec("sleep 0.1", timeout=None))["exit_code"])

    async def test_background(self):
        started = (await self.shell.exec("echo one; sleep 60", background=True))["data"]
        self.assertEqual(
            (True, 0, "", ""), tuple(started[key] for key in ("success", "return_code", "stdout", "stderr"))
        )
        process = started["process_id"]
        self.assertRegex(process, "^[0-9a-f]{8}$")

        async def ask(kind):
            operation = self.client._exec_operation(self.session_ship.id, kind, {}, self.session_id)
            return (await operation)["data"]

        listed = (await ask("shell/processes"))["processes"]
        self.assertEqual([(process, "running")], [(one["process_id"], one["status"]) for one in listed])
        for _ in range(100):
            output = await ask(f"shell/process/{process}/output")
            if output["stdout"]:
                break
            await asyncio.sleep(0.05)
        self.assertEqual("one", output["stdout"])
        self.assertTrue((await ask(f"shell/process/{process}/kill"))["success"])
        self.assertRegex((await ask(f"shell/process/{process}"))["status"], r"^finished \(code: -?\d+\)$")

    async def test_output_that_is_not_utf8(self):
        data = (await self.shell.exec("printf 'a\\377b'"))["data"]
        self.assertEqual("a\ufffdb", data["stdout"])
        self.assertEqual(b"a\xffb", base64.b64decode(data["stdout_base64"]))

    async def test_parallel_commands(self):
        results = await asyncio.gather(*(self.shell.exec(f"echo {number}") for number in range(20)))
        self.assertEqual([str(number) for number in range(20)], [result["stdout"] for result in results])


class Python(Case):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.session_ship = await self.ship()
        self.python = self.session_ship.python

    async def test_exec(self):
        result = await self.python.exec("print(1)\n2")
        self.has_envelope(result)
        output = {"text": "1\n2", "images": []}
        expected = {
            "success": True,
            "execution_count": 1,
            "output": output,
            "error": None,
            "kernel_id": self.session_id,
        }
        self.assertEqual(expected, result["data"])

    async def test_state_persists(self):
        await self.python.exec("answer = 6 * 7", kernel_id="ignored")
        data = (await self.python.exec("answer"))["data"]
        self.assertEqual(
            ("42", 2, self.session_id), (data["output"]["text"], data["execution_count"], data["kernel_id"])
        )

    async def test_exception(self):
        data = (await self.python.exec("print('before')\n1/0"))["data"]
        self.assertEqual((False, "before"), (data["success"], data["output"]["text"]))
        self.assertRegex(data["error"], "\x1b\\[.*ZeroDivisionError")

    async def test_silent(self):
        data = (await self.python.exec("print('shown')\n5", silent=True))["data"]
        self.assertEqual((True, None, "shown"), (data["success"], data["execution_count"], data["output"]["text"]))

    async def test_timeout_keeps_the_kernel(self):
        await self.python.exec("kept = 1")
        data = (await self.python.exec("print('partial', flush=True)\nwhile True: pass", timeout=1))["data"]
        expected = (False, "Code execution timed out after 1 seconds", "partial")
        self.assertEqual(expected, (data["success"], data["error"], data["output"]["text"]))
        self.assertEqual("1", (await self.python.exec("kept"))["data"]["output"]["text"])

    async def test_dead_kernel_is_told_and_replaced(self):
        data = (await self.python.exec("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"))["data"]
        self.assertEqual((False, True), (data["success"], bool(data["error"])))
        after = (await self.python.exec("1 + 1"))["data"]
        self.assertEqual(("2", 1), (after["output"]["text"], after["execution_count"]))

    async def test_input_does_not_hang(self):
        data = (await self.python.exec("input()", timeout=20))["data"]
        self.assertIs(False, data["success"])
        self.assertNotIn("timed out", data["error"])

    async def test_files_of_python_are_files_of_the_session(self):
        await self.python.exec("import os\nopen('from-python.txt', 'w').write(os.getcwd())")
        read = await self.session_ship.fs.read_file("from-python.txt")
        self.assertEqual(WORKSPACE, read["data"]["content"])
        self.assertEqual("0", (await self.session_ship.shell.exec("echo x >> from-python.txt; echo $?"))["stdout"])
        await self.session_ship.shell.exec("echo shared > /tmp/shared.txt")
        self.assertEqual(
            "shared", (await self.python.exec("print(open('/tmp/shared.txt').read())"))["data"]["output"]["text"]
        )

    async def test_no_output_is_lost(self):
        for number in range(40):
            data = (await self.python.exec(f"print({number})"))["data"]
            self.assertEqual((True, str(number)), (data["success"], data["output"]["text"]))

    async def test_parallel_cells_do_not_mix(self):
        cells = (
            self.python.exec(f"import time\nprint({number})\ntime.sleep(0.02)\nprint({number})") for number in range(8)
        )
        texts = [result["data"]["output"]["text"] for result in await asyncio.gather(*cells)]
        self.assertEqual([f"{number}\n{number}" for number in range(8)], texts)

    async def test_picture(self):
        code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
        data = (await self.python.exec(code, timeout=120))["data"]
        if data["error"] and "No module named 'matplotlib'" in data["error"]:
            self.skipTest("this ship has no matplotlib")
        self.assertEqual(["image/png"], list(data["output"]["images"][0]))
        self.assertTrue(base64.b64decode(data["output"]["images"][0]["image/png"]).startswith(b"\x89PNG"))


class DocumentedExamples(Case):
    """The examples in the wheel's own description, with the two corrections that it needs: the package's name, and that
    the content is below `data`. Endpoint and token are those of this Bay."""

    def examples(self):
        text = importlib.metadata.metadata("shipyard-python-sdk").get_payload()
        blocks = re.findall(r"```python\n(.*?)```", text, re.S)
        self.assertEqual(3, len(blocks))
        return [
            block.replace("from shipyard_python_sdk import", "from shipyard import")
            .replace('result["content"]', 'result["data"]["content"]')
            .replace("http://localhost:8000", self.client.endpoint_url)
            .replace("your-token", self.client.access_token)
            for block in blocks
        ]

    async def test_quick_start(self):
        program, _, _ = self.examples()
        ships = []
        created = SessionShip.__init__

        def remember(ship, *arguments):
            created(ship, *arguments)
            ships.append(ship)

        SessionShip.__init__ = remember
        try:
            names = {"__name__": "example"}
            exec(compile(program, "quick-start", "exec"), names)
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                await names["main"]()
        finally:
            SessionShip.__init__ = created
        self.assertEqual("Hello, World!\n", printed.getvalue())
        for ship in ships:
            await self.delete(ship.id)
            await ship._client.close()
        self.assertEqual(2, len(ships))

    async def test_spec(self):
        _, program, _ = self.examples()
        names = {"Spec": Spec}
        exec(program, names)
        self.assertEqual(Spec(2.0, "1g"), names["spec"])

    async def test_error_handling(self):
        _, _, program = self.examples()
        names = {"ship": await self.ship()}
        exec("async def example():\n" + textwrap.indent(program, "    "), names)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            await names["example"]()
        self.assertIn("File not found: nonexistent.txt", printed.getvalue())


class AstrBot(Case):
    """What AstrBot does with the SDK, call by call, and the keys that it reads of the answers."""

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.session_id = uuid.uuid5(uuid.NAMESPACE_DNS, self.session_id).hex
        self.boat = await self.ship(ttl=3600, spec=Spec(cpus=1.0, memory="512m"), max_session_num=10)

    async def shell(self, command):
        """Its wrapper reads the answer itself, not `data`."""
        result = await self.boat.shell.exec(command, cwd=None, env=None, timeout=300, background=False)
        error = result.get("error", result.get("stderr"))
        return result.get("output", result.get("stdout")) or "", error or "", result.get("exit_code")

    async def test_shell(self):
        self.assertEqual(("hi", "", 0), await self.shell("echo hi"))
        self.assertEqual(("", "no", 2), await self.shell("echo no >&2; exit 2"))
        self.assertEqual(("", "", 1), await self.shell("false"))

    async def test_grep(self):
        await self.boat.fs.write_file("notes.txt", "one\ntwo\n", mode="w", encoding="utf-8")
        output, _, code = await self.shell("grep -R -H -n two .")
        self.assertEqual(("./notes.txt:2:two", 0), (output, code))
        self.assertEqual(1, (await self.shell("grep -R -H -n three ."))[2])

    async def test_edit_says_how_often(self):
        await self.boat.fs.write_file("e.txt", "a a", mode="w", encoding="utf-8")
        result = await self.boat.fs.edit_file("e.txt", "a", "b", replace_all=True)
        self.assertEqual((True, None, 2), (result["success"], result["error"], result["replacements"]))

    async def test_skills_are_brought_in(self):
        self.assertEqual(0, (await self.shell("mkdir -p skills"))[2])
        with tempfile.TemporaryDirectory() as folder:
            archive = os.path.join(folder, "skills.zip")
            with zipfile.ZipFile(archive, "w") as file:
                file.writestr("pdf/SKILL.md", "how to read")
            uploaded = await self.boat.upload_file(archive, "skills/skills.zip")
        self.assertTrue(uploaded["success"])
        script = textwrap.dedent("""\
            if command -v python3 >/dev/null 2>&1; then
            python3 - <<'PY'
            import json, os, zipfile
            with zipfile.ZipFile("skills/skills.zip") as archive:
                archive.extractall("skills")
            os.unlink("skills/skills.zip")
            print(json.dumps({"managed_skills": sorted(os.listdir("skills")), "skills": []}))
            PY
            else exit 9; fi""")
        output, error, code = await self.shell(script)
        self.assertEqual(({"managed_skills": ["pdf"], "skills": []}, "", 0), (json.loads(output), error, code))

    async def test_python_reads_what_a_detached_command_writes(self):
        launch = (
            "python3 -c \"import subprocess; p = subprocess.Popen(['bash', '-lc', 'echo done'], "
            "stdout=open('/tmp/astrbot_shell_stdout_0011aabb.log', 'w'), start_new_session=True); print(p.pid)\""
        )
        output, _, code = await self.shell(launch)
        self.assertEqual((True, 0), (output.isdigit(), code))
        read = "import json\nprint(json.dumps({'text': open('/tmp/astrbot_shell_stdout_0011aabb.log').read()}))"
        for _ in range(100):
            data = (await self.boat.python.exec(read))["data"]
            self.assertIsNone(data["error"])
            if json.loads(data["output"]["text"])["text"]:
                break
            await asyncio.sleep(0.05)
        self.assertEqual({"text": "done\n"}, json.loads(data["output"]["text"]))

    async def test_it_stays_available(self):
        data = await self.client.get_ship(self.boat.id)
        self.assertEqual(1, data["status"])


if __name__ == "__main__":
    unittest.main()
