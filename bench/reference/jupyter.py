"""The reference of the cell benchmarks: jupyter_client's BlockingKernelClient, tcp, on a stock kernel of the same Python.

Reads one JSON command a line, answers one JSON line each:
  {"cells": n}          times of n `1+1` in ms, from execute to the reply and its matching idle
  {"run": code}         ms for one cell, output read and thrown away, and the characters of output
  {"first_output": code} ms from execute to the first stream message; waits for the cell's end
"""
import json
import sys
import time

from jupyter_client.manager import start_new_kernel


def execute(client, code, on_stream=lambda text: None):
    started = time.perf_counter()
    wanted = client.execute(code, store_history=False)
    idle = False
    while not idle:
        message = client.get_iopub_msg(timeout=120)
        if message["parent_header"].get("msg_id") != wanted:
            continue
        if message["msg_type"] == "stream":
            on_stream(message["content"]["text"])
        idle = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
    while client.get_shell_msg(timeout=120)["parent_header"].get("msg_id") != wanted:
        pass
    return (time.perf_counter() - started) * 1000


def answer(client, command):
    if "cells" in command:
        return [execute(client, "1+1") for _ in range(command["cells"])]
    if "run" in command:
        characters = 0

        def count(text):
            nonlocal characters
            characters += len(text)

        elapsed = execute(client, command["run"], count)
        return {"ms": elapsed, "characters": characters}
    started = time.perf_counter()
    first = []
    execute(client, command["first_output"], lambda text: first.append((time.perf_counter() - started) * 1000))
    return first[0]


manager, client = start_new_kernel()
try:
    execute(client, "1+1")
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(client, json.loads(line))), flush=True)
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
