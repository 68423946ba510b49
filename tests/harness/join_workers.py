"""What pytest-xdist starts as a worker's Python: hands its standard streams to the process that forks workers.

It imports as little as it can, because each worker waits for it (`forked_workers.py`).
"""

import socket
import sys

with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    socket.send_fds(connection, [b"streams"], [0, 1, 2])
    connection.recv(1)  # until the fork has ended
