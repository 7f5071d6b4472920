#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Servers that mean harm, or are broken, against the sink for syslog: they cannot hold it, grow it or make it believe that
something was kept. The cases run at once, as some of them last until the sink's patience ends."""
import socket
import ssl
import sys
import threading
import time
import warnings

import parts
from parts import Certificates, Server, Sink, record

ITEMS = [record(n) for n in range(1, 101)]
MANY = [record(n, 'x' * 400) for n in range(1, 9001)]  # more than sockets hold
PATIENCE = 60     # seconds: what a try may take
MEMORY_KB = 40000 # of this driver, which holds texts and lines of the batch as well
OFFERS = b'200 OK\nrelp_version=0\nrelp_software=x\ncommands=syslog'


def frame(number, data):
    return b'%d rsp %d %s\n' % (number, len(data), data)


def until_over(action, pause=0.0):
    """Does it again and again, until the other side is gone."""
    while True:
        action()
        time.sleep(pause)


def resets(connection):
    connection.recv(1000)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')


def never_reads(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    time.sleep(PATIENCE)


def floods(connection):
    connection.setblocking(True)
    until_over(lambda: connection.sendall(b'x' * 65536))


def drips(connection):
    until_over(lambda: connection.sendall(b'1'), 0.3)


def after_greeting(serve):
    def greeted(connection):
        connection.recv(1000)
        connection.sendall(frame(1, OFFERS))
        serve(connection)
    return greeted


def answers(*data):
    """Takes what comes, and sends these."""
    def answer(connection):
        connection.recv(4096)
        for piece in data:
            connection.sendall(piece)
        while connection.recv(65536):
            pass
    return answer


def in_tls(certificates, name, serve, **options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.path(name + '.pem'), certificates.path(name + '.key'))
    for option, value in options.items():
        if option == 'ciphers':
            context.set_ciphers(value)
        else:
            setattr(context, option, value)
    if context.verify_mode:
        context.load_verify_locations(certificates.path('ca.pem'))

    def wrapped(connection):
        with context.wrap_socket(connection, server_side=True) as secured:
            serve(secured)
    return wrapped


def reads(connection):
    while connection.recv(65536):
        pass


def drips_handshake(connection):
    """The head of a TLS record of 16 KiB, and then a byte now and then."""
    connection.sendall(b'\x16\x03\x03\x40\x00\x02\x00\x3f\xfc')
    drips(connection)


def cases(c):
    """Name, scheme, server, options, items, wanted: (outcome, confirmed, part of the text, misconfigured)."""
    trusted = [f'ca={c.path("ca.pem")}']
    relp = {  # of a server that has greeted us
        'says nothing': (reads, 0, 'waiting for answers'),
        'sends garbage': (answers(b'\0\xff\n\n\n garbage'), 0, 'no frame'),
        'sends an endless frame': (answers(b'2 rsp 4090 200'), 0, 'waiting for answers'),
        'sends a frame that is too long': (answers(b'2 rsp 99999 200 OK'), 0, 'no frame'),
        'floods': (floods, 0, 'no frame'),
        'answers another number': (answers(frame(999, b'200 OK')), 0, 'what was not sent'),
        'answers number zero': (answers(frame(0, b'200 OK')), 0, 'what was not sent'),
        'answers twice': (answers(frame(2, b'200 OK'), frame(2, b'200 OK')), 1, 'what was not sent'),
        'answers without a code': (answers(frame(2, b'OK')), 0, 'without a code'),
        'sends a command': (answers(b'2 syslog 3 200\n'), 0, 'a command'),
        'ends the session': (answers(frame(2, b'200 OK'), frame(3, b'200 OK'), b'0 serverclose 0\n'), 2, 'ends the session'),
        'drips answers': (lambda s: until_over(lambda: s.sendall(b'2'), 0.3), 0, 'no frame'),
        'resets': (resets, 0, 'reset'),
        'answers the second only': (answers(frame(3, b'200 OK')), 0, 'waiting for answers'),
    }
    for name, (serve, confirmed, text) in relp.items():
        yield f'relp: {name}', 'relp', after_greeting(serve), [], ITEMS, ('RETRY', confirmed, text, False)
    for name, serve, text in (('refuses the session', answers(frame(1, b'500 no')), 'wants no session with us (500)'),
                              ('takes no syslog', answers(frame(1, b'200 OK\ncommands=x')), 'does not offer'),
                              ('greets with garbage', answers(b'220 mail.example ESMTP\r\n'), 'no frame'),
                              ('never greets', reads, 'our greeting')):
        yield f'relp: {name}', 'relp', serve, [], ITEMS, ('RETRY', 0, text, False)
    yield 'relp: never reads', 'relp', after_greeting(never_reads), [], MANY, ('RETRY', 0, 'waiting for answers', False)
    yield 'tcp: resets in the middle', 'tcp', resets, [], MANY, ('RETRY', 0, 'reset', False)
    yield 'tcp: closes at once', 'tcp', lambda s: None, [], ITEMS, ('RETRY', 0, '', False)
    yield 'tcp: never reads', 'tcp', never_reads, [], MANY, ('RETRY', 0, 'timed out', False)
    yield 'tcp: floods', 'tcp', floods, [], ITEMS, ('RETRY', 0, 'nobody asked for', False)
    yield 'tcp: drips', 'tcp', drips, [], ITEMS, ('SENT', 100, '', False)
    for name, text in (('untrusted', 'not accepted'), ('expired', 'has expired'), ('elsewhere', 'IP address mismatch')):
        yield f'tls: {name} certificate', 'tls', in_tls(c, name, reads), trusted, ITEMS, ('RETRY', 0, text, True)
    yield 'tls: not of the system', 'tls', in_tls(c, 'server', reads), [], ITEMS, ('RETRY', 0, 'not accepted', True)
    yield 'tls: right', 'tls', in_tls(c, 'server', reads), trusted, ITEMS, ('SENT', 100, '', False)
    yield 'tls 1.3: wants a certificate', 'tls', in_tls(c, 'server', reads, verify_mode=ssl.CERT_REQUIRED), trusted, ITEMS, \
        ('RETRY', 0, 'certificate required', True)
    yield 'tls 1.2: wants a certificate', 'tls', \
        in_tls(c, 'server', reads, verify_mode=ssl.CERT_REQUIRED, maximum_version=ssl.TLSVersion.TLSv1_2), trusted, ITEMS, \
        ('RETRY', 0, 'alert', False)
    yield 'tls 1.2: right', 'tls', in_tls(c, 'server', reads, maximum_version=ssl.TLSVersion.TLSv1_2), trusted, ITEMS, \
        ('SENT', 100, '', False)
    yield 'tls 1.1', 'tls', in_tls(c, 'server', reads, ciphers='ALL:@SECLEVEL=0', minimum_version=ssl.TLSVersion.TLSv1,
                                   maximum_version=ssl.TLSVersion.TLSv1_1), trusted, ITEMS, ('RETRY', 0, 'version', False)
    yield 'tls: speaks no TLS', 'tls', answers(b'SSH-2.0-OpenSSH_9.2\r\n'), trusted, ITEMS, ('RETRY', 0, 'TLS with', False)
    yield 'tls: floods in the handshake', 'tls', floods, trusted, ITEMS, ('RETRY', 0, 'TLS with', False)
    yield 'tls: drips the handshake', 'tls', drips_handshake, trusted, ITEMS, ('RETRY', 0, 'timed out', False)
    yield 'tls: never shakes hands', 'tls', never_reads, trusted, ITEMS, ('RETRY', 0, 'timed out', False)
    yield 'tls: floods', 'tls', in_tls(c, 'server', floods), trusted, ITEMS, ('RETRY', 0, 'nobody asked for', False)
    yield 'tls: never reads', 'tls', in_tls(c, 'server', never_reads), trusted, MANY, ('RETRY', 0, 'timed out', False)
    yield 'relps: untrusted', 'relps', in_tls(c, 'untrusted', reads), trusted, ITEMS, ('RETRY', 0, 'not accepted', True)


def fault_of(scheme, serve, options, items, wanted):
    """None, or what was wrong."""
    outcome, confirmed, text, misconfigured = wanted
    with Server(serve) as server, Sink('syslog', f'{scheme}://127.0.0.1:{server.port}', *options) as sink:
        began = time.monotonic()
        answer = sink.send(items)
        took = time.monotonic() - began
        memory = sink.memory_kb()
    if (answer.outcome, answer.confirmed, answer.misconfigured) != (outcome, confirmed, misconfigured) or \
            text not in answer.text or took > PATIENCE or memory > MEMORY_KB:
        return f'{answer} in {took:.1f} s with {memory} kB, wanted {wanted}'
    return None


def no_server_can_hold_or_deceive_the_sink(folder):
    faults = {}

    def try_one(name, *case):
        try:
            fault = fault_of(*case)
        except Exception as e:  # told with its name below
            fault = repr(e)
        if fault:
            faults[name] = fault

    threads = [threading.Thread(target=try_one, args=case) for case in cases(Certificates(folder + '/certificates'))]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert len(threads) > 30 and not faults, '\n'.join(f'{name}: {fault}' for name, fault in faults.items())


def a_message_that_is_refused_while_others_are_taken_is_refused_for_good(_):
    def serve(connection):
        received = connection.makefile('rb')
        while head := received.readline():
            number, command = head.split(b' ')[:2]
            if command == b'open':
                received.readline(), received.readline()
                connection.sendall(frame(int(number), OFFERS))
            else:
                bad = b'id="3"' in head
                connection.sendall(frame(int(number), b'500 \x1b[31mno\n' if bad else b'200 OK'))

    with Server(serve) as server, Sink('syslog', f'relp://127.0.0.1:{server.port}') as sink:
        answer = sink.send([record(n) for n in (3,)])  # alone: it may be the server's trouble
        assert (answer.outcome, answer.confirmed) == ('RETRY', 0), answer
        answer = sink.send([record(n) for n in (1, 2, 3, 4)])
        assert (answer.outcome, answer.confirmed) == ('REFUSED', 2), answer
        assert answer.text.endswith('did not take a message: 500 ?[31mno?'), answer
        answer = sink.send([record(3)])
        assert (answer.outcome, answer.confirmed) == ('REFUSED', 0), answer
        assert sink.send([record(4)]).outcome == 'SENT'


def settings_that_make_no_sense_are_refused(folder):
    c = Certificates(folder + '/certificates')
    certificate, key = f'certificate={c.path("client.pem")}', f'key={c.path("client.key")}'
    for words, reason in (
            (('udp://a:1',), "'udp' is none of"), (('tcp://a',), 'names no port'), (('tcp://a:1/x',), 'behind the port'),
            (('tcp://a:1', 'form=csv'), 'neither json nor xml'), (('tcp://a:1', certificate, key), 'are for tls'),
            (('tls://a:1', certificate), 'no use without each other'), (('tls://a:1', 'ca=/none'), "'/none'"),
            (('tls://a:1', certificate, f'key={c.path("stranger.key")}'), 'reading the key'),
            (('tls://a:1', f'certificate={c.path("client.key")}', key), 'reading the certificate')):
        said = parts.refusal('syslog', *words)
        assert reason in said, (words, said)


if __name__ == '__main__':
    warnings.simplefilter('ignore')  # TLS 1.1 is old, that is the point
    sys.exit(parts.main([no_server_can_hold_or_deceive_the_sink,
                         a_message_that_is_refused_while_others_are_taken_is_refused_for_good,
                         settings_that_make_no_sense_are_refused]))
