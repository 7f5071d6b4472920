#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The sink for syslog against rsyslog, over TCP, TLS and RELP: what arrives, and what is said of what does not."""
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import parts
import rsyslog
from parts import Certificates, Sink, eventually, record

ids = re.compile(r'^\[konseki@32473 host="([^"]*)" log="([^"]*)"(?: id="(\d+)")?(?: first="(\d+)" last="(\d+)")?\]$')


def numbers(told):
    found = [ids.match(data) for data, _ in told]
    assert all(found), told[:3]
    assert all((m.group(1), m.group(2)) == (parts.HOST, parts.LOG) for m in found)
    return [int(m.group(3)) for m in found]


def all_of(receiver, wanted):
    eventually(lambda: len(receiver.told()) >= len(wanted), f'{len(wanted)} messages')
    return receiver.told()


def send_all(sink, items):
    answer = sink.send(items)
    assert (answer.outcome, answer.confirmed, answer.text) == ('SENT', len(items), ''), answer


def records_arrive_once_in_order_and_unchanged_over_tcp(folder):
    items = [record(n) for n in range(1, 1001)]
    items[500] = record(501, 'x' * 40000)
    items[501] = record(502, 'two "quoted" lines\\x0Aand \\ü ] 漢')
    with rsyslog.tcp(folder) as receiver, Sink('syslog', f'tcp://127.0.0.1:{receiver.port}') as sink:
        send_all(sink, items[:600])
        send_all(sink, items[600:])
        told = all_of(receiver, items)
    assert numbers(told) == list(range(1, 1001))
    for item, (_, text) in zip(items, told):
        assert text == item[4], (item, text)


def the_head_says_what_kind_of_message_it_is(folder):
    with rsyslog.heads(folder) as receiver, Sink('syslog', f'tcp://localhost:{receiver.port}', 'form=xml') as sink:
        for level, kind in ((4, ''), (2, ''), (3, 'gap'), (4, 'heartbeat'), (4, 'test')):
            item = (0 if kind in ('heartbeat', 'test') else 7, 255 if level == 2 else 3, level, 1764201600123456789, '<Event/>')
            assert sink.send([item], kind).outcome == 'SENT'
        eventually(lambda: len(receiver.lines()) == 5, 'five messages')
        told = [json.loads(line) for line in receiver.lines()]
    assert {m['time'] for m in told} == {'2025-11-27T00:00:00.123456Z'}, told
    assert {(m['host'], m['app'], m['msg'].strip()) for m in told} == {('web1.example', 'konseki', '<Event/>')}, told
    assert [(m['pri'], m['msgid']) for m in told] == \
        [('14', '3'), ('11', '255'), ('12', 'gap'), ('14', 'heartbeat'), ('14', 'test')], told
    assert [ids.match(m['data']).groups()[2:] for m in told] == \
        [('7', None, None)] * 2 + [(None, '7', '7')] + [(None, None, None)] * 2


def a_collector_that_was_restarted_gets_the_next_batch(folder):
    with Sink('syslog', f'tcp://127.0.0.1:{parts.free_port()}') as sink:
        port = int(sink.process.args[2].rpartition(':')[2])
        answer = sink.send([record(1)])
        assert answer.outcome == 'RETRY' and 'Connection refused' in answer.text and not answer.misconfigured, answer
        with rsyslog.tcp(folder, port=port):
            send_all(sink, [record(1)])
        with rsyslog.tcp(folder, port=port) as receiver:
            send_all(sink, [record(2)])
            assert numbers(all_of(receiver, (1, 2))) == [1, 2]


def check_tls(folder, driver, refused):
    c = Certificates(folder + '/certificates')
    with rsyslog.tls(folder, c, driver) as receiver:
        to = f'tls://localhost:{receiver.port}'
        with Sink('syslog', to, *c.options()) as sink:
            send_all(sink, [record(n) for n in range(1, 501)])
            send_all(sink, [record(n) for n in range(501, 601)])
        for client in refused:
            with Sink('syslog', to, *c.options(client)) as sink:
                for _ in range(2):
                    answer = sink.send([record(n) for n in range(700, 800)])
                    assert (answer.outcome, answer.confirmed) == ('RETRY', 0), answer
        assert numbers(all_of(receiver, range(600))) == list(range(1, 601))


def over_tls_a_client_must_have_the_right_certificate_openssl(folder):
    # Who has a certificate of the right authority but another name is let in by this driver if the handshake was
    # not done in one step (8.2302): that is said in docs/recipes/syslog.md, and is no question to us.
    check_tls(folder, 'ossl', [None])


def over_tls_a_client_must_have_the_right_certificate_gnutls(folder):
    check_tls(folder, 'gtls', [None, 'stranger'])


