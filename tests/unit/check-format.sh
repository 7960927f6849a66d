#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What doc/format.md says of offsets, tables and tags is what the sources have.
set -u
[ -x /usr/bin/python3 ] || { echo "1..0 # SKIP no python3 here"; exit 0; }
exec /usr/bin/python3 -B "${G_TEST_SRCDIR:?}/tests/unit/check-format.py" "$G_TEST_SRCDIR"
