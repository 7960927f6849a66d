#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What was built is hardened, program, library and every plugin: position independent, relocations read-only before the
# first of our instructions, stack protector, FORTIFY_SOURCE. That every file was compiled so is config.h's to insist
# on; here it is seen in what came out, as far as that shows.
set -u
export LC_ALL=C
build=${G_TEST_BUILDDIR:?}
grep -q '^#define ROOK_HARDENED 1' "$build/config.h" || { echo "1..0 # SKIP built without hardening"; exit 0; }
fortified=$(grep -c '^#define ROOK_FORTIFIED 1' "$build/config.h")

# Of these FORTIFY_SOURCE replaces every call; others it leaves alone where it does not know the size.
unchecked='v?(as|f|d)?printf|v?syslog'

# programs DIR NAME...: libtool puts what links our library into .libs.
programs () {
  dir=$1
  shift
  for name; do
    if [ -f "$dir/.libs/$name" ]; then echo "$dir/.libs/$name"; else echo "$dir/$name"; fi
  done
}

# lacking FILE KIND: what the file lacks, in words.
lacking () {
  readelf -hW "$1" | grep -q 'Type: *DYN' || echo "position independence"
  [ "$2" = library ] || readelf -dW "$1" | grep -q 'FLAGS_1.*PIE' || echo PIE
  readelf -lW "$1" | grep -q 'GNU_RELRO' || echo RELRO
  readelf -dW "$1" | grep -q 'FLAGS.*NOW' || echo "full RELRO (BIND_NOW)"
  readelf -lW "$1" | grep 'GNU_STACK' | grep -q 'RWE' && echo "a stack that is not executable"
  imports=$(nm -D --undefined-only "$1" | sed 's/^ *[Uw] //; s/@.*//')
  # The daemon's own object is little more than main(), which has no buffer to protect.
  case $1 in
    */rookeryd) ;;
    *) echo "$imports" | grep -qx '__stack_chk_fail' || echo "stack protector" ;;
  esac
  [ "$fortified" = 0 ] || ! echo "$imports" | grep -qxE "$unchecked" ||
    echo "FORTIFY_SOURCE (of $(echo "$imports" | grep -xE "$unchecked" | tr '\n' ' '))"
}

number=0
check () {
  number=$((number + 1))
  missing=$(lacking "$1" "$2")
  if [ -f "$1" ] && [ -z "$missing" ]; then
    echo "ok $number - /build/hardening/$(basename "$1")"
  else
    echo "not ok $number - /build/hardening/$(basename "$1")"
    echo "${missing:-the file $1}" | sed 's/^/# lacks: /'
  fi
}

for file in $(programs "$build" rookeryd rookctl); do check "$file" program; done
check "$build/core/.libs/librookery-core.so" library
for file in "$build"/plugins/.libs/*.so; do if [ -f "$file" ]; then check "$file" library; fi; done

# Somewhere it must have found something to do.
number=$((number + 1))
if [ "$fortified" = 0 ]; then
  echo "ok $number - /build/hardening/fortify # SKIP nothing is fortified without optimisation"
elif nm -D --undefined-only "$build/core/.libs/librookery-core.so" | grep -v __stack_chk | grep -q '_chk\(@\|$\)'; then
  echo "ok $number - /build/hardening/fortify"
else
  echo "not ok $number - /build/hardening/fortify"
fi
echo "1..$number"
