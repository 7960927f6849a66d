/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plugin that does nothing, but starts a thread as its module is loaded. Built by test_privileges.py.
 */
#include <pthread.h>
#include <unistd.h>

#include "rookery/plugin.h"

static void *
idle (void *data)
{
  for (;;)
    pause ();
  return data;
}

__attribute__ ((constructor)) static void
start (void)
{
  pthread_t thread;

  pthread_create (&thread, NULL, idle, NULL);
}

static gboolean
init (RookPlugin *self G_GNUC_UNUSED, RookConfigGroup *config G_GNUC_UNUSED, GError **error G_GNUC_UNUSED)
{
  return TRUE;
}

ROOK_PLUGIN_DEFINE (.name = "eager", .summary = "Starts a thread too early", .version = "1",
                    .license = "LGPL-2.1-or-later", .init = init)
