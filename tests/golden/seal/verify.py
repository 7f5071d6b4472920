#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Is a log what was written? A second verifier, made from docs/formats/seal.md alone; needs nothing but Python.

    verify.py LOG KEY      exit status 0: it is; 1: it is not, or that cannot be said
"""
import base64
import hashlib
import hmac
import re
import struct
import sys
import zlib

CHUNK, HEADER, PLACES, SIZE = 65536, 512, 4096, 128
PART, WHOLE, MARK = 1, 2, 3
BEGIN, OPENED, CLOSED, FRESH = 1, 2, 4, 8


def h(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def secret_of(text):
    letters = re.sub(r'[\s-]', '', text).upper()
    raw = base64.b32decode(letters)
    if len(raw) != 20 or hashlib.sha256(raw[:16]).digest()[:4] != raw[16:]:
        raise ValueError('this is no verification key')
    return raw[:16]


class Keys:
    """K of every number, asked for in rising order."""

    def __init__(self, secret):
        self.a = h(secret, b'konseki seal 1')
        self.chain = h(self.a, b'id')[:16]
        self.at = [0, 0, 0]
        self.b = h(self.a, b'down')
        self.k = h(self.b, b'down')

    def of(self, number):
        i, j, k = number >> 24, number >> 12 & 4095, number & 4095
        if i != self.at[0]:
            for _ in range(i - self.at[0]):
                self.a = h(self.a, b'next')
            self.b = h(self.a, b'down')
            self.k = h(self.b, b'down')
            self.at = [i, 0, 0]
        if j != self.at[1]:
            for _ in range(j - self.at[1]):
                self.b = h(self.b, b'next')
            self.k = h(self.b, b'down')
            self.at = [i, j, 0]
        for _ in range(k - self.at[2]):
            self.k = h(self.k, b'next')
        self.at[2] = k
        return self.k


class Seal:
    def __init__(self, place):
        (self.magic, self.kind, self.flags, self.unsettled, self.number, self.first, self.last, self.end, self.boot,
         self.oldest, self.utc, self.uptime) = struct.unpack('<4sBBHQQQIIQQQ', place[:64])
        self.digest, self.mac, self.signed = place[64:96], place[96:], place[:96]

    def is_right(self, keys):
        return self.number < 1 << 40 and h(keys.of(self.number), keys.chain + self.signed) == self.mac


class Verifier:
    def __init__(self, log, seals, secret):
        self.log, self.raw, self.keys = log, seals, Keys(secret)
        self.alarms, self.notes, self.sealed_chunks = [], [], set()

    def alarm(self, text):
        self.alarms.append(text)

    def read_seals(self):
        """Steps 1 and 2."""
        if len(self.raw) < PLACES or self.raw[:8] != b'KSSEAL1\0':
            raise ValueError('the file of the seals is none')
        if self.raw[8:24] != self.keys.chain:
            raise ValueError('sealed under another key')
        self.part = self.raw[24] == 1
        found = []
        for at in range(PLACES, len(self.raw) - SIZE + 1, SIZE):
            place = self.raw[at:at + SIZE]
            if not any(place):
                continue
            seal = Seal(place)
            if seal.magic == b'KSE1' and seal.kind in (PART, WHOLE, MARK):
                found.append(seal)
            else:
                self.alarm(f'the seal at offset {at} was altered')
        self.seals = []
        for seal in sorted(found, key=lambda s: s.number):
            if not seal.is_right(self.keys):
                self.alarm(f'the seal numbered {seal.number} was altered')
            elif self.seals and self.seals[-1].number == seal.number:
                self.alarm(f'there are two seals numbered {seal.number}')
            else:
                self.seals.append(seal)

    def find_run(self):
        """Step 3."""
        settled = max((s.number - s.unsettled for s in self.seals), default=0)
        if self.part and self.seals:
            settled = max(settled, self.seals[0].number)
        kept, following = [], settled
        for seal in self.seals:
            if seal.number > following:
                break
            following += seal.number == following
            kept.append(seal)
        if len(kept) < len(self.seals) and not self.dirty:
            self.alarm('seals are missing')
        if settled and (not kept or kept[-1].number + 1 < settled):
            self.alarm('seals are missing')
        self.seals = kept
        self.run = max(len(kept) - 1, 0)
        while self.run > 0 and kept[self.run - 1].number + 1 == kept[self.run].number:
            self.run -= 1

    def check_beginning(self):
        """Step 4."""
        first = self.seals[self.run]
        if first.flags & BEGIN and self.run == 0:
            return
        chunks = [s for s in self.seals[self.run:] if s.kind != MARK]
        if self.part and self.run == 0 and chunks and chunks[0].flags & FRESH:
            return
        earlier_are_gone = self.run == 0 or self.seals[self.run - 1].last < self.given_up
        if chunks:
            begins = chunks[0].first <= self.given_up and \
                (chunks[0].flags & FRESH or chunks[0].last < self.given_up)
        else:
            begins = self.given_up > self.sealed
        if not (earlier_are_gone and begins):
            self.alarm('seals are missing')

    def check_order(self):
        """Step 5."""
        first = self.seals[self.run]
        chunk, last, end, whole = 0, first.last if first.kind == MARK else first.first - 1, 0, False
        for s in self.seals[self.run:]:
            if s.kind == MARK:
                good = s.last == last
            elif not (0 < s.first <= s.last and HEADER <= s.end <= CHUNK):
                good = False
            elif s.first != chunk:
                good = s.first > last and (s.flags & FRESH or chunk == 0)
            else:
                good = not s.flags & FRESH and not whole and s.last >= last and s.end >= end and \
                    (s.kind == WHOLE or s.last > last)
            if not good:
                self.alarm(f'records {s.first} to {s.last} were sealed again later')
            elif s.kind != MARK:
                chunk, last, end, whole = s.first, s.last, s.end, s.kind == WHOLE

    def read_log(self):
        if len(self.log) < 128 or self.log[:8] != b'ElfFile\0' or \
                zlib.crc32(self.log[:120]) != struct.unpack_from('<I', self.log, 124)[0]:
            self.alarm("the log's file header was altered")
        self.dirty = self.part or (len(self.log) > 120 and self.log[120] & 1)
        self.chunks = {}
        for at in range(4096, len(self.log) - CHUNK + 1, CHUNK):
            if self.log[at:at + 8] != b'ElfChnk\0':
                continue
            first, last = struct.unpack_from('<QQ', self.log, at + 24)
            last_record, free = struct.unpack_from('<II', self.log, at + 44)
            if first == 0 or last < first or not HEADER <= last_record < free <= CHUNK:
                continue
            if first in self.chunks:
                self.alarm(f'the chunk with record {first} is there twice')
            else:
                self.chunks[first] = (at, last)

    def digests_hold(self, chunk, group):
        """Step 6: True, or the first record that may be altered."""
        done = group[0].first
        for s in group:
            if not HEADER <= s.end <= CHUNK:
                return done
            digest = hashlib.sha256(chunk[HEADER:s.end])
            if s.kind == WHOLE:
                digest.update(chunk[:HEADER])
            if digest.digest() != s.digest:
                return done
            done = s.last + 1
        return True

    @staticmethod
    def header_holds(chunk, seal):
        first, last = struct.unpack_from('<QQ', chunk, 24)
        free, = struct.unpack_from('<I', chunk, 48)
        crc, = struct.unpack_from('<I', chunk, 124)
        return zlib.crc32(chunk[128:512], zlib.crc32(chunk[:120])) == crc and not chunk[120] & 4 and \
            first == seal.first and last >= seal.last and free >= seal.end

    def check_chunk(self, group):
        seal = group[-1]
        if seal.first not in self.chunks:
            if seal.last >= self.given_up:
                self.alarm(f'records {seal.first} to {seal.last} are missing')
            return
        at, last = self.chunks[seal.first]
        self.sealed_chunks.add(seal.first)
        chunk = self.log[at:at + CHUNK]
        held = self.digests_hold(chunk, group)
        if held is True and (seal.kind == WHOLE or self.header_holds(chunk, seal)):
            if last > seal.last:
                (self.notes if self.dirty else self.alarms).append(f'records {seal.last + 1} to {last} are not sealed yet')
        elif seal.last < self.given_up:
            self.notes.append('records that had been given up are being overwritten')
        else:
            self.alarm(f'record {seal.first if held is True else held} or one after it is not as it was written')

    def check_chunks(self):
        group = []
        for s in [*self.seals, None]:
            if group and (s is None or s.kind == MARK or s.first != group[-1].first):
                self.check_chunk(group)
                group = []
            if s is not None and s.kind != MARK:
                group.append(s)

    def check_unsealed(self):
        """Step 7."""
        first = self.seals[self.run] if self.seals else None
        for begin, (_, end) in sorted(self.chunks.items()):
            if begin in self.sealed_chunks:
                continue
            if begin > self.sealed and (self.dirty or not first):
                self.notes.append(f'records {begin} to {end} are not sealed yet')
            elif first and first.flags & BEGIN and first.number == 0 and end < first.oldest:
                self.notes.append(f'records {begin} to {end} were written before sealing began')
            else:
                self.alarm(f'records {begin} to {end} have no seal')

    def verify(self):
        self.read_seals()
        self.read_log()
        self.find_run()
        self.given_up = self.seals[-1].oldest if self.seals else 0
        self.sealed = self.seals[-1].last if self.seals else 0
        if self.seals:
            self.check_beginning()
            self.check_order()
            self.check_chunks()
        else:
            self.alarm('there is no seal')
        self.check_unsealed()
        return self.alarms


def main(log, key):
    with open(log, 'rb') as f, open(log + '.seal', 'rb') as g:
        verifier = Verifier(f.read(), g.read(), secret_of(key))
    alarms = verifier.verify()
    for text in alarms + verifier.notes:
        print(text)
    if not alarms:
        closed = verifier.seals[-1].flags & CLOSED
        print(f'all is well: seals {verifier.seals[verifier.run].number} to {verifier.seals[-1].number}, '
              f'{"closed in order" if closed else "not closed"}')
    return 1 if alarms else 0


if __name__ == '__main__':
    try:
        sys.exit(main(*sys.argv[1:3]))
    except (OSError, ValueError) as e:
        print(e)
        sys.exit(1)
