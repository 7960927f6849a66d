#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The man pages are what man(1) can show without a warning.
set -u
src=${G_TEST_SRCDIR:?} build=${G_TEST_BUILDDIR:?}
command -v groff >/dev/null || { echo "1..0 # SKIP no groff here"; exit 0; }
number=0
for page in "$src"/doc/man/*.[1-8] "$build"/doc/man/rookery.conf.5; do
  number=$((number + 1))
  warnings=$(groff -man -Tutf8 -ww -z "$page" 2>&1)
  if [ -z "$warnings" ]; then
    echo "ok $number - /doc/man/$(basename "$page")"
  else
    echo "not ok $number - /doc/man/$(basename "$page")"
    echo "$warnings" | sed 's/^/# /'
  fi
done
echo "1..$number"
