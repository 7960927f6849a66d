/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a function keeps a promise never to block: whoever waits, syncs or reads what is not in memory gives up the
 * processor, and the system counts that.
 */
#pragma once

#include <glib.h>
#include <malloc.h>
#include <sys/resource.h>

#define TEST_CALM_TRIES 10

/* One calm run is enough: that the system needs the processor for a page at one moment says nothing, and what blocks does so
 * each time. */
static inline gboolean
test_is_calm (void (*func) (gpointer), gpointer data)
{
  for (guint i = 0; i < TEST_CALM_TRIES; i++)
    {
      struct rusage before, after;

      getrusage (RUSAGE_THREAD, &before);
      func (data);
      getrusage (RUSAGE_THREAD, &after);
      if (after.ru_nvcsw == before.ru_nvcsw && after.ru_inblock == before.ru_inblock)
        return TRUE;
    }
  return FALSE;
}

/* What @func leaves on the heap, in bytes; 0 under a sanitizer, which has a heap of its own. */
static inline gsize
test_heap_taken (void (*func) (gpointer), gpointer data)
{
  gsize before = mallinfo2 ().uordblks;

  func (data);
  return mallinfo2 ().uordblks - before;
}
