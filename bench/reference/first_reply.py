"""Waits for the first reply and idle of a kernel that somebody else starts: `first_reply.py FOLDER`.

Writes FOLDER/connection.json (ipc), says "ready", and says "answered" when `1+1` was. Ends at the end of stdin, also
while it waits.
"""
import os
import sys
import threading
import time

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.connect import write_connection_file


def end_with_input():
    sys.stdin.read()
    os._exit(0)


watcher = threading.Thread(target=end_with_input, daemon=True)
watcher.start()

folder = sys.argv[1]
file, _ = write_connection_file(f"{folder}/connection.json", transport="ipc", ip=f"{folder}/k", key=b"bench")
client = BlockingKernelClient(connection_file=file)
client.load_connection_file()
client.start_channels()
print("ready", flush=True)

answered = False
while not answered:
    # A subscriber that connects before the kernel binds can miss the first idle: ask until both came.
    wanted = client.execute("1+1", store_history=False)
    deadline = time.monotonic() + 30
    reply = idle = False
    while not (reply and idle) and time.monotonic() < deadline:
        try:
            message = client.get_iopub_msg(timeout=0.005)
            idle = idle or (message["parent_header"].get("msg_id") == wanted and message["content"].get("execution_state") == "idle")
        except Exception:
            pass
        try:
            message = client.get_shell_msg(timeout=0.005)
            reply = reply or message["parent_header"].get("msg_id") == wanted
        except Exception:
            pass
        if reply and not idle:
            break
    answered = reply
print("answered", flush=True)
watcher.join()
