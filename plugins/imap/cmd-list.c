/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LIST and LSUB (RFC 3501 6.3.8, 6.3.9), with CHILDREN (RFC 3348) and SPECIAL-USE (RFC 6154) attributes.
 *
 * Mailboxes come from the mailbox service in pages, children right after their parent; so a level of hierarchy that is
 * no mailbox itself is noticed when its first child comes by.
 */
#include <string.h>

#include "imap/commands.h"
#include "imap/pattern.h"
#include "imap/write.h"

#define PAGE 200

typedef struct {
  gboolean subscribed;  /* LSUB */
  ImapPattern *pattern; /* (owned) */
  GPtrArray *chain;     /* (owned) (element-type utf8) the last name and those above it that were met or shown */
  GPtrArray *page;      /* (owned) (element-type Entry) */
  char *after;          /* (owned) (nullable) */
} List;

typedef struct {
  char *name; /* (owned) internal */
  char *special_use;
  gboolean exists, has_children;
} Entry;

static void
entry_free (gpointer data)
{
  Entry *entry = data;

  g_free (entry->name);
  g_free (entry->special_use);
  g_free (entry);
}

static void
list_free (gpointer data)
{
  List *self = data;

  g_clear_pointer (&self->pattern, imap_pattern_free);
  g_ptr_array_unref (self->chain);
  g_ptr_array_unref (self->page);
  g_free (self->after);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (List, list_free)

/* --- one name --------------------------------------------------------------------------------------------------------- */

static void
write_name (ImapSession *session, const List *self, const char *attributes, const char *encoded)
{
  g_autoptr (GString) out = g_string_new (self->subscribed ? "* LSUB (" : "* LIST (");

  g_string_append_printf (out, "%s) \"%c\" ", attributes, rook_namespace_get_separator (session->ns));
  imap_write_astring (out, encoded);
  g_string_append (out, "\r\n");
  rook_connection_write (session->connection, out->str, out->len);
}

static gboolean
is_below (const char *name, const char *parent, char separator)
{
  gsize length = strlen (parent);

  return strncmp (name, parent, length) == 0 && name[length] == separator;
}

/* Levels above @encoded that match, but are no mailbox: shown once, when their first child comes by. */
static void
show_levels (ImapSession *session, List *self, const char *encoded, char separator)
{
  while (self->chain->len > 0 && !is_below (encoded, self->chain->pdata[self->chain->len - 1], separator))
    g_ptr_array_remove_index (self->chain, self->chain->len - 1);
  for (const char *pos = strchr (encoded, separator); pos != NULL; pos = strchr (pos + 1, separator))
    {
      g_autofree char *level = g_strndup (encoded, (gsize) (pos - encoded));
      const char *top = self->chain->len > 0 ? self->chain->pdata[self->chain->len - 1] : "";

      if (strlen (level) <= strlen (top))
        continue; /* met */
      if (imap_pattern_ends_with_percent (self->pattern) && imap_pattern_matches (self->pattern, level))
        write_name (session, self, self->subscribed ? "\\Noselect" : "\\Noselect \\HasChildren", level);
      g_ptr_array_add (self->chain, g_steal_pointer (&level));
    }
}

/* In the alternative namespace what is below an INBOX is shown beside it. */
static gboolean
shows_children (ImapSession *session, const Entry *entry)
{
  const char *prefix = rook_namespace_get_personal_prefix (session->ns);

  return entry->has_children && !(*prefix == '\0' && rook_namespace_is_inbox (session->ns, entry->name));
}

static void
show (ImapSession *session, List *self, const Entry *entry)
{
  g_autofree char *external = rook_namespace_to_external (session->ns, entry->name);
  g_autofree char *encoded = external != NULL ? rook_utf7_from_utf8 (external) : NULL;
  g_autoptr (GString) attributes = g_string_new (NULL);

  if (encoded == NULL)
    return;
  show_levels (session, self, encoded, rook_namespace_get_separator (session->ns));
  if (imap_pattern_matches (self->pattern, encoded))
    {
      if (!entry->exists)
        g_string_append (attributes, "\\Noselect");
      if (!self->subscribed)
        g_string_append (attributes, shows_children (session, entry) ? "\\HasChildren" : "\\HasNoChildren");
      if (entry->special_use != NULL && !self->subscribed)
        g_string_append_printf (attributes, " %s", entry->special_use);
      write_name (session, self, attributes->str, encoded);
    }
  g_ptr_array_add (self->chain, g_steal_pointer (&encoded));
}

/* --- the whole ---------------------------------------------------------------------------------------------------------- */

static void
collect (const RookMailboxInfo *info, gpointer data)
{
  List *self = data;
  Entry *entry = g_new0 (Entry, 1);

  entry->name = g_strdup (info->name);
  entry->special_use = g_strdup (info->special_use);
  entry->exists = info->id != NULL;
  entry->has_children = info->has_children;
  g_ptr_array_add (self->page, entry);
}

static void run (ImapSession *session);

static void
run_later (gpointer data)
{
  if (!imap_session_is_gone (data))
    imap_session_when_drained (data, run);
}

static void
run (ImapSession *session)
{
  List *self = session->call.data;
  RookListQuery query = {
    .struct_size = sizeof query, .after = self->after, .limit = PAGE, .subscribed = self->subscribed
  };
  gboolean more = rook_mail_list (rook_server_get_mail (session->server), session->identity, &query, collect, self);

  for (guint i = 0; i < self->page->len; i++)
    show (session, self, self->page->pdata[i]);
  if (!more || self->page->len == 0)
    {
      imap_session_ok (session, NULL, "Completed");
      return;
    }
  g_free (self->after);
  self->after = g_strdup (((Entry *) self->page->pdata[self->page->len - 1])->name);
  g_ptr_array_set_size (self->page, 0);
  rook_worker_invoke (rook_connection_get_worker (session->connection), run_later, imap_session_ref (session),
                      (GDestroyNotify) imap_session_unref);
}

/* LIST "" "": what the separator is, and the root of the reference. */
static void
answer_root (ImapSession *session, const List *self)
{
  write_name (session, self, "\\Noselect", "");
  imap_session_ok (session, NULL, "Completed");
}

static void
start (ImapSession *session, ImapParser *arguments, gboolean subscribed)
{
  g_autoptr (List) self = g_new0 (List, 1);
  g_autofree char *reference = NULL, *pattern = NULL, *joined = NULL;
  g_autoptr (GError) error = NULL;

  self->subscribed = subscribed;
  self->chain = g_ptr_array_new_with_free_func (g_free);
  self->page = g_ptr_array_new_with_free_func (entry_free);
  if (!imap_parse_space (arguments, &error) || !imap_parse_astring (arguments, &reference, &error)
      || !imap_parse_space (arguments, &error) || !imap_parse_list_mailbox (arguments, &pattern, &error)
      || !imap_parse_end (arguments, &error))
    {
      imap_session_fail (session, error);
      return;
    }
  if (pattern[0] == '\0')
    {
      answer_root (session, self);
      return;
    }
  if (!rook_mail_is_available (rook_server_get_mail (session->server), &error))
    {
      imap_session_fail (session, error);
      return;
    }
  joined = g_strconcat (reference, pattern, NULL);
  self->pattern = imap_pattern_new (joined, rook_namespace_get_separator (session->ns));
  imap_session_set_call_data (session, g_steal_pointer (&self), list_free);
  run (session);
}

void
imap_cmd_list (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  start (session, arguments, FALSE);
}

void
imap_cmd_lsub (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  start (session, arguments, TRUE);
}
