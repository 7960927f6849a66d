/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes what rook_view_update() reports. Records are loaded in pieces and written as the client takes them, so that a
 * change of a hundred thousand flags costs no more memory than one.
 */
#include "imap/updates.h"

#include <string.h>

#include "imap/names.h"
#include "imap/write.h"

#define LOAD_SPAN 2000 /* sequence numbers loaded at a time */

void
imap_updates_clear (ImapSession *self)
{
  g_clear_pointer (&self->updates.uids, g_array_unref);
  g_clear_pointer (&self->updates.seqs, g_array_unref);
  self->updates = (ImapUpdates){ 0 };
}

void
imap_updates_include (ImapSession *self, GArray *uids)
{
  g_assert (self->updates.uids == NULL && !self->updates.running);
  self->updates.uids = uids;
}

/* --- FLAGS --------------------------------------------------------------------------------------------------------- */

static const struct {
  RookFlags flag;
  char right;
} rights_of_flags[] = {
  { ROOK_FLAG_ANSWERED, 'w' }, { ROOK_FLAG_FLAGGED, 'w' }, { ROOK_FLAG_DELETED, 't' },
  { ROOK_FLAG_SEEN, 's' },     { ROOK_FLAG_DRAFT, 'w' },
};

static gboolean
may_change (const char *rights, RookFlags flag)
{
  for (guint i = 0; i < G_N_ELEMENTS (rights_of_flags); i++)
    if (rights_of_flags[i].flag == flag)
      return strchr (rights, rights_of_flags[i].right) != NULL;
  return FALSE;
}

/* @rights: (nullable) only flags that these allow to change */
static void
append_flags (GString *out, const char *rights)
{
  const char *gap = "";

  for (const ImapFlagName *flag = imap_flag_names; flag->name != NULL; flag++)
    if (flag->flag != ROOK_FLAG_RECENT && (rights == NULL || may_change (rights, flag->flag)))
      {
        g_string_append_printf (out, "%s%s", gap, flag->name);
        gap = " ";
      }
}

static guint
append_keywords (GString *out, RookMailbox *mailbox)
{
  guint n = 0;
  const char *keyword;

  for (; (keyword = rook_mailbox_get_keyword (mailbox, n)) != NULL; n++)
    g_string_append_printf (out, " %s", keyword);
  return n;
}

void
imap_updates_write_flags (ImapSession *self, gboolean permanent)
{
  RookMailbox *mailbox = rook_view_get_mailbox (self->view);
  g_autoptr (GString) out = g_string_new ("* FLAGS (");
  g_autofree char *rights = NULL;

  append_flags (out, NULL);
  self->keywords_told = append_keywords (out, mailbox);
  g_string_append (out, ")\r\n");
  if (permanent)
    {
      g_string_append (out, "* OK [PERMANENTFLAGS (");
      if (!rook_view_is_read_only (self->view))
        {
          rights = rook_mailbox_get_rights (mailbox, self->identity);
          append_flags (out, rights);
          if (strchr (rights, 'w') != NULL)
            {
              append_keywords (out, mailbox);
              g_string_append (out, self->keywords_told < ROOK_MAX_KEYWORDS ? " \\*" : "");
            }
        }
      g_string_append (out, ")] Flags that can be changed\r\n");
    }
  rook_connection_write (self->connection, out->str, out->len);
}

void
imap_updates_write_new_keywords (ImapSession *self)
{
  RookMailbox *mailbox = rook_view_get_mailbox (self->view);
  g_autofree char *rights = NULL;

  if (rook_mailbox_get_keyword (mailbox, self->keywords_told) == NULL)
    return;
  rights = rook_mailbox_get_rights (mailbox, self->identity);
  if (strchr (rights, 'r') != NULL)
    imap_updates_write_flags (self, TRUE);
}

/* --- FETCH --------------------------------------------------------------------------------------------------------- */

static void tell_fetches (ImapSession *self);

static void
end (ImapSession *self)
{
  ImapFunc done = self->updates.done;

  imap_updates_clear (self);
  if (done != NULL)
    done (self);
}

static void
on_loaded (const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) self = data;

  if (imap_session_is_gone (self)
      || (error != NULL && !g_error_matches (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT)))
    end (self); /* what can't be loaded can't be told; the client sees it when it asks */
  else
    tell_fetches (self);
}

/* From the next message to tell as far as it is worth while. */
static void
load (ImapSession *self)
{
  ImapUpdates *updates = &self->updates;
  guint32 first = g_array_index (updates->seqs, guint32, updates->next), last = first;
  guint i = updates->next;

  while (i < updates->seqs->len && g_array_index (updates->seqs, guint32, i) - first < LOAD_SPAN)
    last = g_array_index (updates->seqs, guint32, i++);
  updates->loaded = i;
  rook_view_load (self->view, first, last, on_loaded, imap_session_ref (self));
}

