#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every fuzz target of the build takes its corpus without a complaint. One TAP test a target.
set -u
src=${G_TEST_SRCDIR:?} build=${G_TEST_BUILDDIR:?}
export ASAN_OPTIONS="detect_leaks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export LSAN_OPTIONS="suppressions=$src/tests/lib/lsan.supp:print_suppressions=0${LSAN_OPTIONS:+:$LSAN_OPTIONS}"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
export TSAN_OPTIONS="suppressions=$src/tests/lib/tsan.supp:halt_on_error=0:intercept_tls_get_addr=0${TSAN_OPTIONS:+:$TSAN_OPTIONS}"
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT

number=0
for source in "$src"/tests/fuzz/fuzz-*.c; do
  target=$(basename "$source" .c)
  [ -x "$build/tests/fuzz/$target" ] || continue # that of a plugin that was left out: make has built all others
  number=$((number + 1))
  corpus=$src/tests/fuzz/corpus/${target#fuzz-}
  [ -d "$corpus" ] || corpus=$scratch
  if TMPDIR=$scratch timeout 120 "$build/tests/fuzz/$target" -runs=0 "$corpus" >"$scratch/log" 2>&1; then
    echo "ok $number - /fuzz/replay/$target"
  else
    echo "not ok $number - /fuzz/replay/$target"
    tail -n 60 "$scratch/log" | sed 's/^/# /'
  fi
done
if [ $number -gt 0 ]; then echo "1..$number"; else echo "1..0 # SKIP no fuzz target yet"; fi
