#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The man pages are what man(1) can show without a warning, and name every option that there is. (That rookctl(8) has every
# verb is for a test with a running server: tests/protocol/test_control.py.)
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
for program in rookeryd rookctl; do
  number=$((number + 1))
  page=$src/doc/man/$program.8
  missing=$("$build/$program" --help | sed -n 's/^ *\(-[a-z], \)\{0,1\}\(--[a-z-]*\).*/\2/p' | grep -vx -e --help | while read -r option; do
    sed 's/\\-/-/g' "$page" | grep -q -e "^\.[BI]*.*$option" || echo "$option"
  done)
  if [ -z "$missing" ]; then
    echo "ok $number - /doc/man/$program.8/has-every-option"
  else
    echo "not ok $number - /doc/man/$program.8/has-every-option"
    echo "$missing" | sed 's/^/# no entry for /'
  fi
done
echo "1..$number"
