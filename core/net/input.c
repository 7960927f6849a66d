/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The reader: see input.h. Each byte is looked at once, however it arrives, and dots are unstuffed in place.
 */
#include "net/input.h"

#include <string.h>

/* Where we are in dot-terminated text. Only CRLF begins a line. */
enum { DOT_LINE_START, DOT_AFTER_DOT, DOT_AFTER_DOT_CR, DOT_TEXT, DOT_AFTER_CR };

void
rook_input_init (RookInput *input, gsize line_limit)
{
  memset (input, 0, sizeof *input);
  input->limit = line_limit;
}

static void
free_partial (RookInput *input)
{
  g_clear_pointer (&input->partial, g_free);
  input->partial_length = input->partial_size = 0;
  input->partial_total = 0;
  input->release = FALSE;
}

void
rook_input_clear (RookInput *input)
{
  free_partial (input);
  g_clear_pointer (&input->rest, g_free);
  input->cur = input->end = NULL;
  input->rest_length = 0;
}

void
rook_input_set_mode (RookInput *input, RookInputMode mode, guint64 length)
{
  input->mode = mode;
  input->left = length;
  input->dot_state = DOT_LINE_START;
}

void
rook_input_attach (RookInput *input, guint8 *data, gsize length)
{
  g_assert (input->cur == input->end);
  input->cur = data;
  input->end = data + length;
}

void
rook_input_detach (RookInput *input)
{
  gsize left = input->end - input->cur;
  guint8 *old = input->rest;

  if (input->release)
    free_partial (input);
  if (left > 0 && old != NULL && input->end == old + input->rest_length)
    return; /* the window is the rest itself */
  input->rest = left > 0 ? g_memdup2 (input->cur, left) : NULL;
  input->rest_length = left;
  input->cur = input->rest;
  input->end = left > 0 ? input->rest + left : NULL;
  g_free (old);
}

GBytes *
rook_input_steal_rest (RookInput *input)
{
  GBytes *bytes = g_bytes_new (input->cur, input->end - input->cur);

  input->cur = input->end;
  return bytes;
}

void
rook_input_discard (RookInput *input)
{
  input->cur = input->end;
  if (!input->release)
    free_partial (input);
}

gsize
rook_input_get_held (const RookInput *input)
{
  return input->partial_size + (input->rest != NULL ? input->rest_length : 0);
}

/* --- lines --------------------------------------------------------------------------------------------------------- */

static RookLineFlags
classify (const guint8 *line, gsize length)
{
  RookLineFlags flags = ROOK_LINE_OK;
  guint8 high = 0;

  for (gsize i = 0; i < length; i++)
    high |= line[i];
  if (high & 0x80)
    flags |= ROOK_LINE_EIGHT_BIT;
  if (memchr (line, '\0', length) != NULL)
    flags |= ROOK_LINE_NUL;
  if (memchr (line, '\r', length) != NULL)
    flags |= ROOK_LINE_BARE_CR;
  return flags;
}

/* @total: bytes before the LF; @stored: how many of them are at @line. The byte after the last one may be written to. */
static void
give_line (RookInput *input, guint8 *line, guint64 total, gsize stored, gboolean crlf, RookInputItem *item)
{
  guint64 content = crlf ? total - 1 : total;

  item->is_line = TRUE;
  item->last = TRUE;
  item->data = line;
  item->length = MIN (content, MIN (input->limit, stored));
  item->flags = classify (line, item->length) | (crlf ? 0 : ROOK_LINE_BARE_LF)
                | (item->length < content ? ROOK_LINE_TOO_LONG : 0);
  line[item->length] = '\0';
}

static void
append_partial (RookInput *input, const guint8 *data, gsize length)
{
  gsize room = input->limit + 1 > input->partial_length ? input->limit + 1 - input->partial_length : 0;
  gsize take = MIN (length, room);
  gsize need = input->partial_length + take + 1;

  if (length == 0)
    return;
  input->partial_total += length;
  input->partial_prev = data[length - 1];
  if (need > input->partial_size)
    {
      input->partial_size = input->partial == NULL ? need : MIN (MAX (need, 2 * input->partial_size), input->limit + 2);
      input->partial_size = MAX (input->partial_size, need);
      input->partial = g_realloc (input->partial, input->partial_size);
    }
  memcpy (input->partial + input->partial_length, data, take);
  input->partial_length += take;
}

