#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# doc/limits.md names every limit that the tables of keys have, with its default, and tests that exist.
set -u
shopt -s lastpipe
src=${G_TEST_SRCDIR:?} build=${G_TEST_BUILDDIR:?}
table=$src/doc/limits.md number=0

# What bounds something a client can feel; the log and the stores tell no client, and drain-timeout is
# not about what a client asks for.
limit='(^limits |-limit$|-timeout$|-deadline$|-cap$|-tolerance$| queue$|-queue$| max-| maximum-response$| failure-table$)'
other='^(log |plugin storage-gdbm |plugin example |server drain-timeout=)'

# told NAME: the test point NAME; its standard input says what is wrong, nothing if all is well.
told () {
  local wrong
  wrong=$(cat)
  number=$((number + 1))
  if [ -z "$wrong" ]; then
    echo "ok $number - $1"
  else
    echo "not ok $number - $1"
    echo "${wrong//$'\n'/$'\n'# }" | sed '1s/^/# /'
  fi
}

# GROUP KEY=DEFAULT of every limit in the sample, which is made from the tables in the code.
keys () {
  awk '/^#?\[.*\]$/ { gsub (/[]#[]/, ""); group = $0 }
       /^#?[a-z-]+=/ { sub (/^#/, ""); key = $0; sub (/=.*/, "", key); if (!seen[group, key]++) print group " " $0 }' \
    "$build/doc/rookery.conf.sample" | while IFS= read -r line; do
      if [[ ${line%%=*} =~ $limit && ! $line =~ $other ]]; then echo "$line"; fi
    done
}

# The same of the table.
rows () {
  sed -nE 's/^\| `\[([^]]+)\] ([a-z-]+)` \| ([^ |]*)[^|]*\|.*/\1 \2=\3/p' "$table"
}

# Of plugins that are not built, the table has more.
groups=$(sed -nE 's/^#?\[(.*)\]$/\1/p' "$build/doc/rookery.conf.sample" | sort -u)
[ -n "$(keys)" ] || echo "no limit is found" | told /doc/limits/sample
comm -23 <(keys | sort -u) <(rows | sort -u) | told /doc/limits/every-limit-is-listed
comm -13 <(keys | sort -u) <(rows | sort -u) | while IFS= read -r line; do
  group=${line%% [a-z-]*=*}
  if grep -qxF "$group" <<<"$groups"; then echo "$line"; fi
done | told /doc/limits/nothing-else-is-listed
grep '^| `\[' "$table" | grep -vE '::test_[a-z0-9_]+` ' | told /doc/limits/each-has-a-test
grep -oE '`[a-z_-]+\.(py|c)::test_[a-z0-9_]+`' "$table" | tr -d '`' | while IFS= read -r test; do
  file=$(echo "$src"/tests/*/"${test%%::*}")
  grep -qE "^(def )?${test##*::} ?\(" "$file" || echo "$test"
done | told /doc/limits/tests-exist
echo "1..$number"
