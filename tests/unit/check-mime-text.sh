#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Mail that Python's email package writes is read back by the library as it was meant.
set -u
[ -x /usr/bin/python3 ] || { echo "1..0 # SKIP no python3 here"; exit 0; }
library=${G_TEST_BUILDDIR:?}/core/.libs/librookery-core.so
if nm -D "$library" | grep -q -e __asan_init -e __tsan_init; then
  echo "1..0 # SKIP a sanitized library can't be loaded into python"
  exit 0
fi
exec /usr/bin/python3 -B "${G_TEST_SRCDIR:?}/tests/unit/check-mime-text.py" "$library"
