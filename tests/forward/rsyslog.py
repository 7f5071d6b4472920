# SPDX-License-Identifier: MIT
"""rsyslog as Debian has it, unpacked into a folder and never installed: its package would start a service, and would
remove another syslog daemon."""
import json
import os
import sys
import tempfile

import parts

sys.path.insert(0, os.path.join(parts.ROOT, 'tests', 'vm'))
import vm  # noqa: E402: the folder must be known before

PACKAGES = ['rsyslog', 'rsyslog-openssl', 'rsyslog-gnutls', 'rsyslog-relp', 'librelp0', 'libestr0', 'libfastjson4']
LIBRARIES = os.path.join('usr', 'lib', 'x86_64-linux-gnu')

# One line a message: what it was headed by, and what it said.
TEMPLATE = '''template(name="told" type="list" option.jsonf="on") {
	property(outname="pri" name="pri" format="jsonf")
	property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
	property(outname="host" name="hostname" format="jsonf")
	property(outname="app" name="app-name" format="jsonf")
	property(outname="msgid" name="msgid" format="jsonf")
	property(outname="data" name="structured-data" format="jsonf")
	property(outname="msg" name="msg" format="jsonf")
}'''


def home():
    folder = os.path.join(vm.CACHE, 'rsyslog')
    if not os.path.isdir(folder):
        os.makedirs(vm.CACHE, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=vm.CACHE) as scratch:
            apt = vm.Apt(os.path.join(scratch, 'apt'), ['bookworm', 'bookworm-security'])
            apt.update()
            unpacked = os.path.join(scratch, 'unpacked')
            for package in PACKAGES:
                vm.run('dpkg-deb', '-x', apt.download(package, scratch), unpacked)
            os.rename(unpacked, folder)
    return folder


class Rsyslog(parts.Daemon):
    """One input (a line of its configuration, with PORT) and one file to which it writes what came."""

    def __init__(self, folder, modules, inputs, port=None):
        self.port = port or parts.free_port()
        self.file = os.path.join(folder, 'told')
        work = os.path.join(folder, 'work')
        os.makedirs(work, exist_ok=True)
        configuration = os.path.join(folder, 'rsyslog.conf')
        with open(configuration, 'w', encoding='utf-8') as f:
            f.write(f'''global(workDirectory="{work}" maxMessageSize="64k"
	parser.escapeControlCharactersOnReceive="off" {modules[0]})
{modules[1]}
{TEMPLATE}
ruleset(name="in") {{ action(type="omfile" file="{self.file}" template="told" asyncWriting="off" flushOnTXEnd="on") }}
{inputs.replace("PORT", str(self.port))}
''')
        libraries = os.path.join(home(), LIBRARIES)
        super().__init__([os.path.join(home(), 'usr', 'sbin', 'rsyslogd'), '-n', '-f', configuration, '-i',
                          os.path.join(folder, 'pid'), '-M', os.path.join(libraries, 'rsyslog')], self.port,
                         os.path.join(folder, 'rsyslog.log'), {'LD_LIBRARY_PATH': libraries})

    def told(self):
        if not os.path.exists(self.file):
            return []
        with open(self.file, encoding='utf-8') as f:
            return [json.loads(line) for line in f if line.endswith('\n')]


def tcp(folder, **more):
    return Rsyslog(folder, ('', 'module(load="imtcp")'), 'input(type="imtcp" port="PORT" address="127.0.0.1" ruleset="in")', **more)


def tls(folder, certificates, driver, **more):
    """Only client.example may send."""
    files = ' '.join(f'{name}="{certificates.path(file)}"' for name, file in (
        ('defaultNetstreamDriverCAFile', 'ca.pem'), ('defaultNetstreamDriverCertFile', 'server.pem'),
        ('defaultNetstreamDriverKeyFile', 'server.key')))
    return Rsyslog(folder, (f'defaultNetstreamDriver="{driver}" {files}',
                            f'module(load="imtcp" streamDriver.name="{driver}" streamDriver.mode="1" '
                            'streamDriver.authMode="x509/name" permittedPeer=["client.example"])'),
                   'input(type="imtcp" port="PORT" address="127.0.0.1" ruleset="in")', **more)


def relp(folder, certificates=None, **more):
    secured = '' if not certificates else ' tls="on" tls.authMode="name" tls.permittedPeer=["client.example"]' + ''.join(
        f' {name}="{certificates.path(file)}"' for name, file in (
            ('tls.caCert', 'ca.pem'), ('tls.myCert', 'server.pem'), ('tls.myPrivKey', 'server.key')))
    return Rsyslog(folder, ('', 'module(load="imrelp")'),
                   f'input(type="imrelp" port="PORT" address="127.0.0.1" ruleset="in" maxDataSize="64k"{secured})', **more)
