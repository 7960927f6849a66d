/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * IMAP input: any bytes as lines and literals, then as the arguments of the commands with a grammar of their own.
 */
#include <string.h>

#include "imap/fetch-items.h"
#include "imap/input.h"
#include "imap/pattern.h"
#include "imap/search.h"
#include "imap/sequence.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static const ImapLimits limits = {
  .line = 10000,
  .literal = 1000,
  .command = 4000,
  .message = 5000,
  .arguments = 500,
  .nesting = 20,
};

static void
read_fetch (ImapParser *parser)
{
  g_autoptr (GArray) set = NULL, ranges = NULL;
  g_auto (ImapFetchItems) items = { 0 };

  if (!imap_parse_sequence_set (parser, &set, NULL))
    return;
  ranges = imap_sequence_normalise (set, 1000);
  for (guint i = 0; i < ranges->len; i++)
    {
      const ImapRange *range = &g_array_index (ranges, ImapRange, i);

      g_assert (range->first >= 1 && range->first <= range->last && range->last <= 1000);
      g_assert (imap_sequence_contains (ranges, range->first));
    }
  if (imap_parse_space (parser, NULL) && imap_parse_fetch_items (parser, &items, NULL))
    g_assert (items.items->len > 0);
}

static void
read_search (ImapParser *parser)
{
  g_autoptr (ImapSearch) search G_GNUC_UNUSED = imap_search_parse (parser, NULL);
}

static void
read_append (ImapParser *parser)
{
  g_auto (ImapFlags) flags = { 0 };
  g_autofree char *name = NULL;
  g_autoptr (GBytes) message = NULL;
  gint64 time;
  gint16 zone;

  if (imap_parse_astring (parser, &name, NULL) && imap_parse_space (parser, NULL)
      && imap_parse_flags (parser, &flags, NULL) && imap_parse_space (parser, NULL)
      && imap_parse_date_time (parser, &time, &zone, NULL) && imap_parse_space (parser, NULL)
      && imap_parse_literal (parser, &message, NULL))
    imap_parse_end (parser, NULL);
}

static void
read_list (ImapParser *parser)
{
  g_autofree char *reference = NULL, *text = NULL;
  g_autoptr (ImapPattern) pattern = NULL;

  if (!imap_parse_astring (parser, &reference, NULL) || !imap_parse_space (parser, NULL)
      || !imap_parse_list_mailbox (parser, &text, NULL))
    return;
  pattern = imap_pattern_new (text, '/');
  imap_pattern_matches (pattern, reference);
  imap_pattern_matches (pattern, "INBOX/a/b");
}

static void
read_header (ImapParser *parser)
{
  g_autofree char *value = NULL;
  gint32 day;

  if (!imap_parse_astring (parser, &value, NULL))
    return;
  imap_search_in_header (value, "needle");
  imap_search_date_day (value, &day);
}

static void
read_command (ImapInput *input)
{
  static void (*const readers[]) (ImapParser *) = { read_fetch, read_search, read_append, read_list, read_header };

  if (input->error != NULL)
    return;
  for (guint i = 0; i < G_N_ELEMENTS (readers); i++)
    {
      ImapParser parser;

      imap_parser_init (&parser, &limits, input->parts);
      readers[i](&parser);
      g_assert (parser.pos <= parser.end);
    }
}

/* One line, and the literal it announces. Returns: what was used; 0: no more. */
static gsize
feed (ImapInput *input, const guint8 *data, gsize size)
{
  const guint8 *end = memmem (data, size, "\r\n", 2);
  gsize length = end != NULL ? (gsize) (end - data) : size;
  gsize used = end != NULL ? length + 2 : size;

  switch (imap_input_line (input, &limits, (const char *) data, length, size % 2 == 0))
    {
    case IMAP_INPUT_LITERAL:
    case IMAP_INPUT_LITERAL_SYNC:
      if (input->expected > size - used)
        return 0;
      length = input->expected;
      imap_input_data (input, data + used, length);
      return used + length;
    case IMAP_INPUT_COMPLETE:
      read_command (input);
      imap_input_reset (input);
      return used;
    default:
      return 0;
    }
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  ImapInput input;
  gsize used;

  imap_input_init (&input);
  while (size > 0 && (used = feed (&input, data, size)) > 0)
    {
      data += used;
      size -= used;
    }
  imap_input_clear (&input);
  return 0;
}
