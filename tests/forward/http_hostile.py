#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""HTTP servers that mean harm, or are broken, against the sinks for Azure: they cannot hold, grow, lead elsewhere or deceive
them. The cases run at once, as some of them last until the sink's patience ends. Prints TAP."""
import concurrent.futures
import gzip
import json
import os
import select
import socket
import ssl
import sys
import time
import warnings
import zlib

sys.dont_write_bytecode = True
import azure_parts
from azure_parts import Driver
from parts import Certificates, Server
from servers import Storage

SAS = 'sv=2021-12-02&sp=c&sr=c&sig=s%2B%2F%3D'
QUICK = 20         # seconds, on a machine that does something else as well; less than it waits for anything
PATIENCE = 70      # seconds: a try takes about a minute at most
MEMORY_KB = 40000  # of this driver, most of it libraries
CREATED = b'HTTP/1.1 201 Created\r\n'
SANITIZED = 'sanitized' in os.environ.get('KONSEKI_BUILD', '')


def request(connection):
    """Reads one with its body; its head."""
    data = b''
    while b'\r\n\r\n' not in data:
        more = connection.recv(65536)
        if not more:
            raise OSError('gone')
        data += more
    head, _, body = data.partition(b'\r\n\r\n')
    length = [line.split(b':')[1] for line in head.lower().split(b'\r\n') if line.startswith(b'content-length:')]
    while length and len(body) < int(length[0]):
        body += connection.recv(65536)
    return head


def answering(*parts, pause=0.0, forever=None):
    """Reads a request; sends these, then the last one again and again."""
    def serve(connection):
        request(connection)
        for part in parts:
            connection.sendall(part)
        while forever:
            connection.sendall(forever)
            time.sleep(pause)
    return serve


def silent(connection):
    while connection.recv(65536):
        pass


