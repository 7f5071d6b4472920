#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Azurite, the emulator of Azure Storage: installed from the registry in the versions that azurite/package-lock.json pins,
kept in the cache, started on loopback with an account made for the occasion.

    azurite.py     starts it with a container, and says how to send copies there; Ctrl-C ends it
"""
import base64
import fcntl
import hashlib
import hmac
import http.client
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import urllib.parse
from email.utils import formatdate

from parts import LONG, eventually, free_port

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(os.path.expanduser('~'), '.cache', 'konseki-test')
VERSION = '2021-12-02'


def installed():
    """The folder of the installed program. Another pin is another folder."""
    with open(os.path.join(HERE, 'azurite', 'package-lock.json'), 'rb') as f:
        folder = os.path.join(CACHE, 'azurite-' + hashlib.sha256(f.read()).hexdigest()[:12])
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, 'azurite.lock'), 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(folder):
            with tempfile.TemporaryDirectory(dir=CACHE, prefix='azurite-new-') as new:
                for name in ('package.json', 'package-lock.json'):
                    shutil.copy(os.path.join(HERE, 'azurite', name), new)
                done = subprocess.run(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'], cwd=new,
                                      stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
                assert done.returncode == 0, f'npm ci: {done.stdout[-2000:]}{done.stderr[-2000:]}'
                os.rename(new, folder)
                os.mkdir(new)  # which is removed at the end
    return folder


class Azurite:
    """with Azurite() as a: ... With tls=(certificate, key) it takes bearer tokens, too."""

    def __init__(self, tls=None):
        self.account = 'konsekitest'
        self.key = os.urandom(64)
        self.tls = tls
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix='konseki-azurite-')
        self.process = None
        self.start()

    def start(self):
        """Again, too: what was there is there."""
        words = ['node', os.path.join(installed(), 'node_modules/azurite/dist/src/blob/main.js'), '--blobHost', '127.0.0.1',
                 '--blobPort', str(self.port), '--location', self.folder, '--silent', '--disableTelemetry']
        if self.tls:
            words += ['--oauth', 'basic', '--cert', self.tls[0], '--key', self.tls[1]]
        account = f'{self.account}:{base64.b64encode(self.key).decode()}'
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, env=os.environ | {'AZURITE_ACCOUNTS': account})
        eventually(self.answers, 'Azurite')

    def answers(self):
        assert self.process.poll() is None, 'Azurite ended'
        try:
            return self.ask('GET', '/', signed=False)[0] == 400
        except OSError:
            return False

    def stop(self, with_signal=signal.SIGTERM):
        self.process.send_signal(with_signal)
        self.process.wait(LONG)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder)

    def url(self, container):
        """At a name that emulators have in the path."""
        return f'{"https" if self.tls else "http"}://127.0.0.1:{self.port}/{self.account}/{container}'

    def key_text(self):
        return base64.b64encode(self.key).decode()

    def connection_string(self):
        return f'DefaultEndpointsProtocol=http;AccountName={self.account};AccountKey={self.key_text()};' \
               f'BlobEndpoint=http://127.0.0.1:{self.port}/{self.account};'

    def _mac(self, text):
        return base64.b64encode(hmac.new(self.key, text.encode(), hashlib.sha256).digest()).decode()

    def sas(self, container, permissions, expiry='2099-01-01T00:00:00Z'):
        """A service SAS of the container."""
        values = [permissions, '', expiry, f'/blob/{self.account}/{container}', '', '', '', VERSION, 'c', '', '', '', '', '', '', '']
        query = {'sp': permissions, 'se': expiry, 'sv': VERSION, 'sr': 'c', 'sig': self._mac('\n'.join(values))}
        return urllib.parse.urlencode(query)

    def ask(self, method, path, headers=None, body=b'', signed=True, **query):
        """As the account's owner, written apart from the program's own signing. Status, headers, body."""
        headers = {'x-ms-version': VERSION, 'x-ms-date': formatdate(usegmt=True)} | (headers or {})
        own = ''.join(f'{name}:{headers[name]}\n' for name in sorted(headers) if name.startswith('x-ms-'))
        resource = f'/{self.account}{path}' + ''.join(f'\n{name}:{query[name]}' for name in sorted(query))
        text = '\n'.join([method, '', '', str(len(body) or ''), '', headers.get('Content-Type', ''), '', '', '', '', '', '',
                          own + resource])
        if signed:
            headers['Authorization'] = f'SharedKey {self.account}:{self._mac(text)}'
        if self.tls:
            connection = http.client.HTTPSConnection('127.0.0.1', self.port, timeout=LONG,
                                                     context=ssl._create_unverified_context())
        else:
            connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=LONG)
        connection.request(method, path + ('?' + urllib.parse.urlencode(query) if query else ''), body, headers)
        answer = connection.getresponse()
        result = answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), answer.read()
        connection.close()
        return result

    def make_container(self, name):
        status, _, body = self.ask('PUT', f'/{self.account}/{name}', restype='container')
        assert status == 201, f'{status} {body}'

    def blobs(self, container):
        """Names of all, sorted."""
        status, _, body = self.ask('GET', f'/{self.account}/{container}', restype='container', comp='list')
        assert status == 200, f'{status} {body}'
        return sorted(name.decode() for name in re.findall(rb'<Name>([^<]*)</Name>', body))

    def blob(self, container, name):
        """Content and headers."""
        status, headers, body = self.ask('GET', f'/{self.account}/{container}/{name}')
        assert status == 200, f'{status} {body}'
        return body, headers


def main():
    with Azurite() as azurite:
        azurite.make_container('logs')
        print(f"""A container that may only be added to. As root:

    echo '{azurite.sas('logs', 'c')}' | konseki forward add azure-blob {azurite.url('logs')} --secret -
    konseki forward test azure-blob

Ctrl-C ends it, and throws all away.""", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            pass


if __name__ == '__main__':
    main()
