# SPDX-License-Identifier: MIT
"""Strict stand-ins for services that have no emulator, or whose emulator lacks answers: whatever a request has that the
service's documents do not allow is answered by 4xx and noted in .faults, which must stay empty. Faults to inject are told
beforehand, one for each request to come."""
import base64
import gzip
import hashlib
import http.server
import json
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse

# What may be told instead of an answer: what becomes of the request that comes next.
CUT = 'cut'            # read it all, keep it, and end the connection without an answer
CUT_BEFORE = 'before'  # end the connection before its body was read
RESET = 'reset'        # keep it, and end with a reset
HALF = 'half'          # keep it, and send half of a head


class Refuse(Exception):
    """Status, code, headers."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, tls=None):
        super().__init__(('127.0.0.1', 0), Handler)
        self.tls = tls
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.lock = threading.Lock()
        self.faults = []      # requests that were not as they must be
        self.told = []        # (status, code, headers) or one of the words above, for the requests to come
        self.requests = 0
        self.connections = 0
        self.port = self.server_address[1]
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.shutdown()
        self.server_close()
        self.thread.join()
        if kind is None:
            assert not self.faults, self.faults

    def handle_error(self, *_):
        pass

    def url(self, path=''):
        return f'{"https" if self.tls else "http"}://127.0.0.1:{self.port}{path}'

    def tell(self, *what):
        with self.lock:
            self.told += what

    def must(self, condition, what, status=400, code='Strict'):
        if not condition:
            self.faults.append(what)
            raise Refuse(status, code, {})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    timeout = 60

    def setup(self):
        super().setup()
        self.server.connections += 1

    def log_message(self, *_):
        pass

    def answer(self, status, code='', headers=None, body=b''):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if code:
            self.send_header('x-ms-error-code', code)
        if status != 204:
            self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_badly(self, how):
        self.close_connection = True
        if how == HALF:
            self.wfile.write(b'HTTP/1.1 201 Created\r\nETag: "0x8')
        if how == RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            self.connection.close()

    def do(self):
        server = self.server
        with server.lock:
            server.requests += 1
            told = server.told.pop(0) if server.told else None
        if told == CUT_BEFORE:
            return self.end_badly(told)
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        if isinstance(told, tuple):
            status, code, *headers = told
            return self.answer(status, code, headers[0] if headers else {})
        try:
            with server.lock:
                answer = server.take(self, body)
        except Refuse as e:
            return self.answer(*e.args)
        return self.end_badly(told) if told else self.answer(*answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do


class Storage(Server):
    """A container to which a token may create, and append, and nothing else; as the real service words its answers."""

    NAME = re.compile(r'/v1/[\w-]+/\d{4}/\d\d/\d\d/\d\d/[0-9a-f-]{36}/[0-9a-f-]{36}-\w+-'
                      r'(\d{20}-\d{20}-[0-9a-f]{32}-[0-9a-f]{16}\.((gap|heartbeat|test)\.ndjson\.zst|ndjson\.zst|evtx\.zst|evtx\.seal)|'
                      r'marker-[0-9a-f]{32}\.txt|\d{20}-append-[0-9a-f]{32}\.ndjson\.zst)$')
    BLOCK_MAX = 4 << 20

    def __init__(self, tls=None, erasable=False, bearer=None):
        self.blobs = {}  # name: bytes
        self.blocks = {}  # of blobs that grow: how often
        self.erasable, self.bearer = erasable, bearer
        super().__init__(tls)

    def take(self, request, body):
        url = urllib.parse.urlsplit(request.path)
        query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        headers = request.headers
        self.must(url.path.startswith('/logs/'), f'path {url.path}')
        name = url.path[len('/logs'):]
        self.must(self.NAME.match(name), f'name {name}')
        self.must(headers.get('x-ms-version') == '2021-12-02', 'version')
        self.must('Expect' not in headers and 'Accept-Encoding' not in headers and 'Transfer-Encoding' not in headers, 'headers')
        if self.bearer:
            self.must('sig' not in query, 'both signature and token')
            if headers.get('Authorization') != f'Bearer {self.bearer()}':
                raise Refuse(401, 'InvalidAuthenticationInfo', {})
        else:
            self.must(query.pop('sig', None) == ['s+/='] and 'Authorization' not in headers, 'signature')
        if request.command == 'DELETE':
            self.must(not body, 'body')
            if not self.erasable:
                raise Refuse(403, 'AuthorizationPermissionMismatch', {})
            del self.blobs[name]
            return 202,
        self.must(request.command == 'PUT' and headers.get('Content-Length'), 'method')
        if body:
            self.must(len(body) <= self.BLOCK_MAX, 'larger than agreed', 413, 'RequestBodyTooLarge')
            if 'marker' not in name:
                digest = base64.b64encode(hashlib.md5(body).digest()).decode()
                self.must(headers.get('Content-MD5') == digest, 'Content-MD5', 400, 'Md5Mismatch')
        return self.append(name, headers, body) if query.get('comp') == ['appendblock'] else self.create(name, headers, body)

    def create(self, name, headers, body):
        kind = headers.get('x-ms-blob-type')
        self.must(kind in ('BlockBlob', 'AppendBlob') and (kind == 'BlockBlob') == bool(body), 'x-ms-blob-type')
        if name in self.blobs:
            if not self.erasable:
                raise Refuse(403, 'UnauthorizedBlobOverwrite', {})
            if headers.get('If-None-Match') == '*':
                raise Refuse(409, 'BlobAlreadyExists', {})
        else:
            self.must(headers.get('If-None-Match') == '*', 'If-None-Match')
        self.blobs[name] = body
        self.blocks[name] = 0 if kind == 'AppendBlob' else None
        return 201, '', {'ETag': '"0x8D"'}

    def append(self, name, headers, body):
        if name not in self.blobs:
            raise Refuse(404, 'BlobNotFound', {})
        self.must(self.blocks[name] is not None, 'no blob that grows')
        if int(headers['x-ms-blob-condition-appendpos']) != len(self.blobs[name]):
            raise Refuse(412, 'AppendPositionConditionNotMet', {})
        self.blobs[name] += body
        self.blocks[name] += 1
        return 201, '', {'x-ms-blob-append-offset': str(len(self.blobs[name]) - len(body)),
                         'x-ms-blob-committed-block-count': str(self.blocks[name])}

    def named(self, word):
        return sorted(name for name in self.blobs if word in name)


class Metadata(Server):
    """The metadata service of a virtual machine: tokens of its identity for one resource."""

    def __init__(self, resource, token, client=None, seconds=86400):
        self.resource, self.token, self.client, self.seconds = resource, token, client, seconds
        super().__init__()

    def take(self, request, body):
        url = urllib.parse.urlsplit(request.path)
        wanted = {'api-version': ['2018-02-01'], 'resource': [self.resource]}
        if self.client:
            wanted['client_id'] = [self.client]
        self.must(request.command == 'GET' and not body, 'method')
        self.must(url.path == '/metadata/identity/oauth2/token', f'path {url.path}', 404)
        self.must(request.headers.get('Metadata') == 'true', 'Metadata: true is missing')
        self.must('X-Forwarded-For' not in request.headers and 'Authorization' not in request.headers, 'proxy')
        self.must(urllib.parse.parse_qs(url.query) == wanted, f'query {url.query}')
        answer = {'access_token': self.token(), 'client_id': self.client or 'c', 'expires_in': str(self.seconds),
                  'expires_on': str(int(time.time()) + self.seconds), 'ext_expires_in': str(self.seconds),
                  'not_before': str(int(time.time())), 'resource': self.resource, 'token_type': 'Bearer'}
        return 200, '', {'Content-Type': 'application/json; charset=utf-8'}, json.dumps(answer).encode()


class Ingestion(Server):
    """The Logs Ingestion API of one data collection rule with one stream."""

    PATH = '/dataCollectionRules/dcr-00112233445566778899aabbccddeeff/streams/Custom-Konseki'
    CALL_MAX = 1 << 20
    FIELD_MAX = 64 << 10
    COLUMNS = {'TimeGenerated': str, 'RecordKey': str, 'Computer': str, 'EventID': int, 'Origin': dict, 'System': dict,
               'EventData': dict, 'Gap': dict, 'Heartbeat': dict, 'Test': dict, 'Message': str}

    def __init__(self, token, tls=None):
        self.token, self.rows, self.calls = token, [], []
        super().__init__(tls)

    def take(self, request, body):
        headers = request.headers
        self.must(request.command == 'POST', 'method', 405)
        self.must(request.path == self.PATH + '?api-version=2023-01-01', f'path {request.path}', 404)
        if headers.get('Authorization') != f'Bearer {self.token()}':
            raise Refuse(401, 'AuthenticationFailed', {})
        self.must(headers.get('Content-Type') == 'application/json', 'Content-Type', 415)
        self.must(headers.get('Content-Encoding') == 'gzip', 'Content-Encoding')
        self.must(re.fullmatch(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', headers.get('x-ms-client-request-id', '')), 'request id')
        text = gzip.decompress(body)
        self.must(len(text) <= self.CALL_MAX and len(body) <= self.CALL_MAX, 'too large', 413, 'ContentLengthLimitExceeded')
        try:
            rows = json.loads(text)
        except ValueError:
            self.must(False, 'not JSON')
        self.must(isinstance(rows, list) and rows, 'no array')
        for row in rows:
            self.check(row)
        self.calls.append(len(text))
        self.rows += rows
        return 204,

    def check(self, row):
        for name, value in row.items():
            self.must(name in self.COLUMNS, f'column {name}')
            self.must(isinstance(value, self.COLUMNS[name]), f'{name} is {type(value)}')
            size = len(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False).encode())
            self.must(size <= self.FIELD_MAX, f'{name} has {size} bytes')
        self.must(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,7}Z', row.get('TimeGenerated', '')), 'TimeGenerated')
        self.must(row.get('RecordKey'), 'RecordKey')