def what_relp_acknowledged_is_there_though_the_collector_is_killed(folder):
    port, sent = parts.free_port(), 0
    with Sink('syslog', f'relp://127.0.0.1:{port}') as sink:
        for _ in range(4):
            with rsyslog.relp(folder, port=port) as receiver:
                for _ in range(3):
                    send_all(sink, [record(n) for n in range(sent + 1, sent + 501)])
                    sent += 500
                receiver.end(signal.SIGKILL)
            answer = sink.send([record(sent + 1)])
            assert (answer.outcome, answer.confirmed) == ('RETRY', 0), answer
    assert numbers(receiver.told()) == list(range(1, sent + 1))


def a_collector_that_is_killed_in_the_middle_has_what_was_confirmed(folder):
    port, confirmed, cut = parts.free_port(), 0, 0
    with Sink('syslog', f'relp://127.0.0.1:{port}') as sink:
        life = 0
        while life < 6 or not cut: # until one was killed in the middle of a batch
            life += 1
            assert life < 100, 'never in the middle'
            with rsyslog.relp(folder, port=port) as receiver:
                killer = threading.Timer(0.05 + 0.013 * life, receiver.end, [signal.SIGKILL])
                killer.start()
                while receiver.process.poll() is None:
                    answer = sink.send([record(n) for n in range(confirmed + 1, confirmed + 2001)])
                    confirmed += answer.confirmed
                    cut += 0 < answer.confirmed < 2000
                killer.join()
            there = numbers(receiver.told())
            assert set(there) >= set(range(1, confirmed + 1)), (confirmed, len(there))
    assert confirmed


def over_relps_a_client_must_have_the_right_certificate(folder):
    c = Certificates(folder + '/certificates')
    with rsyslog.relps(folder, c) as receiver:
        to = f'relps://localhost:{receiver.port}'
        with Sink('syslog', to, *c.options()) as sink:
            send_all(sink, [record(n) for n in range(1, 2001)])
        for client in (None, 'stranger'):
            with Sink('syslog', to, *c.options(client)) as sink:
                answer = sink.send([record(n) for n in range(3000, 3100)])
                assert (answer.outcome, answer.confirmed) == ('RETRY', 0), answer
        assert numbers(all_of(receiver, range(2000))) == list(range(1, 2001))


class Cable:
    """Two network namespaces and a cable between them. This process goes over into the one, which has 10.77.0.1; what is
    started with `beyond` lives in the other, 10.77.0.2. Back home at the end."""

    def __init__(self):
        self.home = os.open('/proc/self/ns/net', os.O_RDONLY)
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.leave()
        self.other = subprocess.Popen(['unshare', '--net', 'sleep', '1000'])
        eventually(lambda: os.readlink(f'/proc/{self.other.pid}/ns/net') != os.readlink('/proc/self/ns/net'), 'a namespace')
        for words in (f'link add here type veth peer name there netns {self.other.pid}', 'addr add 10.77.0.1/24 dev here',
                      'link set lo up', 'link set here up'):
            subprocess.run(['ip', *words.split()], check=True)
        for words in ('addr add 10.77.0.2/24 dev there', 'link set lo up', 'link set there up'):
            subprocess.run([*self.beyond(), 'ip', *words.split()], check=True)

    def leave(self):
        if self.libc.unshare(0x40000000) != 0:
            raise OSError(ctypes.get_errno(), 'unshare')

    def beyond(self):
        return ['nsenter', f'--net=/proc/{self.other.pid}/ns/net']

    def put(self, state):
        subprocess.run([*self.beyond(), 'ip', 'link', 'set', 'there', state], check=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.libc.setns(self.home, 0x40000000)
        os.close(self.home)
        self.other.kill()
        self.other.wait()


def a_batch_on_a_cut_network_is_not_believed_to_be_there(folder):
    port = parts.free_port()
    with Cable() as cable, rsyslog.tcp(folder, port=port, host='10.77.0.2', prefix=cable.beyond()) as receiver, \
            Sink('syslog', f'tcp://10.77.0.2:{port}') as sink:
        send_all(sink, [record(1)])
        cable.put('down')
        began = time.monotonic()
        threading.Timer(2, cable.put, ['up']).start()
        send_all(sink, [record(n) for n in range(2, 100)])  # far less than our kernel takes without asking anybody
        assert time.monotonic() - began > 2
        told = numbers(all_of(receiver, range(99)))
    assert told == list(range(1, 100))


if __name__ == '__main__':
    sys.exit(parts.main([
        records_arrive_once_in_order_and_unchanged_over_tcp, the_head_says_what_kind_of_message_it_is,
        a_collector_that_was_restarted_gets_the_next_batch, over_tls_a_client_must_have_the_right_certificate_openssl,
        over_tls_a_client_must_have_the_right_certificate_gnutls,
        what_relp_acknowledged_is_there_though_the_collector_is_killed,
        a_collector_that_is_killed_in_the_middle_has_what_was_confirmed,
        over_relps_a_client_must_have_the_right_certificate,
        a_batch_on_a_cut_network_is_not_believed_to_be_there]))
