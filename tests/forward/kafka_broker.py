# SPDX-License-Identifier: MIT
"""One Kafka broker with TLS and a login, as Event Hubs wants them, which the mock cluster has not: as much of the protocol as a
producer needs, in its oldest versions."""
import socket
import ssl
import struct
import threading

PRODUCE, FETCH, METADATA, SASL_HANDSHAKE, API_VERSIONS, INIT_PRODUCER_ID, SASL_AUTHENTICATE = 0, 1, 3, 17, 18, 22, 36
VERSIONS = {PRODUCE: (3, 3), FETCH: (4, 4), METADATA: (1, 1), SASL_HANDSHAKE: (0, 1), API_VERSIONS: (0, 0), INIT_PRODUCER_ID: (0, 0),
            SASL_AUTHENTICATE: (0, 0)}
UNSUPPORTED_VERSION, SASL_AUTHENTICATION_FAILED = 35, 58


def text(value):
    return struct.pack('>h', len(value)) + value.encode()


def array(items):
    return struct.pack('>i', len(items)) + b''.join(items)


class Broker:
    def __init__(self, certificates, user, password, topic='events'):
        self.login, self.topic, self.produced = f'\0{user}\0{password}'.encode(), topic, []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates.path('server.pem'), certificates.path('server.key'))
        self.context.load_verify_locations(certificates.path('ca.pem'))
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(connection,), daemon=True).start()

    def one(self, connection):
        try:
            with self.context.wrap_socket(connection, server_side=True) as secured:
                self.serve(secured.makefile('rb'), secured)
        except OSError:  # the other side has had enough
            pass

    def serve(self, received, to):
        known = False
        while head := received.read(4):
            request = received.read(struct.unpack('>i', head)[0])
            kind, version, number, name = struct.unpack('>hhih', request[:10])
            body = request[10 + max(name, 0):]
            if not known and kind not in (API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE):
                return
            if kind == SASL_AUTHENTICATE:
                known = body[4:] == self.login
            answer = self.answer(kind, version, body, known)
            if answer is not None:
                to.sendall(struct.pack('>ii', len(answer) + 4, number) + answer)

    def answer(self, kind, version, body, known):
        if kind == API_VERSIONS:
            rows = array([struct.pack('>hhh', key, *span) for key, span in VERSIONS.items()])
            return struct.pack('>h', UNSUPPORTED_VERSION if version else 0) + rows
        if kind == SASL_HANDSHAKE:
            return struct.pack('>h', 0) + array([text('PLAIN')])
        if kind == SASL_AUTHENTICATE:
            return struct.pack('>h', 0 if known else SASL_AUTHENTICATION_FAILED) + text('' if known else 'no') + struct.pack('>i', 0)
        if kind == METADATA:
            partition = struct.pack('>hii', 0, 0, 1) + array([struct.pack('>i', 1)]) * 2
            return array([struct.pack('>i', 1) + text('127.0.0.1') + struct.pack('>ih', self.port, -1)]) + struct.pack('>i', 1) + \
                array([struct.pack('>h', 0) + text(self.topic) + b'\0' + array([partition])])
        if kind == INIT_PRODUCER_ID:
            return struct.pack('>ihqh', 0, 0, 1, 0)
        self.produced.append(body)
        return array([text(self.topic) + array([struct.pack('>ihqq', 0, 0, len(self.produced), -1)])]) + struct.pack('>i', 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
