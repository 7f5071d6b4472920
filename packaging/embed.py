#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes files as C strings, so that the program is one file: embed.py OUTPUT FILE..."""
import os
import re
import sys

with open(sys.argv[1], 'w', encoding='ascii') as out:
    out.write('/* SPDX-License-Identifier: MIT */\n/* Made by packaging/embed.py. */\n')
    for path in sys.argv[2:]:
        name = 'packaged_' + re.sub(r'\W', '_', os.path.basename(path))
        with open(path, encoding='ascii') as f:
            lines = f.read().splitlines()
        out.write(f'static const char {name}[] =\n')
        for line in lines:
            escaped = line.replace('\\', '\\\\').replace('"', '\\"').replace('\t', '\\t')
            out.write(f'\t"{escaped}\\n"\n')
        out.write('\t;\n')
