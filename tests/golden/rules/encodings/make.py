#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the files beside it: one configuration in several encodings, and some wrong ones."""
import os

HERE = os.path.dirname(os.path.abspath(__file__))
RULES = '''<Sysmon schemaversion="4.90">
<EventFiltering>
<ProcessCreate onmatch="include"><CommandLine name="Ärger">ärger</CommandLine>
</ProcessCreate>
</EventFiltering>
</Sysmon>
'''
WRONG = RULES.replace('</ProcessCreate>', '<User>𐐀</User>\n<!--ä-->\t<Imge/></ProcessCreate>')


def declared(encoding, text=RULES):
    return f'<?xml version="1.0" encoding="{encoding}"?>\n{text}'


FILES = {
    'utf8-mark.xml': RULES.encode('utf-8-sig'),
    'utf16le-mark.xml': b'\xff\xfe' + declared('UTF-16').encode('utf-16-le'),
    'utf16le.xml': declared('UTF-16').encode('utf-16-le'),
    'utf16be-mark.xml': b'\xfe\xff' + RULES.encode('utf-16-be'),
    'latin1.xml': declared('ISO-8859-1').encode('iso-8859-1'),
    'latin1-undeclared.xml': RULES.encode('iso-8859-1'),
    'blanks-before.xml': ('\n \t' + declared('UTF-8')).encode(),
    'utf16le-blanks-before.xml': b'\xff\xfe' + ('\r\n ' + declared('UTF-16')).encode('utf-16-le'),
    'crlf.xml': declared('UTF-8').replace('\n', '\r\n').encode(),
    'utf16le-wrong.xml': b'\xff\xfe' + WRONG.encode('utf-16-le'),
    'blanks-before-wrong.xml': '\n  <Sysmon schemaversion="4.90">\n<Ä/></Sysmon>'.encode(),
    'utf16le-doctype.xml': b'\xff\xfe' + ('<!DOCTYPE Sysmon [ <!ENTITY ÄĀ "ā"> ]>' + RULES).encode('utf-16-le'),
    'unknown.xml': declared('EBCDIC-CP-US', '<Sysmon/>').encode(),
    'binary.xml': bytes(range(1, 256)),
}

for name, content in FILES.items():
    with open(os.path.join(HERE, name), 'wb') as f:
        f.write(content)
