/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * FETCH (RFC 3501 6.4.5). Messages are produced one after the other, bodies in pieces, and only as fast as the client takes
 * them: what is held in memory does not depend on how much is asked for. \Seen is set for all of them at the end, in one
 * batch, before the tagged answer.
 */
#include <string.h>

#include "imap/commands.h"
#include "imap/fetch-items.h"
#include "imap/fetch-section.h"
#include "imap/write.h"

#define LOAD_SPAN 2000 /* records loaded at a time */
#define PIECE 131072   /* bytes of a body read at a time */

typedef struct {
  ImapFetchItems items; /* (owned) */
  gboolean needs_mime;
  GArray *ranges; /* (owned) (element-type ImapRange) what is left of them begins with seq */
  guint range;
  guint32 seq;     /* of the message being written */
  guint32 loaded;  /* records up to this one are in memory */
  GArray *seen;    /* (owned) (element-type guint32) uids whose \Seen is to be set */
  gboolean failed; /* a message was not to be had */
  GError *error;   /* (owned) (nullable) why, if not because it is gone: the first */
  /* The message being written: */
  gboolean inside;
  RookMessage message;
  RookMime *mime;       /* (owned) (nullable) */
  guint item;           /* the next one */
  guint64 offset, left; /* of a section that is being sent */
  GString *out;         /* (owned) not sent yet */
} Fetch;

/* What a step came to. */
typedef enum { STEP_ON, STEP_WAIT, STEP_END } Step;

static void run (ImapSession *session);

static void
fetch_free (gpointer data)
{
  Fetch *self = data;

  imap_fetch_items_clear (&self->items);
  g_clear_pointer (&self->ranges, g_array_unref);
  g_clear_pointer (&self->seen, g_array_unref);
  g_clear_pointer (&self->mime, rook_mime_unref);
  g_clear_error (&self->error);
  g_string_free (self->out, TRUE);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Fetch, fetch_free)

static void
note_failure (Fetch *self, const GError *error)
{
  self->failed = TRUE;
  if (error != NULL && self->error == NULL && !g_error_matches (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_EXPUNGED))
    self->error = g_error_copy (error);
}

static void
flush (ImapSession *session, Fetch *self)
{
  rook_connection_write (session->connection, self->out->str, self->out->len);
  g_string_truncate (self->out, 0);
}

/* --- sections ------------------------------------------------------------------------------------------------------- */

/* The whole literal must come, as it was announced: a client that was promised more than there is can't go on. */
static void
on_piece (GBytes *bytes, const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  Fetch *self = session->call.data;
  gsize length = error == NULL ? g_bytes_get_size (bytes) : 0;

  if (imap_session_is_gone (session))
    return;
  if (length == 0 || length > self->left)
    {
      imap_session_bye (session, "UNAVAILABLE", "The message can't be read");
      return;
    }
  rook_connection_write_bytes (session->connection, bytes);
  self->offset += length;
  self->left -= length;
  run (session);
}

/* The first piece: until it is there nothing has been promised. */
static void
on_first_piece (GBytes *bytes, const GError *error, gpointer data)
{
  Fetch *self = ((ImapSession *) data)->call.data;

  if (imap_session_is_gone (data))
    {
      imap_session_unref (data);
      return;
    }
  if (error != NULL || g_bytes_get_size (bytes) == 0)
    {
      g_string_append (self->out, "NIL");
      note_failure (self, error);
      self->left = 0;
      run (data);
      imap_session_unref (data);
      return;
    }
  g_string_append_printf (self->out, "{%" G_GUINT64_FORMAT "}\r\n", self->left);
  flush (data, self);
  on_piece (bytes, NULL, data);
}

static void
on_header (GBytes *bytes, const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  Fetch *self = session->call.data;
  const ImapFetchItem *item;

  if (imap_session_is_gone (session))
    return;
  item = &g_array_index (self->items.items, ImapFetchItem, self->item - 1);
  if (error != NULL)
    {
      g_string_append (self->out, "NIL");
      note_failure (self, error);
    }
  else
    imap_section_write_fields (self->out, item, bytes);
  run (session);
}

