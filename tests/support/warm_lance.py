"""Children that open Lance tables, forked from a process that has imported LanceDB: a start costs 1.8 s each.

What is run in their place is a client of some lines. It hands its input and outputs to the server over a socket, which
forks for them, runs the module of ours from its first line on, and answers with the exit code.
"""

from __future__ import annotations

import json
import os
import runpy
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path

from tests.support.warm import load_everything

PROJECT = Path(__file__).parents[2]
_CLIENT = """
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect("\\0" + sys.argv[1])
request = json.dumps([sys.argv[2], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [request], [0, 1, 2])
for descriptor in 0, 1:  # the other end sees the end of what the child writes
    os.close(descriptor)
code = int(server.recv(16) or 1)
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""
_REQUEST_BYTES = 1 << 20


class WarmLance:
    """The server, started when it is first needed."""

    def __init__(self) -> None:
        self._name = f"chronos-tests-{os.getpid()}-{secrets.token_hex(8)}"  # of an abstract socket: no path, no limit
        self._server: subprocess.Popen[str] | None = None

    def program_of(self, module: str) -> tuple[list[str | bytes], dict[str, str]]:
        """Stand in for `lance_client.program_of`."""
        if self._server is None:
            argv, pipe = [sys.executable, "-m", __name__, self._name], subprocess.PIPE
            environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
            self._server = subprocess.Popen(argv, env=environment, stdin=pipe, stdout=pipe, text=True)
            assert self._server.stdout
            self._server.stdout.readline()
        return [sys.executable, "-I", "-S", "-c", _CLIENT, self._name, module], {"LC_ALL": "C.UTF-8"}

    def close(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.communicate()


def _become(module: str, folder: str, environment: dict[str, str], descriptors: list[int]) -> int:
    """Run the module in this forked process; return its exit code."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # noqa: BLE001 - the outermost door of this process
        traceback.print_exc()
        return 1
    return 0


def _accept(listener: socket.socket) -> tuple[int, socket.socket]:
    """Fork for one client; return the child and the connection to its client."""
    client, _ = listener.accept()
    request, descriptors, _, _ = socket.recv_fds(client, _REQUEST_BYTES, 3)
    child = os.fork()
    if child == 0:
        listener.close()
        client.close()
        code = _become(*json.loads(request), descriptors)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    for descriptor in descriptors:
        os.close(descriptor)
    return child, client


def _await(child: int, client: socket.socket) -> None:
    """Tell the client how its child ended, or end the child once the client is gone."""
    ended = os.pidfd_open(child)
    with client:
        if ended not in select.select([ended, client], [], [])[0]:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(ended)
        with suppress(OSError):
            client.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def serve(name: str) -> None:
    """Fork for each client until the input ends."""
    load_everything(["lancedb"])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        print("ready", flush=True)
        while 0 not in (ready := select.select([0, listener], [], [])[0]):
            if ready:
                threading.Thread(target=_await, args=_accept(listener), daemon=True).start()


if __name__ == "__main__":
    serve(sys.argv[1])
