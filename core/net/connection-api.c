/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a handler may ask of its connection: rookery/net.h's functions on input, output, filters and the end. None of them
 * calls the handler, or reads or writes at once, but for a flush: they note what is to be done and have the connection
 * run.
 */
#include <stdarg.h>
#include <string.h>

#include "net/connection.h"
#include "net/filter-tls.h"
#include "net/sasl-layer.h"

/* --- input -------------------------------------------------------------------------------------------------------------- */

void
rook_connection_read_literal (RookConnection *self, guint64 length)
{
  rook_input_set_mode (&self->input, ROOK_INPUT_LITERAL, length);
  rook_connection_schedule (self);
}

void
rook_connection_read_dot (RookConnection *self)
{
  rook_input_set_mode (&self->input, ROOK_INPUT_DOT, 0);
  rook_connection_schedule (self);
}

void
rook_connection_read_raw (RookConnection *self)
{
  rook_input_set_mode (&self->input, ROOK_INPUT_RAW, 0);
  rook_connection_schedule (self);
}

void
rook_connection_pause (RookConnection *self)
{
  self->paused = TRUE;
}

void
rook_connection_resume (RookConnection *self)
{
  if (!self->paused)
    return;
  self->paused = FALSE;
  rook_deadline_touch (self);
  rook_connection_schedule (self);
}

gboolean
rook_connection_is_paused (RookConnection *self)
{
  return self->paused;
}

void
rook_connection_set_line_limit (RookConnection *self, gsize bytes)
{
  self->input.limit = bytes;
}

void
rook_connection_set_idle_timeout (RookConnection *self, guint ms)
{
  self->idle_ms = ms;
  if (!self->running)
    rook_connection_schedule (self);
}

/* --- output ------------------------------------------------------------------------------------------------------------- */

static gboolean
takes_output (RookConnection *self)
{
  if (self->phase > ROOK_PHASE_CLOSING || self->error != NULL)
    return FALSE;
  self->flushed = FALSE;
  rook_connection_schedule (self);
  return TRUE;
}

void
rook_connection_write (RookConnection *self, gconstpointer data, gsize length)
{
  if (length > 0 && takes_output (self))
    rook_output_write (&self->output, data, length);
}

void
rook_connection_puts (RookConnection *self, const char *text)
{
  rook_connection_write (self, text, strlen (text));
}

void
rook_connection_printf (RookConnection *self, const char *format, ...)
{
  va_list args;

  if (!takes_output (self))
    return;
  va_start (args, format);
  rook_output_vprintf (&self->output, format, args);
  va_end (args);
}

void
rook_connection_write_bytes (RookConnection *self, GBytes *bytes)
{
  if (takes_output (self))
    rook_output_write_bytes (&self->output, bytes);
}

void
rook_connection_flush (RookConnection *self)
{
  if (self->error == NULL)
    rook_connection_pump_output (self);
  if (!self->running && (!self->flushed || self->output.head != NULL))
    rook_connection_schedule (self); /* for the watch and the write deadline */
}

gboolean
rook_connection_is_full (RookConnection *self)
{
  if (self->output.pending < self->home->settings->output_buffer)
    return FALSE;
  self->want_drained = TRUE;
  return TRUE;
}

gsize
rook_connection_get_pending (RookConnection *self)
{
  return self->output.pending;
}

/* --- filters ------------------------------------------------------------------------------------------------------------ */

static RookFilter *
make_tls (RookConnection *self, GError **error)
{
  if (self->protocol == NULL)
    return rook_connect_new_tls (self, error);
  if (self->listener->tls == ROOK_TLS_STARTTLS)
    return rook_tls_filter_new_server (&self->socket.filter, self->listener->store, self->listener->tls_group, NULL,
                                       error);
  g_set_error_literal (error, ROOK_NET_ERROR, ROOK_NET_ERROR_TLS, "STARTTLS is not configured here");
  return NULL;
}

gboolean
rook_connection_start_tls (RookConnection *self, GError **error)
{
  RookFilter *filter;

  if (self->filters != NULL || self->tls_wanted || self->phase != ROOK_PHASE_OPEN)
    {
      g_set_error_literal (error, ROOK_NET_ERROR, ROOK_NET_ERROR_TLS, "TLS can't be started now");
      return FALSE;
    }
  filter = make_tls (self, error);
  if (filter == NULL)
    return FALSE;
  rook_input_discard (&self->input);
  self->tls_wanted = TRUE;
  self->tls_pending = filter;
  rook_output_mark (&self->output, filter);
  rook_connection_schedule (self);
  return TRUE;
}

/* Input goes through @filter from here on, output once what was written before is out. */
static void
push_filter (RookConnection *self, RookFilter *filter)
{
  self->filters = g_slist_prepend (self->filters, filter);
  self->read_top = filter;
  rook_output_mark (&self->output, filter);
  rook_connection_schedule (self);
}

/* What the next filter's bytes go into: the last one that output will have gone through by then. */
static RookFilter *
top (RookConnection *self)
{
  return self->filters != NULL ? self->filters->data : &self->socket.filter;
}

gboolean
rook_connection_start_deflate (RookConnection *self, GError **error)
{
  if (self->deflate || self->tls_wanted || self->phase != ROOK_PHASE_OPEN)
    {
      g_set_error_literal (error, ROOK_NET_ERROR, ROOK_NET_ERROR_FILTER, "compression can't be started now");
      return FALSE;
    }
  self->deflate = TRUE;
  push_filter (self, rook_deflate_filter_new (top (self), rook_input_steal_rest (&self->input)));
  return TRUE;
}

gboolean
rook_connection_has_deflate (RookConnection *self)
{
  return self->deflate;
}

void
rook_connection_start_sasl_layer (RookConnection *self, RookAuthExchange *exchange)
{
  RookSaslLayer layer = { 0 };

  if (self->phase != ROOK_PHASE_OPEN || !rook_sasl_layer_take (exchange, &layer))
    return;
  push_filter (self, rook_sasl_filter_new (top (self), &layer, rook_input_steal_rest (&self->input)));
}

/* --- the end -------------------------------------------------------------------------------------------------------------- */

const char *
rook_connection_get_farewell (RookConnection *self)
{
  return self->farewell;
}

void
rook_connection_close (RookConnection *self)
{
  if (self->phase >= ROOK_PHASE_CLOSING)
    return;
  if (self->phase < ROOK_PHASE_OPEN)
    {
      rook_connection_fail_with (self, ROOK_NET_ERROR_SHUTDOWN, "closed before it was up");
      return;
    }
  self->phase = ROOK_PHASE_CLOSING;
  rook_connection_schedule (self);
}

void
rook_connection_abort (RookConnection *self, GError *reason)
{
  if (reason == NULL)
    reason = g_error_new_literal (ROOK_NET_ERROR, ROOK_NET_ERROR_CLOSED, "aborted");
  rook_connection_fail (self, reason);
}
