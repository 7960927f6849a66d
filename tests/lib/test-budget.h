/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long a random test goes on: ROOKERY_TEST_SECONDS (scripts/test sets it; --long makes it an hour), or else 5 seconds, and
 * five minutes with `-m slow`. Seeds are not its business: tests/lib/run-tap turns ROOKERY_TEST_SEED into GLib's --seed.
 */
#pragma once

#include <glib.h>

static inline double
test_budget_seconds (void)
{
  const char *given = g_getenv ("ROOKERY_TEST_SECONDS");

  return given != NULL ? g_ascii_strtod (given, NULL) : g_test_slow () ? 300 : 5;
}

/* Whether this is the run of hours, for what counts in numbers and not in seconds. */
static inline gboolean
test_budget_is_long (void)
{
  return test_budget_seconds () >= 600;
}

/* The monotonic time at which a random test that begins now and may have @share of the budget has done enough. */
static inline gint64
test_budget_end (double share)
{
  return g_get_monotonic_time () + (gint64) (share * test_budget_seconds () * G_USEC_PER_SEC);
}
