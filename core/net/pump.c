/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Moving bytes: from the filters through the reader to the handler, and from the output queue into the filters.
 *
 * All connections of a worker read into one buffer of its; what a connection keeps is only what was not a whole line
 * yet, or came while it was paused.
 */
#include "net/connection.h"

#include "net/filter-tls.h"

#define ITEMS_A_RUN 256
#define BYTES_A_RUN (256 * 1024)
#define PIECES_A_WRITE 16

/* --- input -------------------------------------------------------------------------------------------------------------- */

gboolean
rook_connection_wants_input (RookConnection *self)
{
  return self->phase == ROOK_PHASE_OPEN && self->error == NULL && !self->paused && !self->held && !self->tls_wanted
         && self->delay_due == 0 && !self->eof;
}

/* Who asks and does not read the answers is not heard until they are out. Whoever called out knows what they asked, and
 * must hear it even if the peer does the same. */
static void
hold_flood (RookConnection *self)
{
  if (self->protocol != NULL && self->output.pending >= self->home->settings->output_buffer)
    self->held = TRUE;
}

static void
limit_rate (RookConnection *self)
{
  guint per_second = self->home->settings->commands_per_second;
  gint64 now = rook_connection_now (self);
  guint wait = per_second > 0 && self->protocol != NULL ? rook_bucket_take (&self->bucket, per_second, now) : 0;

  if (wait == 0)
    return;
  self->delay_due = now + wait;
  rook_counter_add (self->net->metrics.delayed, 1);
}

static void
give (RookConnection *self, const RookInputItem *item)
{
  if (item->is_line)
    {
      limit_rate (self);
      self->handler->line (self, self->session, (char *) item->data, item->length, item->flags);
    }
  else if (self->handler->data != NULL)
    self->handler->data (self, self->session, item->data, item->length, item->last);
}

static void
peer_end (RookConnection *self)
{
  self->eof = TRUE;
  self->phase = ROOK_PHASE_CLOSING;
  self->reason = g_error_new_literal (ROOK_NET_ERROR, ROOK_NET_ERROR_CLOSED, "the peer closed the connection");
}

static void
count_before_login (RookConnection *self, gsize length)
{
  if (self->protocol == NULL || self->protocol->protocol->no_login || self->identity != NULL)
    return;
  self->before_login += length;
  if (self->before_login > self->home->settings->bytes_before_login)
    rook_deadline_expire (self, ROOK_DEADLINE_BYTES, ROOK_NET_ERROR_LIMIT, "too much was sent before login");
}

/* Returns: whether bytes have come. */
static gboolean
read_more (RookConnection *self, gsize *total)
{
  gsize size = self->input.mode == ROOK_INPUT_LINE ? ROOK_READ_LINES : ROOK_READ_DATA;
  GError *error = NULL;
  gsize length = 0;

  if (self->home->buffer == NULL)
    self->home->buffer = g_malloc (ROOK_READ_DATA);
  switch (rook_filter_read (self->read_top, self->home->buffer, size, &length, &error))
    {
    case ROOK_FILTER_OK:
      *total += length;
      rook_deadline_touch (self);
      rook_input_attach (&self->input, self->home->buffer, length);
      count_before_login (self, length);
      return TRUE;
    case ROOK_FILTER_AGAIN:
      return FALSE;
    case ROOK_FILTER_EOF:
      peer_end (self);
      return FALSE;
    default:
      rook_connection_fail (self, error);
      return FALSE;
    }
}

void
rook_connection_pump_input (RookConnection *self)
{
  gsize total = 0;
  guint items = 0;

  hold_flood (self); /* what was written since */
  while (rook_connection_wants_input (self))
    {
      RookInputItem item;

      if (items == ITEMS_A_RUN || total >= BYTES_A_RUN)
        {
          self->more = TRUE;
          break;
        }
      if (rook_input_next (&self->input, &item))
        {
          items++;
          give (self, &item);
          hold_flood (self);
        }
      else if (!read_more (self, &total))
        break;
    }
  rook_input_detach (&self->input);
}

/* --- output ------------------------------------------------------------------------------------------------------------- */

/* From here on the output goes through another filter. Returns: whether there is more to send now. */
static gboolean
pass_mark (RookConnection *self, RookFilter *filter)
{
  if (filter != self->tls_pending)
    {
      self->write_top = filter;
      return TRUE;
    }
  self->tls_pending = NULL;
  if (self->phase == ROOK_PHASE_OPEN)
    rook_connection_begin_tls (self, filter);
  else
    filter->class->free (filter); /* closed before the handshake could begin */
  return FALSE;
}

static void
progress (RookConnection *self, gsize length)
{
  rook_output_consume (&self->output, length);
  rook_deadline_touch (self);
  self->write_due = 0;
}

void
rook_connection_pump_output (RookConnection *self)
{
  struct iovec pieces[PIECES_A_WRITE];
  RookFilterResult result = ROOK_FILTER_OK;
  GError *error = NULL;
  gsize length;
  int n;

  if (self->phase != ROOK_PHASE_OPEN && self->phase != ROOK_PHASE_CLOSING)
    return;
  while (result == ROOK_FILTER_OK && (n = rook_output_peek (&self->output, pieces, PIECES_A_WRITE)) >= 0)
    {
      RookFilter *mark;

      if (n > 0)
        {
          result = rook_filter_write (self->write_top, pieces, n, &length, &error);
          if (result == ROOK_FILTER_OK)
            progress (self, length);
          continue;
        }
      result = rook_filter_flush (self->write_top, &error);
      if (result != ROOK_FILTER_OK || (mark = rook_output_take_mark (&self->output)) == NULL || !pass_mark (self, mark))
        break;
    }
  if (result == ROOK_FILTER_ERROR)
    rook_connection_fail (self, error);
  self->flushed = result == ROOK_FILTER_OK;
  if (!self->socket.blocked)
    self->write_due = 0;
  else if (self->write_due == 0)
    self->write_due = rook_connection_now (self) + self->home->settings->write_ms;
}

gboolean
rook_connection_is_flushed (RookConnection *self)
{
  return self->output.head == NULL && self->flushed;
}
