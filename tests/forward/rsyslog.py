# SPDX-License-Identifier: MIT
"""rsyslog as Debian has it, unpacked into a folder and never installed: its package would start a service, and would
remove another syslog daemon."""
import os
import re
import sys
import tempfile

import parts

sys.path.insert(0, os.path.join(parts.ROOT, 'tests', 'vm'))
import vm  # noqa: E402: the folder must be known before

PACKAGES = ['rsyslog', 'rsyslog-openssl', 'rsyslog-gnutls', 'rsyslog-relp', 'librelp0', 'libestr0', 'libfastjson4']
LIBRARIES = os.path.join('usr', 'lib', 'x86_64-linux-gnu')

# One line a message: what it was headed by, and what it said.
HEADS = '''global(maxMessageSize="64k")
module(load="imtcp")
template(name="told" type="list" option.jsonf="on") {
	property(outname="pri" name="pri" format="jsonf")
	property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
	property(outname="host" name="hostname" format="jsonf")
	property(outname="app" name="app-name" format="jsonf")
	property(outname="msgid" name="msgid" format="jsonf")
	property(outname="data" name="structured-data" format="jsonf")
	property(outname="msg" name="msg" format="jsonf")
}
ruleset(name="in") { action(type="omfile" file="/var/log/konseki-collected/all.log" template="told") }
input(type="imtcp" port="601" ruleset="in")
'''


def documented(*names):
    """These parts of the configuration in docs/recipes/syslog.md."""
    with open(os.path.join(parts.ROOT, 'docs', 'recipes', 'syslog.md'), encoding='utf-8') as f:
        text = f.read()
    return ''.join(re.search(rf'^```{name}\n(.*?)^```$', text, re.M | re.S).group(1) for name in names)


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
    """With this configuration, but its own folder, certificates and port, and on loopback."""

    def __init__(self, folder, configuration, certificates=None, port=None, host='127.0.0.1', prefix=()):
        self.port = port or parts.free_port()
        self.file = os.path.join(folder, 'all.log')
        path, libraries = os.path.join(folder, 'rsyslog.conf'), os.path.join(home(), LIBRARIES)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(f'global(workDirectory="{folder}")\n')
            text = re.sub(r' port="\d+"', f' port="{self.port}" address="{host}"', configuration)
            f.write(text.replace('/var/log/konseki-collected', folder)
                    .replace('/etc/konseki-collector', certificates.folder if certificates else '/none'))
        super().__init__([*prefix, os.path.join(home(), 'usr', 'sbin', 'rsyslogd'), '-n', '-f', path, '-i',
                          os.path.join(folder, 'pid'), '-M', os.path.join(libraries, 'rsyslog')], self.port,
                         os.path.join(folder, 'rsyslog.log'), {'LD_LIBRARY_PATH': libraries}, host)

    def lines(self):
        if not os.path.exists(self.file):
            return []
        with open(self.file, encoding='utf-8') as f:
            return [line for line in f if line.endswith('\n')]

    def told(self):
        """(structured data, text) of each message."""
        found = [(re.fullmatch(r'(\[.*?"\]) +(.*)\n', line), line) for line in self.lines()]
        assert all(match for match, _ in found), [line[:500] for match, line in found if not match]
        return [match.groups() for match, _ in found]


def heads(folder):
    return Rsyslog(folder, HEADS)


def tcp(folder, **more):
    return Rsyslog(folder, documented('rsyslog') + 'module(load="imtcp")\ninput(type="imtcp" port="601" ruleset="konseki")\n', **more)


def tls(folder, certificates, driver, **more):
    return Rsyslog(folder, documented('rsyslog', 'rsyslog-tls').replace('"gtls"', f'"{driver}"'), certificates, **more)


def relp(folder, **more):
    return Rsyslog(folder, documented('rsyslog') + 'module(load="imrelp")\n'
                   'input(type="imrelp" port="2514" ruleset="konseki" maxDataSize="64k")\n', **more)


def relps(folder, certificates, **more):
    return Rsyslog(folder, documented('rsyslog', 'rsyslog-relps'), certificates, **more)
