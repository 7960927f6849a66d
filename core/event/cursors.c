/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cursors of durable subscribers: a line `NAME POSITION` each in one small file of the state directory. A cursor that
 * is written late, or lost, costs its subscriber work, never a change; so the file is written lazily.
 */
#include "daemon/server-private.h"
#include "event/event-private.h"

#define WRITE_AFTER_MS 1000

struct RookCursors {
  gint references;    /* atomic: the bus's, and that of an invocation on its way */
  RookServer *server; /* (unowned) */
  char *path;
  RookTimer timer; /* main worker */
  gboolean closed; /* main worker */
  RookMutex lock;  /* guards what follows */
  RookCond written;
  GHashTable *positions; /* name to RookPosition * */
  gboolean dirty;
  gboolean writing_soon; /* the timer runs, or is about to */
  gboolean writing;      /* in the pool */
};

static void
cursors_unref (RookCursors *cursors)
{
  if (__atomic_sub_fetch (&cursors->references, 1, __ATOMIC_ACQ_REL) != 0)
    return;
  g_hash_table_unref (cursors->positions);
  rook_cond_clear (&cursors->written);
  rook_mutex_clear (&cursors->lock);
  g_free (cursors->path);
  g_free (cursors);
}

static void
set (RookCursors *cursors, const char *name, RookPosition position)
{
  RookPosition *value = g_new (RookPosition, 1);

  *value = position;
  g_hash_table_replace (cursors->positions, g_strdup (name), value);
}

static gboolean
read_line (RookCursors *cursors, const char *line)
{
  g_auto (GStrv) words = g_strsplit (line, " ", 0);
  guint64 position;

  if (g_strv_length (words) != 2 || !g_ascii_string_to_unsigned (words[1], 10, 0, G_MAXUINT64, &position, NULL))
    return FALSE;
  set (cursors, words[0], position);
  return TRUE;
}

static void
read_file (RookCursors *cursors)
{
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  g_autoptr (GError) error = NULL;
  gboolean good = TRUE;

  if (!g_file_get_contents (cursors->path, &text, NULL, &error))
    {
      if (!g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        rook_log_message (rook_server_get_log (cursors->server), ROOK_LOG_WARNING, "event.cursors",
                          "subscribers will look at every mailbox: %s", error->message);
      return;
    }
  lines = g_strsplit (text, "\n", 0);
  for (guint i = 0; lines[i] != NULL; i++)
    good &= lines[i][0] == '\0' || read_line (cursors, lines[i]);
  if (good)
    return;
  g_hash_table_remove_all (cursors->positions);
  rook_log_message (rook_server_get_log (cursors->server), ROOK_LOG_WARNING, "event.cursors",
                    "%s is damaged: subscribers will look at every mailbox", cursors->path);
}

static void
write_work (gpointer data)
{
  RookCursors *cursors = data;

  rook_cursors_write (cursors);
  rook_mutex_lock (&cursors->lock);
  cursors->writing = FALSE;
  rook_cond_broadcast (&cursors->written);
  rook_mutex_unlock (&cursors->lock);
}

/* On the main worker. One write at a time: the timer starts anew while there is one. */
static void
write_now (gpointer data)
{
  RookCursors *cursors = data;
  g_autoptr (RookLocker) locker = rook_locker_new (&cursors->lock);

  if (!cursors->writing && rook_pool_run (rook_server_get_pool (cursors->server), 0, write_work, NULL, cursors))
    cursors->writing = TRUE;
  else
    rook_timer_start (&cursors->timer, WRITE_AFTER_MS);
}

static void
start_timer (gpointer data)
{
  RookCursors *cursors = data;

  if (!cursors->closed)
    rook_timer_start (&cursors->timer, WRITE_AFTER_MS);
}

RookCursors *
rook_cursors_new (RookServer *server)
{
  RookCursors *cursors = g_new0 (RookCursors, 1);
  g_autofree char *directory = rook_server_dup_state_directory (server);

  cursors->references = 1;
  cursors->server = server;
  cursors->path = g_build_filename (directory, "cursors", NULL);
  cursors->positions = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  rook_mutex_init (&cursors->lock);
  rook_cond_init (&cursors->written);
  rook_timer_init (&cursors->timer, rook_loop_get_main_worker (rook_server_get_loop (server)), write_now, cursors);
  read_file (cursors);
  return cursors;
}

void
rook_cursors_free (RookCursors *cursors)
{
  rook_timer_stop (&cursors->timer);
  cursors->closed = TRUE;
  rook_mutex_lock (&cursors->lock);
  while (cursors->writing)
    rook_cond_wait (&cursors->written, &cursors->lock);
  rook_mutex_unlock (&cursors->lock);
  rook_cursors_write (cursors);
  cursors_unref (cursors);
}

gboolean
rook_cursors_get (RookCursors *cursors, const char *name, RookPosition *out_position)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&cursors->lock);
  RookPosition *position = g_hash_table_lookup (cursors->positions, name);

  if (position == NULL)
    return FALSE;
  *out_position = *position;
  return TRUE;
}

RookPosition
rook_cursors_get_highest (RookCursors *cursors)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&cursors->lock);
  RookPosition highest = 0;
  GHashTableIter iter;
  gpointer position;

  g_hash_table_iter_init (&iter, cursors->positions);
  while (g_hash_table_iter_next (&iter, NULL, &position))
    highest = MAX (highest, *(RookPosition *) position);
  return highest;
}

void
rook_cursors_advance (RookCursors *cursors, const char *name, RookPosition position)
{
  g_autoptr (RookLocker) locker = rook_locker_new (&cursors->lock);
  RookPosition *present = g_hash_table_lookup (cursors->positions, name);

  if (present != NULL && *present >= position)
    return;
  set (cursors, name, position);
  cursors->dirty = TRUE;
  if (cursors->writing_soon)
    return;
  cursors->writing_soon = TRUE;
  __atomic_fetch_add (&cursors->references, 1, __ATOMIC_RELAXED);
  rook_worker_invoke (rook_loop_get_main_worker (rook_server_get_loop (cursors->server)), start_timer, cursors,
                      (GDestroyNotify) cursors_unref);
}

/* With the lock held. */
static char *
to_text (RookCursors *cursors)
{
  GString *text = g_string_new (NULL);
  GHashTableIter iter;
  gpointer name, position;

  g_hash_table_iter_init (&iter, cursors->positions);
  while (g_hash_table_iter_next (&iter, &name, &position))
    g_string_append_printf (text, "%s %" G_GUINT64_FORMAT "\n", (char *) name, *(RookPosition *) position);
  return g_string_free (text, FALSE);
}

void
rook_cursors_write (RookCursors *cursors)
{
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;

  rook_mutex_lock (&cursors->lock);
  cursors->writing_soon = FALSE;
  if (cursors->dirty)
    text = to_text (cursors);
  cursors->dirty = FALSE;
  rook_mutex_unlock (&cursors->lock);
  if (text != NULL && !g_file_set_contents_full (cursors->path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, &error))
    rook_log_message (rook_server_get_log (cursors->server), ROOK_LOG_WARNING, "event.cursors",
                      "subscribers may have to look again at what they know: %s", error->message);
}