static Step
begin_section (ImapSession *session, Fetch *self, const ImapFetchItem *item)
{
  guint64 offset, length;

  if (!imap_section_find (item, self->mime, self->message.size, &offset, &length))
    g_string_append (self->out, "NIL");
  else if (item->fields != NULL)
    {
      rook_view_read (session->view, self->seq, offset, length, on_header, imap_session_ref (session));
      return STEP_WAIT;
    }
  else
    {
      imap_section_cut (item, &offset, &length);
      if (length > 0)
        {
          self->offset = offset;
          self->left = length;
          rook_view_read (session->view, self->seq, offset, MIN (length, PIECE), on_first_piece,
                          imap_session_ref (session));
          return STEP_WAIT;
        }
      g_string_append (self->out, "\"\"");
    }
  return STEP_ON;
}

static Step
go_on_with_section (ImapSession *session, Fetch *self)
{
  rook_view_read (session->view, self->seq, self->offset, MIN (self->left, PIECE), on_piece,
                  imap_session_ref (session));
  return STEP_WAIT;
}

/* --- items ---------------------------------------------------------------------------------------------------------- */

static Step
write_item (ImapSession *session, Fetch *self, const ImapFetchItem *item)
{
  GString *out = self->out;

  switch (item->kind)
    {
    case IMAP_FETCH_FLAGS:
      g_string_append (out, "FLAGS ");
      imap_write_flags (out, rook_view_get_mailbox (session->view), &self->message);
      break;
    case IMAP_FETCH_UID:
      g_string_append_printf (out, "UID %u", self->message.uid);
      break;
    case IMAP_FETCH_INTERNALDATE:
      g_string_append (out, "INTERNALDATE ");
      imap_write_date_time (out, self->message.internal_date, self->message.zone_minutes);
      break;
    case IMAP_FETCH_SIZE:
      g_string_append_printf (out, "RFC822.SIZE %" G_GUINT64_FORMAT, self->message.size);
      break;
    case IMAP_FETCH_ENVELOPE:
      g_string_append_printf (out, "ENVELOPE %s", rook_mime_get_envelope (self->mime));
      break;
    case IMAP_FETCH_BODY:
      g_string_append_printf (out, "BODY %s", rook_mime_get_body (self->mime));
      break;
    case IMAP_FETCH_BODYSTRUCTURE:
      g_string_append_printf (out, "BODYSTRUCTURE %s", rook_mime_get_bodystructure (self->mime));
      break;
    case IMAP_FETCH_SECTION:
      g_string_append_printf (out, "%s ", item->label);
      return begin_section (session, self, item);
    }
  return STEP_ON;
}

static void
end_message (ImapSession *session, Fetch *self)
{
  g_string_append (self->out, ")\r\n");
  flush (session, self);
  if (self->items.sets_seen && (self->message.flags & ROOK_FLAG_SEEN) == 0)
    g_array_append_val (self->seen, self->message.uid);
  g_clear_pointer (&self->mime, rook_mime_unref);
  self->inside = FALSE;
  self->seq++;
}

static Step
step_inside (ImapSession *session, Fetch *self)
{
  if (self->left > 0)
    return go_on_with_section (session, self);
  if (self->item == self->items.items->len)
    {
      end_message (session, self);
      return STEP_ON;
    }
  if (self->item > 0)
    g_string_append_c (self->out, ' ');
  return write_item (session, self, &g_array_index (self->items.items, ImapFetchItem, self->item++));
}

/* --- messages ------------------------------------------------------------------------------------------------------- */

static void
begin_message (Fetch *self)
{
  self->inside = TRUE;
  self->item = 0;
  g_string_append_printf (self->out, "* %u FETCH (", self->seq);
}

static void
on_mime (RookMime *mime, const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  Fetch *self = session->call.data;

  if (imap_session_is_gone (session))
    return;
  if (error != NULL)
    {
      note_failure (self, error);
      self->seq++;
    }
  else
    {
      self->mime = rook_mime_ref (mime);
      begin_message (self);
    }
  run (session);
}

/* Where some of it is damaged the rest is there. */
static void
on_loaded (const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;

  if (imap_session_is_gone (session))
    return;
  if (error != NULL && !g_error_matches (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_CORRUPT))
    {
      imap_session_fail (session, error);
      return;
    }
  if (error != NULL)
    note_failure (session->call.data, error);
  run (session);
}