def never_reads(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    time.sleep(PATIENCE)


def one_try(serve, size=10, scheme='http'):
    """The answer to a batch, how long it took, and the memory of the process."""
    with Server(serve) as server, Driver('azure-blob', f'{scheme}://127.0.0.1:{server.port}/logs', SAS) as d:
        started = time.monotonic()
        d.say('clear')
        for record in range(1, size + 1):
            d.item(record, text=os.urandom(400).hex() if size > 1000 else None)
        answer = d.again()
        took = time.monotonic() - started
        assert SANITIZED or d.memory_kb() < MEMORY_KB + size, f'{d.memory_kb()} kB'
        assert answer.text.isprintable() and answer.text.isascii(), answer
        return answer, took


BOMB = gzip.compress(b'\0' * (64 << 20))
LENGTH = b'Content-Length: 0\r\n\r\n'

# What a server does; what comes of it; the most seconds that may take.
CASES = {
    'endless body of a success': (answering(CREATED + b'\r\n', forever=b'x' * 65536), 'SENT', QUICK),
    'endless body of a failure': (answering(b'HTTP/1.1 500 No\r\n\r\n', forever=b'x' * 65536), 'RETRY', QUICK),
    'endless lines of a head': (answering(CREATED, forever=b'X-A: ' + b'a' * 1000 + b'\r\n'), 'RETRY', QUICK),
    'endless line of a head': (answering(CREATED + b'X-A: ', forever=b'a' * 65536), 'RETRY', QUICK),
    'endless status line': (answering(b'HTTP/1.1 201 ', forever=b'a' * 65536), 'RETRY', QUICK),
    'endless hundreds': (answering(b'', forever=b'HTTP/1.1 100 Continue\r\n\r\n'), 'RETRY', QUICK),
    'dripping head': (answering(CREATED, pause=0.5, forever=b'a'), 'RETRY', PATIENCE),
    'dripping body': (answering(CREATED + b'\r\n', pause=0.5, forever=b'a'), 'SENT', PATIENCE),
    'no answer': (silent, 'RETRY', PATIENCE),
    'nothing is read': (never_reads, 'RETRY', PATIENCE),
    'no greeting of TLS': (silent, 'RETRY', QUICK + 5),
    'not HTTP': (answering(b'220 mail.example ESMTP\r\n'), 'RETRY', QUICK),
    'HTTP 0.9': (answering(b'hello'), 'RETRY', QUICK),
    'odd version': (answering(b'HTTP/7.3 201 Created\r\n' + LENGTH), 'RETRY', QUICK),
    'odd status': (answering(b'HTTP/1.1 999 Odd\r\n' + LENGTH), 'RETRY', QUICK),
    'status without an end': (answering(b'HTTP/1.1 2010 Created\r\n' + LENGTH), 'RETRY', QUICK),
    'two lengths': (answering(CREATED + b'Content-Length: 5\r\nContent-Length: 7\r\n\r\nhello'), None, QUICK),
    'negative length': (answering(CREATED + b'Content-Length: -5\r\n\r\nhello'), None, QUICK),
    'huge length': (answering(CREATED + b'Content-Length: 99999999999999999999\r\n\r\nhello'), None, QUICK),
    'huge chunk': (answering(CREATED + b'Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\nhello'), None, QUICK),
    'broken chunk': (answering(CREATED + b'Transfer-Encoding: chunked\r\n\r\nhello\r\n'), None, QUICK),
    'head with NUL': (answering(CREATED + b'x-ms-error-code: a\0b\r\n' + LENGTH), None, QUICK),
    'bomb as gzip': (answering(CREATED + b'Content-Encoding: gzip\r\n\r\n' + BOMB), 'SENT', QUICK),
    'bomb as deflate': (answering(b'HTTP/1.1 403 No\r\nContent-Encoding: deflate\r\n\r\n' + zlib.compress(b'\0' * (64 << 20))), 'RETRY', QUICK),
    'bomb in transfer': (answering(CREATED + b'Transfer-Encoding: gzip, chunked\r\n\r\n', forever=b'4\r\n\x1f\x8b\x08\0\r\n'), None, QUICK),
    'terminal tricks': (answering(b'HTTP/1.1 400 \x1b[2J\r\nx-ms-error-code: \x1b]0;x\x07\xe2\x80\xae\r\n' + LENGTH), 'RETRY', QUICK),
}


def nothing_a_server_sends_holds_or_grows_a_sink():
    def judge(name):
        serve, outcome, most = CASES[name]
        is_tls = name == 'no greeting of TLS'
        answer, took = one_try(serve, size=12000 if name == 'nothing is read' else 10, scheme='https' if is_tls else 'http')
        assert outcome in (None, answer.outcome) and answer.outcome in ('SENT', 'RETRY'), (name, answer)
        assert took < most, (name, took)
        if answer.outcome == 'RETRY' and not answer.misconfigured:
            assert answer.doubtful == (not is_tls), (name, answer)

    with concurrent.futures.ThreadPoolExecutor(len(CASES)) as pool:
        for name, result in [(name, pool.submit(judge, name)) for name in CASES]:
            try:
                result.result()
            except Exception as e:
                raise AssertionError(name) from e


def nobody_is_led_elsewhere():
    elsewhere = []
    with Server(lambda c: elsewhere.append(c.recv(1))) as other:
        for status in (301, 302, 303, 307, 308):
            for to in (f'http://127.0.0.1:{other.port}/', 'file:///etc/passwd', f'ftp://127.0.0.1:{other.port}/'):
                head = f'HTTP/1.1 {status} Go\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n'
                answer, _ = one_try(answering(head.encode()))
                assert answer.outcome == 'RETRY' and answer.misconfigured and not answer.doubtful, answer
        assert not elsewhere


def nothing_of_an_answer_is_kept_for_the_next_request():
    """No cookies, no other service for the same host, no login that a server asks for."""
    heads, elsewhere = [], []

    def serve(connection):
        for extra in (b'Set-Cookie: a=b\r\n', b'Alt-Svc: h2="127.0.0.1:%d"\r\nStrict-Transport-Security: max-age=9999\r\n' % other.port,
                      b'Connection: Upgrade\r\nUpgrade: h2c\r\n', b''):
            heads.append(request(connection))
            connection.sendall(b'HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\n'
                               b'WWW-Authenticate: Basic realm="x"\r\n' + extra + LENGTH)

    with Server(lambda c: elsewhere.append(c.recv(1))) as other, Server(serve) as server, \
            Driver('azure-blob', f'http://localhost:{server.port}/logs', SAS) as d:
        for record in range(1, 5):
            answer = d.batch(record, record)
            assert answer.outcome == 'RETRY' and answer.misconfigured, answer
    assert len(heads) == 4 and not elsewhere
    for head in heads:
        names = {line.split(b':')[0].lower() for line in head.split(b'\r\n')[1:]}
        assert names == {b'host', b'user-agent', b'accept', b'x-ms-blob-type', b'if-none-match', b'content-type',
                         b'x-ms-meta-rawsizebytes', b'content-md5', b'x-ms-version', b'content-length'}, head


def only_a_certificate_of_this_host_is_taken(folder):
    c = Certificates(folder)
    got = []

    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as tls:
            got.append(request(tls))
            tls.sendall(CREATED + LENGTH)

    for name, ca, words in (('server', 'ca', ''), ('elsewhere', 'ca', 'matches target host'), ('expired', 'ca', 'expired'),
                            ('untrusted', 'ca', 'certificate'), ('server', 'other', 'certificate'), ('server', '', 'certificate')):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(c.path(name + '.pem'), c.path(name + '.key'))
        options = {'ca': c.path(ca + '.pem')} if ca else {}
        got.clear()
        with Server(serve) as server, Driver('azure-blob', f'https://127.0.0.1:{server.port}/logs', SAS, **options) as d:
            answer = d.batch(1, 1)
        if words:
            assert answer.outcome == 'RETRY' and not answer.doubtful and words in answer.text, (name, answer)
            assert not got, name
        else:
            assert answer.outcome == 'SENT' and got, answer


def old_tls_is_not_spoken(folder):
    c = Certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    warnings.simplefilter('ignore', DeprecationWarning)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers('ALL:@SECLEVEL=0')
    context.load_cert_chain(c.path('server.pem'), c.path('server.key'))

    def serve(connection):
        with context.wrap_socket(connection, server_side=True):
            pass

    with Server(serve) as server, Driver('azure-blob', f'https://127.0.0.1:{server.port}/logs', SAS, ca=c.path('ca.pem')) as d:
        answer = d.batch(1, 1)
        assert answer.outcome == 'RETRY' and not answer.doubtful, answer


TOKENS = [
    b'', b'null', b'[]', b'{', b'[' * 100000, b'{"a":' * 100000, b'\xff\xfe\x00', b'{"access_token":"t"}',
    b'{"access_token":7,"expires_in":"3600"}', b'{"access_token":"","expires_in":"3600"}',
    b'{"access_token":"a\\r\\nX-Injected: b","expires_in":"3600"}', b'{"access_token":"a b","expires_in":"3600"}',
    b'{"access_token":"a\\u0000b","expires_in":"3600"}', b'{"access_token":"\\u00e4","expires_in":"3600"}',
    b'{"access_token":"' + b't' * 20000 + b'","expires_in":"3600"}', b'{"access_token":"' + b't' * 90000 + b'","expires_in":"3600"}',
    b'{"access_token":"t","expires_in":"-5"}', b'{"access_token":"t","expires_in":{}}', b'{"access_token":"t","expires_on":"1"}',
]


def what_is_no_token_is_not_used():
    number = [0]

    def serve(connection):
        while True:
            request(connection)
            body = TOKENS[number[0]]
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % len(body) + body)

    with Storage(bearer=lambda: 'good') as s, Server(serve) as metadata:
        with Driver('azure-blob', s.url('/logs'), metadata=f'http://127.0.0.1:{metadata.port}') as d:
            for number[0] in range(len(TOKENS)):
                answer = d.batch(1, 1)
                assert answer.outcome == 'RETRY' and 'no token' in answer.text, (TOKENS[number[0]][:60], answer)
            assert s.requests == 0
            TOKENS.append(json.dumps({'access_token': 'good', 'expires_in': '99999999999999999999999'}).encode())
            number[0] = len(TOKENS) - 1
            assert d.again().outcome == 'SENT'
            assert SANITIZED or d.memory_kb() < MEMORY_KB