static void
tell_fetch (ImapSession *self, guint32 seq)
{
  RookMessage message;
  g_autoptr (GString) out = NULL;

  if (!rook_view_get_message (self->view, seq, &message))
    return;
  out = g_string_sized_new (128);
  g_string_append_printf (out, "* %u FETCH (", seq);
  if (self->call.uid)
    g_string_append_printf (out, "UID %u ", message.uid);
  g_string_append (out, "FLAGS ");
  imap_write_flags (out, rook_view_get_mailbox (self->view), &message);
  g_string_append (out, ")\r\n");
  rook_connection_write (self->connection, out->str, out->len);
}

static void
tell_fetches (ImapSession *self)
{
  ImapUpdates *updates = &self->updates;

  while (updates->seqs != NULL && updates->next < updates->seqs->len)
    {
      if (rook_connection_is_full (self->connection))
        {
          imap_session_when_drained (self, tell_fetches);
          return;
        }
      if (updates->next == updates->loaded)
        {
          load (self);
          return;
        }
      tell_fetch (self, g_array_index (updates->seqs, guint32, updates->next++));
    }
  end (self);
}

/* --- the whole ------------------------------------------------------------------------------------------------------ */

static gint
compare_seqs (gconstpointer a, gconstpointer b)
{
  guint32 left = *(const guint32 *) a, right = *(const guint32 *) b;

  return left < right ? -1 : left > right;
}

/* The sequence numbers of what was asked for by UID. */
static void
add_included (ImapSession *self, GArray *seqs)
{
  const GArray *uids = self->updates.uids;
  guint32 count = rook_view_get_count (self->view);

  for (guint i = 0; uids != NULL && i < uids->len; i++)
    {
      guint32 uid = g_array_index (uids, guint32, i), seq = rook_view_find_uid (self->view, uid);

      if (seq <= count && rook_view_get_uid (self->view, seq) == uid)
        g_array_append_val (seqs, seq);
    }
}

/* All whose flags are to be told, each once. */
static GArray *
collect_seqs (ImapSession *self, const GArray *changed)
{
  GArray *seqs = g_array_new (FALSE, FALSE, sizeof (guint32));
  guint n = 0;

  add_included (self, seqs);
  if (changed != NULL)
    g_array_append_vals (seqs, changed->data, changed->len);
  g_array_sort (seqs, compare_seqs);
  for (guint i = 0; i < seqs->len; i++)
    {
      guint32 seq = g_array_index (seqs, guint32, i);

      if (n == 0 || g_array_index (seqs, guint32, n - 1) != seq)
        g_array_index (seqs, guint32, n++) = seq;
    }
  g_array_set_size (seqs, n);
  return seqs;
}

static void
write_changes (ImapSession *self, const RookViewChanges *changes)
{
  for (guint i = 0; i < changes->expunged->len; i++)
    rook_connection_printf (self->connection, "* %u EXPUNGE\r\n", g_array_index (changes->expunged, guint32, i));
  if (changes->exists_changed)
    rook_connection_printf (self->connection, "* %u EXISTS\r\n", changes->exists);
  if (changes->recent_changed)
    rook_connection_printf (self->connection, "* %u RECENT\r\n", changes->recent);
}

/* The mailbox is gone: deleted, or its store failed and nobody knows how. Then it is there under its name. */
static void
end_session (ImapSession *self)
{
  g_autofree char *name = rook_mailbox_dup_name (rook_view_get_mailbox (self->view));

  imap_session_unselect (self);
  if (rook_mail_exists (rook_server_get_mail (self->server), name))
    imap_session_bye (self, "UNAVAILABLE", "The selected mailbox has to be opened again");
  else
    imap_session_bye (self, NULL, "The selected mailbox was deleted");
}

void
imap_updates_tell (ImapSession *self, gboolean expunges, ImapFunc done)
{
  g_autoptr (RookViewChanges) changes = NULL;

  g_assert (!self->updates.running);
  if (rook_view_is_gone (self->view))
    {
      end_session (self);
      done (self);
      return;
    }
  self->updates.running = TRUE;
  self->updates.done = done;
  self->updates.next = self->updates.loaded = 0;
  changes = rook_view_update (self->view, expunges);
  if (changes != NULL)
    write_changes (self, changes);
  imap_updates_write_new_keywords (self);
  if (changes != NULL || self->updates.uids != NULL)
    self->updates.seqs = collect_seqs (self, changes != NULL ? changes->changed : NULL);
  tell_fetches (self);
}
