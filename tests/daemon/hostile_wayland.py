#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A Wayland compositor that means harm: as much of the protocol as makes a client come far enough.

    hostile_wayland.py MANNER SOCKET

It says how often somebody connected, one line each. MANNER is one of MANNERS.
"""
import array
import os
import socket
import struct
import sys
import time

import hostile

DISPLAY = 1
SEAT, MANAGER = 1, 2  # names of globals
OFFERS = 0xff000000   # where a server's own numbers begin
TEXT = b'hostile text'
FORM = 'text/plain;charset=utf-8'


def text(value):
    data = value.encode() + b'\0'
    return struct.pack('<I', len(data)) + data.ljust((len(data) + 3) & ~3, b'\0')


def event(sender, what, body=b'', size=None):
    """size: what is said of it, if that is not so."""
    return struct.pack('<II', sender, (8 + len(body) if size is None else size) << 16 | what) + body


def a_global(name, interface):
    return event(REGISTRY, 0, struct.pack('<I', name) + text(interface) + struct.pack('<I', 1))


REGISTRY = 2  # the first number that a client gives away


class Session:
    """A client that is answered as the manner wants it."""

    def __init__(self, client, manner):
        self.client, self.manner = client, manner
        self.manager = self.device = 0
        self.data, self.pipes = b'', []

    def say(self, data):
        self.client.sendall(data)

    def request(self):
        while len(self.data) < 8 or len(self.data) < struct.unpack('<I', self.data[4:8])[0] >> 16:
            data, fds, _, _ = socket.recv_fds(self.client, 4096, 4)
            if not data:
                raise EOFError
            self.data += data
            self.pipes += fds
        sender, what = struct.unpack('<II', self.data[:8])
        size = what >> 16
        body, self.data = self.data[8:size], self.data[size:]
        return sender, what & 0xffff, body

    def run(self):
        while True:
            sender, what, body = self.request()
            if (sender, what) == (DISPLAY, 1):
                self.globals()
            elif (sender, what) == (DISPLAY, 0):
                self.say(event(struct.unpack('<I', body)[0], 0, struct.pack('<I', 0)))
            elif (sender, what) == (REGISTRY, 0) and struct.unpack('<I', body[:4])[0] == MANAGER:
                self.manager = struct.unpack('<I', body[-4:])[0]
            elif sender == self.manager and what == 1:
                self.device = struct.unpack('<I', body[:4])[0]
                MANNERS[self.manner](self)
            elif sender >= OFFERS and what == 0:
                self.hand_over(self.pipes.pop(0))

    def hand_over(self, pipe):
        try:
            GIVING.get(self.manner, Session.give)(self, pipe)
        except BrokenPipeError:
            os.close(pipe)

    def globals(self):
        while self.manner == 'globals':
            self.say(a_global(7, 'x' * 3000))
        manager = {'nothing': 'wl_data_device_manager', 'forms': 'ext_data_control_manager_v1'}
        self.say(a_global(SEAT, 'wl_seat') + a_global(MANAGER, manager.get(self.manner, 'zwlr_data_control_manager_v1')))

    def offer(self, number, *forms):
        return event(self.device, 0, struct.pack('<I', OFFERS + number)) + \
            b''.join(event(OFFERS + number, 0, text(form)) for form in forms)

    def select(self, number):
        return event(self.device, 1, struct.pack('<I', OFFERS + number))

    # --- what it says of its clipboard

    def empty_then(self, data):
        """Nothing is in it at first; that is the end of what was asked. Then the clipboard is set."""
        self.say(event(self.device, 1, struct.pack('<I', 0)))
        sender, what, body = self.request()
        assert (sender, what) == (DISPLAY, 0)
        self.say(event(struct.unpack('<I', body)[0], 0, struct.pack('<I', 0)))
        time.sleep(0.2)
        self.say(data)

    def good(self):
        self.empty_then(self.offer(0, FORM) + self.select(0))

    def forms(self):
        """A hundred thousand forms, the text the last."""
        self.empty_then(self.offer(0))
        for _ in range(1000):
            self.say(event(OFFERS, 0, text('image/' + 'x' * 1000)) * 100)
        self.say(event(OFFERS, 0, text(FORM)) + self.select(0))

    def offers(self):
        """No end of offers, each with a number of its own."""
        number = 0
        while True:
            self.say(b''.join(self.offer(number + i, FORM) for i in range(100)))
            number += 100

    def selections(self):
        """The clipboard is set, and no end of it."""
        self.say(self.offer(0, FORM))
        while True:
            self.say(self.select(0) * 1000)

    def stranger(self):
        """What was offered before something else was, and is no more."""
        self.empty_then(self.offer(0, FORM) + self.offer(1, FORM) + self.select(0))

    def numbers(self):
        """An offer with a number that is the client's to give, and of something that is there."""
        self.say(event(self.device, 0, struct.pack('<I', self.device)))

    def unended(self):
        """A text without its end, and longer than what follows."""
        self.say(self.offer(0) + event(OFFERS, 0, struct.pack('<I', 0xfffffff0) + b'x' * 100))

    def short(self):
        """A message that is shorter than its own head."""
        self.say(event(self.device, 0, size=4))

    def long(self):
        """One that is longer than any may be, and does not come."""
        self.say(event(self.device, 0, size=0xfffc))

    def unknown(self):
        """Events that nobody has written down."""
        self.say(event(self.device, 4000))

    def descriptors(self):
        """Nobody has asked for them."""
        with open('/dev/null', 'rb') as f:
            fds = array.array('i', [f.fileno()] * 28)
            while True:
                self.client.sendmsg([event(REGISTRY, 1, struct.pack('<I', 9))],
                                    [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])

    def leaves(self):
        """In the middle of a message."""
        self.say(event(self.device, 0, size=12))
        raise EOFError

    def finished(self):
        self.say(event(self.device, 2))

    # --- how it gives it

    def give(self, pipe):
        os.write(pipe, TEXT)
        os.close(pipe)

    def endless(self, pipe):
        while True:
            os.write(pipe, b'x' * 65536)

    def stalled(self, pipe):
        self.pipes.append(pipe)

    def dribbling(self, pipe):
        while True:
            os.write(pipe, b'x')
            time.sleep(0.1)

    def changing(self, pipe):
        os.write(pipe, os.urandom(16))
        os.close(pipe)


MANNERS = {name: getattr(Session, name) for name in (
    'good', 'forms', 'offers', 'selections', 'stranger', 'numbers', 'unended', 'short', 'long', 'unknown', 'descriptors',
    'leaves', 'finished')}
GIVING = {name: getattr(Session, name) for name in ('endless', 'stalled', 'dribbling', 'changing')}
MANNERS.update((name, Session.good) for name in GIVING)


def obey(client, manner):
    Session(client, manner).run()


if __name__ == '__main__':
    hostile.serve_all(sys.argv[2], sys.argv[1], obey)