def a_host_is_found_by_name(folder):
    """By the machine's own means, which libcurl uses in a thread, by a process that has given up all else."""
    c = Certificates(folder)
    c.make('store', 'DNS:acct1.blob.example')
    for name, text in (('hosts', '127.0.0.1 localhost acct1.blob.example\n'), ('nsswitch.conf', 'hosts: files\n')):
        with open(os.path.join(folder, name), 'w', encoding='ascii') as f:
            f.write(text)
    own_hosts = ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0/hosts" /etc/hosts && mount --bind "$0/nsswitch.conf" '
                 '/etc/nsswitch.conf && exec "$@"', folder]
    with Storage((c.path('store.pem'), c.path('store.key'))) as s:
        with Driver('azure-blob', f'https://acct1.blob.example:{s.port}/logs', SAS, before=own_hosts, ca=c.path('ca.pem')) as d:
            answer = d.batch(1, 1)
            assert answer.outcome == 'SENT', answer
        with Driver('azure-blob', f'https://acct2.blob.example:{s.port}/logs', SAS, before=own_hosts, ca=c.path('ca.pem')) as d:
            answer = d.batch(1, 1)
            assert answer.outcome == 'RETRY' and not answer.doubtful and 'acct2.blob.example' in answer.text, answer


def a_proxy_is_for_stores_and_not_for_tokens(folder):
    """That of the environment; this machine and its metadata service are not asked for through it."""
    c = Certificates(folder)
    c.make('store', 'DNS:acct1.blob.example')
    lines = []

    with Storage((c.path('store.pem'), c.path('store.key'))) as s:
        def serve(connection):
            lines.append(request(connection).split(b'\r\n')[0])
            connection.sendall(b'HTTP/1.1 200 Connected\r\nx-ms-error-code: Proxy\r\n\r\n')
            with socket.create_connection(('127.0.0.1', s.port)) as onward:
                pump(connection, onward)

        with Server(serve) as proxy:
            environment = {name: f'http://127.0.0.1:{proxy.port}' for name in ('http_proxy', 'https_proxy', 'all_proxy')}
            s.bearer = lambda: 'good'
            body = b'{"access_token":"good","expires_in":"3600"}'
            token = answering(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
            with Server(token) as metadata, Driver('azure-blob', 'https://acct1.blob.example/logs', environment=environment,
                                                   ca=c.path('ca.pem'), metadata=f'http://127.0.0.1:{metadata.port}') as d:
                answer = d.batch(1, 1)
                assert answer.outcome == 'SENT', answer
            assert lines == [b'CONNECT acct1.blob.example:443 HTTP/1.1'], lines
    with Storage() as s, Server(lambda c: lines.append(c.recv(1))) as proxy:
        with Driver('azure-blob', s.url('/logs'), SAS, environment={'http_proxy': f'http://127.0.0.1:{proxy.port}'}) as d:
            assert d.batch(1, 1).outcome == 'SENT'
    assert len(lines) == 1, lines


def pump(one, other):
    """Both ways, until either ends."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            (other if ready is one else one).sendall(data)


TESTS = [
    nothing_a_server_sends_holds_or_grows_a_sink, nobody_is_led_elsewhere, nothing_of_an_answer_is_kept_for_the_next_request,
    only_a_certificate_of_this_host_is_taken, old_tls_is_not_spoken, what_is_no_token_is_not_used,
    a_host_is_found_by_name, a_proxy_is_for_stores_and_not_for_tokens,
]

if __name__ == '__main__':
    azure_parts.main(TESTS)
