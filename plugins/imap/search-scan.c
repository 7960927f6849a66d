/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The header is compared field by field, unfolded and decoded; the body as it is stored, line ends included, so a needle may
 * stretch over lines and over pieces.
 */
#include "imap/search-scan.h"

#include <string.h>

#include "rookery/mime-text.h"

#define PIECE_MAX (256 * 1024)
#define PIECE_MIN (16 * 1024)
#define WORK (16 * 1024 * 1024) /* bytes times keys of a piece: some milliseconds */
#define CHEAP (64 * 1024)       /* the same, of what is done at once */
#define FIELD_MAX (1024 * 1024) /* of a field no more than its beginning is compared */
#define LONG_LINE (64 * 1024)   /* a longer line is brought to form in parts */

typedef enum { IN_HEADER, IN_LONG_FIELD, IN_BODY } Place;

struct ImapSearchScan {
  GPtrArray *nodes; /* (element-type ImapSearchNode) (unowned) the keys that need text, at their own index */
  gboolean *found;  /* of each */
  gsize overlap;    /* bytes of folded text that a needle may have in common with what comes next */
  RookCharsets *charsets;
  Place place;
  gboolean ended;  /* all has been fed */
  GString *raw;    /* what is no whole field, or line, yet */
  GString *folded; /* the body, brought to form: the overlap, and what is being looked through */
};

/* --- life ----------------------------------------------------------------------------------------------------------- */

static void
gather (ImapSearchScan *self, ImapSearchNode *node)
{
  gboolean header = node->kind == IMAP_KEY_HEADER && !rook_mime_is_header_cached (node->name);

  if (header || node->kind == IMAP_KEY_BODY || node->kind == IMAP_KEY_TEXT)
    {
      node->text_index = self->nodes->len;
      g_ptr_array_add (self->nodes, node);
      self->overlap = MAX (self->overlap, strlen (node->text));
    }
  for (guint i = 0; node->children != NULL && i < node->children->len; i++)
    gather (self, node->children->pdata[i]);
}

ImapSearchScan *
imap_search_scan_new (ImapSearch *search)
{
  ImapSearchScan *self = g_new0 (ImapSearchScan, 1);

  self->nodes = g_ptr_array_new ();
  gather (self, search->root);
  self->found = g_new0 (gboolean, self->nodes->len + 1);
  self->charsets = rook_charsets_new ();
  self->raw = g_string_new (NULL);
  self->folded = g_string_new (NULL);
  return self;
}

void
imap_search_scan_free (ImapSearchScan *self)
{
  g_ptr_array_unref (self->nodes);
  g_free (self->found);
  rook_charsets_free (self->charsets);
  g_string_free (self->raw, TRUE);
  g_string_free (self->folded, TRUE);
  g_free (self);
}

void
imap_search_scan_reset (ImapSearchScan *self)
{
  memset (self->found, 0, self->nodes->len * sizeof (gboolean));
  self->place = IN_HEADER;
  self->ended = FALSE;
  g_string_truncate (self->raw, 0);
  g_string_truncate (self->folded, 0);
}

gsize
imap_search_scan_get_piece_size (const ImapSearchScan *self)
{
  return CLAMP (WORK / MAX (self->nodes->len, 1), PIECE_MIN, PIECE_MAX);
}

gboolean
imap_search_scan_is_cheap (const ImapSearchScan *self, gsize length)
{
  return length * MAX (self->nodes->len, 1) <= CHEAP;
}

ImapSearchVerdict
imap_search_scan_get (const ImapSearchScan *self, const ImapSearchNode *node)
{
  if (node->text[0] == '\0' && node->kind != IMAP_KEY_HEADER)
    return IMAP_SEARCH_YES;
  if (self->found[node->text_index])
    return IMAP_SEARCH_YES;
  return self->ended || (node->kind == IMAP_KEY_HEADER && self->place == IN_BODY) ? IMAP_SEARCH_NO
                                                                                  : IMAP_SEARCH_UNKNOWN;
}

/* --- the header ----------------------------------------------------------------------------------------------------- */

static gboolean
wants_field (const ImapSearchScan *self, guint index, const char *field, gsize name)
{
  const ImapSearchNode *node = self->nodes->pdata[index];

  if (self->found[index] || node->kind == IMAP_KEY_BODY)
    return FALSE;
  return node->kind == IMAP_KEY_TEXT
         || (name > 0 && strlen (node->name) == name && g_ascii_strncasecmp (field, node->name, name) == 0);
}

