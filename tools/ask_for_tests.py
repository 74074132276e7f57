"""Have the tests run where this is called, by :mod:`fork_tests`, and end with their exit code."""

import os
import signal
import socket
import sys

parent = os.getppid()
with socket.socket(socket.AF_UNIX) as server:
    try:
        server.connect("door")
        socket.send_fds(server, [b"?"], [1, 2])
        code = server.recv(1)
    except OSError:
        code = b""
if not code and os.getppid() == parent:
    os.kill(parent, signal.SIGKILL)  # without an answer it must not believe that the tests failed
sys.exit(code[0])