static Step
step_outside (ImapSession *session, Fetch *self)
{
  const ImapRange *range;

  if (self->range == self->ranges->len)
    return STEP_END;
  range = &g_array_index (self->ranges, ImapRange, self->range);
  self->seq = MAX (self->seq, range->first);
  if (self->seq > range->last)
    {
      self->range++;
      return STEP_ON;
    }
  if (self->seq > self->loaded)
    {
      self->loaded = MIN (range->last, self->seq + LOAD_SPAN - 1);
      rook_view_load (session->view, self->seq, self->loaded, on_loaded, imap_session_ref (session));
      return STEP_WAIT;
    }
  if (!rook_view_get_message (session->view, self->seq, &self->message))
    {
      self->failed = TRUE;
      self->seq++;
      return STEP_ON;
    }
  if (self->needs_mime)
    {
      rook_view_get_mime (session->view, self->seq, on_mime, imap_session_ref (session));
      return STEP_WAIT;
    }
  begin_message (self);
  return STEP_ON;
}

/* --- the whole ------------------------------------------------------------------------------------------------------ */

static void
answer (ImapSession *session)
{
  const Fetch *self = session->call.data;

  if (self->error != NULL)
    imap_session_fail (session, self->error);
  else if (self->failed)
    imap_session_no (session, "EXPUNGEISSUED", "Some messages are gone");
  else
    imap_session_ok (session, NULL, "Completed");
}

/* The bodies are out; that \Seen can't be set is no reason to fail. */
static void
on_seen (GArray *modified G_GNUC_UNUSED, const GError *error G_GNUC_UNUSED, gpointer data)
{
  g_autoptr (RookImapSession) session = data;

  if (!imap_session_is_gone (session))
    answer (session);
}

static void
end (ImapSession *session, Fetch *self)
{
  RookStoreFlags spec = {
    .struct_size = sizeof spec, .mode = ROOK_STORE_ADD, .flags = ROOK_FLAG_SEEN, .unchanged_since = G_MAXUINT64
  };

  if (self->seen->len == 0 || rook_view_is_read_only (session->view))
    {
      answer (session);
      return;
    }
  rook_connection_flush (session->connection);
  spec.uids = (const guint32 *) self->seen->data;
  spec.n_uids = self->seen->len;
  spec.session = rook_connection_get_id (session->connection);
  rook_view_store_flags (session->view, &spec, on_seen, imap_session_ref (session));
}

static void
run (ImapSession *session)
{
  Fetch *self = session->call.data;
  Step step = STEP_ON;

  while (step == STEP_ON)
    {
      if (self->left > 0 || !self->inside)
        if (rook_connection_is_full (session->connection))
          {
            imap_session_when_drained (session, run);
            return;
          }
      step = self->inside ? step_inside (session, self) : step_outside (session, self);
    }
  if (step == STEP_END)
    end (session, self);
}

static gboolean
parse (ImapSession *session, ImapParser *arguments, Fetch *self, GError **error)
{
  if (!imap_parse_space (arguments, error) || !imap_parse_messages (session, arguments, &self->ranges, error)
      || !imap_parse_space (arguments, error) || !imap_parse_fetch_items (arguments, &self->items, error)
      || !imap_parse_end (arguments, error))
    return FALSE;
  if (session->call.uid)
    imap_fetch_items_require_uid (&self->items);
  self->needs_mime = self->items.needs_mime;
  for (guint i = 0; i < self->items.items->len; i++)
    self->needs_mime |= imap_section_needs_mime (&g_array_index (self->items.items, ImapFetchItem, i));
  return TRUE;
}

void
imap_cmd_fetch (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  g_autoptr (Fetch) self = g_new0 (Fetch, 1);
  g_autoptr (GError) error = NULL;

  self->out = g_string_new (NULL);
  self->seen = g_array_new (FALSE, FALSE, sizeof (guint32));
  if (!parse (session, arguments, self, &error))
    {
      imap_session_fail (session, error);
      return;
    }
  imap_session_set_call_data (session, g_steal_pointer (&self), fetch_free);
  run (session);
}