/* Brings the field to form: its name, a space if there is any, and at @out_value the value, unfolded and decoded. */
static char *
fold_field (ImapSearchScan *self, const char *field, gsize length, gsize value, gsize *out_value)
{
  g_autofree char *decoded = rook_mime_decode_header (self->charsets, field + value, length - value);
  GString *folded = g_string_new (NULL);

  imap_search_fold_bytes (folded, field, value);
  if (value > 0 && value < length && g_ascii_isspace (field[value]))
    g_string_append_c (folded, ' ');
  *out_value = folded->len;
  imap_search_fold_bytes (folded, decoded, strlen (decoded));
  return g_string_free (folded, FALSE);
}

static void
match_field (ImapSearchScan *self, const char *field, gsize length)
{
  const char *colon = memchr (field, ':', length);
  gsize value = colon != NULL ? (gsize) (colon - field) + 1 : 0, name = value > 0 ? value - 1 : 0, folded_value = 0;
  g_autofree char *folded = NULL;

  while (name > 0 && (field[name - 1] == ' ' || field[name - 1] == '\t'))
    name--;
  for (guint i = 0; i < self->nodes->len; i++)
    {
      const ImapSearchNode *node = self->nodes->pdata[i];

      if (!wants_field (self, i, field, name))
        continue;
      if (folded == NULL)
        folded = fold_field (self, field, length, value, &folded_value);
      self->found[i] = strstr (folded + (node->kind == IMAP_KEY_HEADER ? folded_value : 0), node->text) != NULL;
    }
}

/* The next field with its continuation lines. 0: its end has not come yet. */
static gsize
field_length (const char *header, gsize length, gboolean last)
{
  const char *end = header;

  while ((end = memchr (end, '\n', length - (gsize) (end - header))) != NULL)
    {
      gsize next = (gsize) (++end - header);

      if (next == length)
        break;
      if (*end != ' ' && *end != '\t')
        return next;
    }
  return last ? length : 0;
}

/* Takes whole fields off @raw, up to the end of the header. */
static void
look_through_header (ImapSearchScan *self)
{
  gsize pos = 0, length;

  while (self->place != IN_BODY && pos < self->raw->len)
    {
      const char *field = self->raw->str + pos;
      gsize left = self->raw->len - pos;

      if (self->place == IN_HEADER && field[0] == '\r' && (left == 1 ? self->ended : field[1] == '\n'))
        {
          self->place = IN_BODY;
          pos += MIN (left, 2);
          break;
        }
      length = field_length (field, left, self->ended);
      if (length == 0 && left <= FIELD_MAX && self->place == IN_HEADER)
        break;
      if (self->place == IN_HEADER)
        match_field (self, field, MIN (length > 0 ? length : left, FIELD_MAX));
      self->place = length > 0 ? IN_HEADER : IN_LONG_FIELD;
      /* The last byte may be the line end that decides. */
      pos += length > 0 ? length : left - 1;
      if (length == 0)
        break;
    }
  g_string_erase (self->raw, 0, (gssize) pos);
}

/* --- the body ------------------------------------------------------------------------------------------------------- */

static void
match_body (ImapSearchScan *self)
{
  for (guint i = 0; i < self->nodes->len; i++)
    {
      const ImapSearchNode *node = self->nodes->pdata[i];

      if (!self->found[i] && node->kind != IMAP_KEY_HEADER)
        self->found[i] = memmem (self->folded->str, self->folded->len, node->text, strlen (node->text)) != NULL;
    }
}

/* How much of @raw can be brought to form: whole lines, or of an endless one whole characters. */
static gsize
whole_length (const ImapSearchScan *self)
{
  const char *end = memrchr (self->raw->str, '\n', self->raw->len);
  gsize length = self->raw->len;

  if (self->ended || length == 0)
    return length;
  if (end != NULL)
    return (gsize) (end - self->raw->str) + 1;
  if (length < LONG_LINE)
    return 0;
  for (guint i = 0; i < 3 && ((guchar) self->raw->str[length - 1] & 0xc0) == 0x80; i++)
    length--;
  return length - ((guchar) self->raw->str[length - 1] >= 0xc0);
}

static void
look_through_body (ImapSearchScan *self)
{
  gsize length = whole_length (self);

  if (length == 0)
    return;
  if (self->folded->len > self->overlap)
    g_string_erase (self->folded, 0, (gssize) (self->folded->len - self->overlap));
  imap_search_fold_bytes (self->folded, self->raw->str, length);
  g_string_erase (self->raw, 0, (gssize) length);
  match_body (self);
}

void
imap_search_scan_feed (ImapSearchScan *self, const char *data, gsize length, gboolean last)
{
  self->ended = last;
  g_string_append_len (self->raw, data, (gssize) length);
  look_through_header (self);
  if (self->place == IN_BODY)
    look_through_body (self);
}
