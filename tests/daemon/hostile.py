# SPDX-License-Identifier: MIT
"""What hostile servers of displays have in common: one client after another, and the manners that need no protocol."""
import os
import socket


def serve(client, manner, obey):
    if manner == 'garbage':
        client.sendall(os.urandom(1 << 20))
    elif manner == 'silent':
        while client.recv(4096):
            pass
    else:
        obey(client, manner)


def serve_all(path, manner, obey):
    """obey(client, manner) is called for every other manner."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(8)
    while True:
        client, _ = server.accept()
        print('connected', flush=True)
        try:
            serve(client, manner, obey)
        except (EOFError, OSError):
            pass
        client.close()
