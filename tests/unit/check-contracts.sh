#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each sentence of a public header is in its table in tests/contracts, with tests that exist.
set -u
src=${G_TEST_SRCDIR:?} build=${G_TEST_BUILDDIR:?}
[ -x /usr/bin/python3 ] || { echo "1..0 # SKIP no python3 here"; exit 0; }
exec /usr/bin/python3 -B "$src/tests/contracts/contracts.py" check "$src" "$build"