static gboolean
next_line (RookInput *input, RookInputItem *item)
{
  guint8 *start = input->cur;
  gsize have = input->end - start;
  guint8 *lf = have > 0 ? memchr (start, '\n', have) : NULL;

  if (lf == NULL)
    {
      append_partial (input, start, have);
      input->cur = input->end;
      return FALSE;
    }
  input->cur = lf + 1;
  if (input->partial == NULL)
    {
      give_line (input, start, lf - start, lf - start, lf > start && lf[-1] == '\r', item);
      return TRUE;
    }
  append_partial (input, start, lf - start);
  give_line (input, input->partial, input->partial_total, input->partial_length, input->partial_prev == '\r', item);
  input->release = TRUE;
  return TRUE;
}

/* --- data ---------------------------------------------------------------------------------------------------------- */

static void
give_data (RookInputItem *item, const guint8 *data, gsize length, gboolean last)
{
  item->is_line = FALSE;
  item->data = (guint8 *) data;
  item->length = length;
  item->last = last;
  item->flags = ROOK_LINE_OK;
}

static gboolean
next_literal (RookInput *input, RookInputItem *item)
{
  gsize take = MIN ((guint64) (input->end - input->cur), input->left);

  if (take == 0 && input->left > 0)
    return FALSE;
  input->left -= take;
  give_data (item, take > 0 ? input->cur : (const guint8 *) "", take, input->left == 0);
  input->cur += take;
  if (item->last)
    input->mode = ROOK_INPUT_LINE;
  return TRUE;
}

static gboolean
next_raw (RookInput *input, RookInputItem *item)
{
  if (input->cur == input->end)
    return FALSE;
  give_data (item, input->cur, input->end - input->cur, FALSE);
  input->cur = input->end;
  return TRUE;
}

/* Moves a run of text down over the dots that were taken out, up to and with the next CR. */
static void
dot_text (RookInput *input, guint8 **write)
{
  gsize have = input->end - input->cur;
  guint8 *cr = memchr (input->cur, '\r', have);
  gsize take = cr != NULL ? (gsize) (cr - input->cur) + 1 : have;

  if (*write != input->cur)
    memmove (*write, input->cur, take);
  *write += take;
  input->cur += take;
  if (cr != NULL)
    input->dot_state = DOT_AFTER_CR;
}

/* One byte in a state other than text. Returns: %TRUE if it ended the text. */
static gboolean
dot_step (RookInput *input, guint8 **write)
{
  guint8 byte = *input->cur;

  switch (input->dot_state)
    {
    case DOT_LINE_START:
      input->dot_state = byte == '.' ? DOT_AFTER_DOT : DOT_TEXT;
      input->cur += byte == '.';
      return FALSE;
    case DOT_AFTER_DOT:
      input->dot_state = byte == '\r' ? DOT_AFTER_DOT_CR : DOT_TEXT;
      input->cur += byte == '\r';
      return FALSE;
    case DOT_AFTER_DOT_CR:
      if (byte == '\n')
        {
          input->cur++;
          return TRUE;
        }
      *(*write)++ = '\r'; /* the dot before it left room */
      input->dot_state = DOT_AFTER_CR;
      return FALSE;
    default:
      g_assert (input->dot_state == DOT_AFTER_CR);
      if (byte == '\n')
        {
          *(*write)++ = *input->cur++;
          input->dot_state = DOT_LINE_START;
        }
      else
        input->dot_state = DOT_TEXT;
      return FALSE;
    }
}

static gboolean
next_dot (RookInput *input, RookInputItem *item)
{
  guint8 *start = input->cur;
  guint8 *write = start;
  gboolean last = FALSE;

  if (input->dot_state == DOT_AFTER_DOT_CR && start < input->end && *start != '\n')
    {
      input->dot_state = DOT_AFTER_CR; /* the CR was in an earlier window: here is no room for it */
      give_data (item, (const guint8 *) "\r", 1, FALSE);
      return TRUE;
    }
  while (input->cur < input->end && !last)
    if (input->dot_state == DOT_TEXT)
      dot_text (input, &write);
    else
      last = dot_step (input, &write);
  if (write == start && !last)
    return FALSE;
  if (last)
    input->mode = ROOK_INPUT_LINE;
  give_data (item, start, write - start, last);
  return TRUE;
}

gboolean
rook_input_next (RookInput *input, RookInputItem *out_item)
{
  if (input->release)
    free_partial (input);
  switch (input->mode)
    {
    case ROOK_INPUT_LINE:
      return next_line (input, out_item);
    case ROOK_INPUT_LITERAL:
      return next_literal (input, out_item);
    case ROOK_INPUT_DOT:
      return next_dot (input, out_item);
    case ROOK_INPUT_RAW:
      return next_raw (input, out_item);
    default:
      g_assert_not_reached ();
    }
}
