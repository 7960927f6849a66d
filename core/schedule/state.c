/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is remembered of jobs over restarts: a small file, replaced as a whole. No job depends on it being there; without it
 * intervals begin anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "schedule/schedule-private.h"

#define FORMAT "1" /* of the file; a newer one is refused by name */

void
rook_job_state_free (RookJobState *state)
{
  g_free (state->summary);
  g_free (state);
}

static void
state_free (gpointer data)
{
  rook_job_state_free (data);
}

static RookJobState *
read_job (GKeyFile *file, const char *name)
{
  RookJobState *state = g_new0 (RookJobState, 1);

  /* What is missing or bad is 0. */
  state->since_us = g_key_file_get_int64 (file, name, "since", NULL);
  state->start_us = g_key_file_get_int64 (file, name, "start", NULL);
  state->end_us = g_key_file_get_int64 (file, name, "end", NULL);
  state->failed = g_key_file_get_boolean (file, name, "failed", NULL);
  state->summary = g_key_file_get_string (file, name, "summary", NULL);
  state->n_runs = g_key_file_get_uint64 (file, name, "runs", NULL);
  state->n_failed = g_key_file_get_uint64 (file, name, "failures", NULL);
  state->n_skipped = g_key_file_get_uint64 (file, name, "skipped", NULL);
  return state;
}

GHashTable *
rook_schedule_load_state (const char *path, GError **error)
{
  GHashTable *states = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, state_free);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) problem = NULL;
  g_autofree char *format = NULL;
  g_auto (GStrv) names = NULL;

  if (!g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, &problem))
    {
      if (!g_error_matches (problem, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        g_propagate_error (error, g_steal_pointer (&problem));
      return states;
    }
  format = g_key_file_get_string (file, "schedule", "format", NULL);
  if (g_strcmp0 (format, FORMAT) != 0)
    {
      g_set_error (error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_INVALID_VALUE, "%s: format %s is not known, expected %s",
                   path, format != NULL ? format : "(none)", FORMAT);
      return states;
    }
  names = g_key_file_get_groups (file, NULL);
  for (gsize i = 0; names[i] != NULL; i++)
    if (g_str_has_prefix (names[i], "job "))
      g_hash_table_insert (states, g_strdup (names[i] + strlen ("job ")), read_job (file, names[i]));
  return states;
}

static void
write_job (GKeyFile *file, const char *name, const RookJobState *state)
{
  g_autofree char *group = g_strconcat ("job ", name, NULL);

  g_key_file_set_int64 (file, group, "since", state->since_us);
  g_key_file_set_int64 (file, group, "start", state->start_us);
  g_key_file_set_int64 (file, group, "end", state->end_us);
  g_key_file_set_boolean (file, group, "failed", state->failed);
  if (state->summary != NULL && g_utf8_validate (state->summary, -1, NULL))
    g_key_file_set_string (file, group, "summary", state->summary);
  g_key_file_set_uint64 (file, group, "runs", state->n_runs);
  g_key_file_set_uint64 (file, group, "failures", state->n_failed);
  g_key_file_set_uint64 (file, group, "skipped", state->n_skipped);
}

char *
rook_schedule_format_state (GHashTable *states)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  GHashTableIter iter;
  gpointer name, state;

  g_key_file_set_string (file, "schedule", "format", FORMAT);
  g_hash_table_iter_init (&iter, states);
  while (g_hash_table_iter_next (&iter, &name, &state))
    write_job (file, name, state);
  return g_key_file_to_data (file, NULL, NULL);
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

static gboolean
write_and_sync (int fd, const char *text)
{
  gsize length = strlen (text);

  while (length > 0)
    {
      ssize_t n = write (fd, text, length);

      if (n < 0 && errno != EINTR)
        return FALSE;
      text += n > 0 ? n : 0;
      length -= n > 0 ? (gsize) n : 0;
    }
  return fsync (fd) == 0;
}

static gboolean
sync_directory (const char *path)
{
  g_autofree char *directory = g_path_get_dirname (path);
  int fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  gboolean good = fd >= 0 && fsync (fd) == 0;

  if (fd >= 0)
    close (fd);
  return good;
}

gboolean
rook_schedule_save_state (const char *path, const char *text, GError **error)
{
  g_autofree char *fresh = g_strconcat (path, ".new", NULL);
  int fd = open (fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  gboolean good = fd >= 0 && write_and_sync (fd, text);

  if (fd >= 0)
    good = close (fd) == 0 && good;
  if (good && g_rename (fresh, path) == 0 && sync_directory (path))
    return TRUE;
  g_set_error (error, G_FILE_ERROR, (gint) g_file_error_from_errno (errno), "%s: %s", path, g_strerror (errno));
  return FALSE;
}
