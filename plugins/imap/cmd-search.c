/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SEARCH (RFC 3501 6.4.4). Goes through the mailbox in slices and reads of a message only what the program needs; hits are
 * sent as they are found. Text is looked through piece by piece on the pool, where others have their turn after each; whoever
 * has gone, or is made to go, has no next piece.
 */
#include "imap/commands.h"
#include "imap/search-scan.h"

#define SLICE 1000 /* messages judged without letting others have a turn */

typedef struct {
  ImapSearch *program; /* (owned) */
  GArray *ranges;      /* (owned) (element-type ImapRange) */
  guint range;
  guint32 seq, loaded;
  RookMessage message;  /* of seq, while more of it is read */
  RookMime *mime;       /* (owned) (nullable) */
  ImapSearchScan *scan; /* (owned) of its text */
  guint64 offset;       /* of the text that the scan has not seen */
  GBytes *piece;        /* (owned) (nullable) of the text, being looked through */
} Search;

static void run (ImapSession *session);

static void
search_free (gpointer data)
{
  Search *self = data;

  g_clear_pointer (&self->ranges, g_array_unref);
  g_clear_pointer (&self->mime, rook_mime_unref);
  g_clear_pointer (&self->scan, imap_search_scan_free);
  g_clear_pointer (&self->piece, g_bytes_unref);
  g_clear_pointer (&self->program, imap_search_free);
  g_free (self);
}

static void
next_message (Search *self)
{
  g_clear_pointer (&self->mime, rook_mime_unref);
  imap_search_scan_reset (self->scan);
  self->offset = 0;
  self->seq++;
}

static void
on_mime (RookMime *mime, const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  Search *self = session->call.data;

  if (imap_session_is_gone (session))
    return;
  if (error != NULL)
    next_message (self); /* gone meanwhile: no match */
  else
    self->mime = rook_mime_ref (mime);
  run (session);
}

/* --- text --------------------------------------------------------------------------------------------------------------- */

/* On any thread. */
static void
look_through (gpointer data)
{
  Search *self = data;
  gsize length;
  const char *text = g_bytes_get_data (self->piece, &length);

  imap_search_scan_feed (self->scan, text, length, self->offset + length >= self->message.size || length == 0);
  self->offset += length;
}

static void
fail (ImapSession *session, const GError *error)
{
  rook_connection_puts (session->connection, "\r\n");
  imap_session_fail (session, error);
}

static void
fail_busy (ImapSession *session)
{
  g_autoptr (GError) error =
      g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY, "too busy, try again later");

  fail (session, error);
}

static void
look_through_on_pool (gpointer data)
{
  ImapSession *session = data;

  look_through (session->call.data);
}

static void
on_looked_through (RookPoolOutcome outcome, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  Search *self = session->call.data;

  g_clear_pointer (&self->piece, g_bytes_unref);
  if (imap_session_is_gone (session))
    return;
  if (outcome == ROOK_POOL_RAN)
    run (session);
  else
    fail_busy (session);
}

static void
on_piece (GBytes *bytes, const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  Search *self = session->call.data;

  if (imap_session_is_gone (session))
    return;
  if (error != NULL)
    {
      next_message (self);
      run (session);
      return;
    }
  self->piece = g_bytes_ref (bytes);
  if (imap_search_scan_is_cheap (self->scan, g_bytes_get_size (bytes)))
    {
      look_through (self);
      g_clear_pointer (&self->piece, g_bytes_unref);
      run (session);
    }
  else if (rook_pool_run (rook_server_get_pool (session->server), 0, look_through_on_pool, on_looked_through, session))
    imap_session_ref (session);
  else
    fail_busy (session);
}

/* --- messages ----------------------------------------------------------------------------------------------------------- */

static void
on_loaded (const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;

  if (imap_session_is_gone (session))
    return;
  if (error != NULL)
    fail (session, error);
  else
    imap_session_when_drained (session, run);
}

/* Judges the message at hand. FALSE: it waits for more of it. */
static gboolean
judge (ImapSession *session, Search *self)
{
  ImapSearchSubject subject = { .seq = self->seq,
                                .message = &self->message,
                                .mime = self->mime,
                                .scan = self->scan,
                                .mailbox = rook_view_get_mailbox (session->view) };
  ImapSearchLevel need;

  switch (imap_search_judge (self->program, &subject, &need))
    {
    case IMAP_SEARCH_YES:
      rook_connection_printf (session->connection, " %u", session->call.uid ? self->message.uid : self->seq);
      break;
    case IMAP_SEARCH_NO:
      break;
    case IMAP_SEARCH_UNKNOWN:
      if (need == IMAP_SEARCH_MIME || self->mime == NULL)
        rook_view_get_mime (session->view, self->seq, on_mime, imap_session_ref (session));
      else
        rook_view_read (session->view, self->seq, self->offset, imap_search_scan_get_piece_size (self->scan), on_piece,
                        imap_session_ref (session));
      return FALSE;
    }
  next_message (self);
  return TRUE;
}

/* Loads the next slice. FALSE: there is none. */
static gboolean
load (ImapSession *session, Search *self)
{
  for (; self->range < self->ranges->len; self->range++)
    {
      const ImapRange *range = &g_array_index (self->ranges, ImapRange, self->range);

      self->seq = MAX (self->seq, range->first);
      if (self->seq > range->last)
        continue;
      self->loaded = MIN (range->last, self->seq + SLICE - 1);
      rook_view_load (session->view, self->seq, self->loaded, on_loaded, imap_session_ref (session));
      return TRUE;
    }
  return FALSE;
}

static void
run (ImapSession *session)
{
  Search *self = session->call.data;

  for (; self->seq <= self->loaded;)
    {
      if (!rook_view_get_message (session->view, self->seq, &self->message))
        next_message (self);
      else if (!judge (session, self))
        return;
    }
  if (load (session, self))
    return;
  rook_connection_puts (session->connection, "\r\n");
  imap_session_ok (session, NULL, "Completed");
}

void
imap_cmd_search (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  ImapRange all = { 1, rook_view_get_count (session->view) };
  g_autoptr (GError) error = NULL;
  Search *self = g_new0 (Search, 1);
  const GArray *ranges;

  imap_session_set_call_data (session, self, search_free);
  if (!imap_parse_space (arguments, &error) || (self->program = imap_search_parse (arguments, &error)) == NULL
      || !imap_search_bind (self->program, session->view, &error))
    {
      imap_session_fail (session, error);
      return;
    }
  self->scan = imap_search_scan_new (self->program);
  ranges = imap_search_get_ranges (self->program);
  self->ranges = g_array_new (FALSE, FALSE, sizeof (ImapRange));
  if (ranges != NULL)
    g_array_append_vals (self->ranges, ranges->data, ranges->len);
  else if (all.last > 0)
    g_array_append_val (self->ranges, all);
  self->seq = 1;
  rook_connection_puts (session->connection, "* SEARCH");
  run (session);
}
