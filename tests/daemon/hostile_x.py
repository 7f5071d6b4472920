#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An X server that means harm: as much of the protocol as makes a client come far enough.

    hostile_x.py MANNER DISPLAY

It says how often somebody connected, one line each. MANNER is one of those at the end.
"""
import os
import struct
import sys

import hostile

SETUP, HEAD = 8, 32
XFIXES, RES = 140, 141
TEXT = b'hostile text'


def setup(roots=1, vendor=0):
    """The answer to who connects; vendor: how long the name is said to be that is not there."""
    screen = struct.pack('<IIIIIHHHHHHIBBBB', 0x100, 0, 0, 0, 0, 8, 8, 8, 8, 1, 1, 0, 0, 0, 0, 0)
    body = struct.pack('<IIIIHHBBBBBBBBI', 0, 0x200000, 0x1fffff, 0, vendor, 65535, roots, 0, 0, 0, 0, 0, 8, 255, 0)
    body += screen if roots else b''
    return struct.pack('<BBHHH', 1, 0, 11, 0, len(body) // 4) + body


def reply(sequence, data=b'', extra=b'', claimed=None, second=0):
    """claimed: how many words are said to follow."""
    head = struct.pack('<BBHI', 1, second, sequence & 0xffff, len(extra) // 4 if claimed is None else claimed)
    return (head + data).ljust(HEAD, b'\0') + extra


class Session:
    """A client that is answered as the manner wants it."""

    def __init__(self, client, manner):
        self.client, self.manner, self.atoms = client, manner, {}
        self.sequence = self.window = 0

    def take(self, n):
        data = b''
        while len(data) < n:
            part = self.client.recv(n - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def greet(self):
        head = self.take(12)
        name, data = struct.unpack('<HH', head[6:10])
        self.take((name + 3 & ~3) + (data + 3 & ~3))
        self.client.sendall(setup(vendor=65535) if self.manner == 'far-screen' else setup())

    def answer(self, opcode, minor, body):
        number = self.sequence
        if opcode == 98:  # QueryExtension
            which = XFIXES if b'XFIXES' in body else RES
            return reply(number, bytes([1, which, 90, 0]))
        if opcode == 16:  # InternAtom
            return reply(number, struct.pack('<I', 300 + self.atoms.setdefault(body[4:], len(self.atoms))))
        if opcode == 1:  # CreateWindow
            self.window = struct.unpack('<I', body[:4])[0]
        if opcode == 23:  # GetSelectionOwner: somebody has it already, who is another for each that asks
            return reply(number, struct.pack('<I', 0x300000 + os.getpid()))
        if opcode == 24:  # ConvertSelection: at once, it is there
            window, selection, form, prop, time = struct.unpack('<5I', body[:20])
            return struct.pack('<BBHIIIII8x', 31, 0, number, time, window, selection, form, prop)
        if opcode == 20:  # GetProperty
            return self.property(number)
        if (opcode, minor) == (XFIXES, 0):
            return reply(number, struct.pack('<II', 1, 0))
        if (opcode, minor) == (XFIXES, 2):  # from now on it is told who has it: that begins at once
            return struct.pack('<BBHIIIII8x', 90, 0, number, self.window, 0x300001, 300, 1, 1)
        if opcode == RES:
            return self.identity(number)
        return b''

    def property(self, number):
        head = struct.pack('<III', 31, 0, 0xffffffff if self.manner == 'endless' else len(TEXT))
        if self.manner == 'endless':
            return reply(number, head, second=8)
        if self.manner == 'huge':
            return reply(number, head, TEXT, claimed=0x3fffffff, second=8)
        return reply(number, head, TEXT, second=8)

    def identity(self, number):
        if self.manner == 'no-identity':
            return reply(number, struct.pack('<I', 1))
        return reply(number, struct.pack('<I', 1), struct.pack('<IIII', 0x300001, 2, 4, int(os.environ.get('FOREIGN', '1'))))

    def run(self):
        self.greet()
        while True:
            opcode, minor, length = struct.unpack('<BBH', self.take(4))
            body = self.take(4 * length - 4)
            self.sequence += 1
            self.client.sendall(self.answer(opcode, minor, body))
            if self.manner == 'leaves' and self.sequence == 6:
                return


def obey(client, manner):
    if manner == 'half':
        client.sendall(setup()[:50])
    else:
        Session(client, manner).run()


if __name__ == '__main__':
    hostile.serve_all(f'/tmp/.X11-unix/X{sys.argv[2]}', sys.argv[1], obey)
