#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The public headers, the checked-in list and the built library agree on what is exported, both ways.
set -u
export LC_ALL=C
src=${G_TEST_SRCDIR:?} build=${G_TEST_BUILDDIR:?}
list=$src/core/librookery-core.sym
library=$build/core/.libs/librookery-core.so
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT

# none_missing WHAT FILE-A FILE-B: one test, that FILE-B has every line of FILE-A.
number=0
none_missing () {
  number=$((number + 1))
  missing=$(comm -23 "$2" "$3")
  if [ -z "$missing" ]; then
    echo "ok $number - /build/symbols/$1"
  else
    echo "not ok $number - /build/symbols/$1"
    echo "$missing" | sed 's/^/# /'
    echo "# headers changed on purpose? make update-symbols"
  fi
}

echo 1..4
"$src/scripts/list-symbols" "$src"/core/include/rookery/*.h >"$scratch/headers"
sort -u "$list" >"$scratch/list"
nm -D --defined-only "$library" | awk '{ print $3 }' | grep -v '^_' | sort -u >"$scratch/library"
none_missing list-has-what-headers-declare "$scratch/headers" "$scratch/list"
none_missing headers-declare-what-list-has "$scratch/list" "$scratch/headers"
none_missing list-has-what-library-exports "$scratch/library" "$scratch/list"
none_missing library-exports-what-list-has "$scratch/list" "$scratch/library"
