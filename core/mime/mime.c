/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RookMime: a message taken apart once, and the questions asked of it.
 *
 * Structure comes from parse.c, the strings from body.c and envelope.c, the form that is stored from cache.c.
 */
#include <string.h>

#include "mime/mime-private.h"

/* Fields kept in the cache: what clients show, sort and search by (lower case). */
static const char *const cached_fields[] = {
  "date",       "subject",     "from",       "sender",      "reply-to",     "to",          "cc",        "bcc",
  "message-id", "in-reply-to", "references", "newsgroups",  "content-type", "list-id",     "list-post", "mailing-list",
  "priority",   "x-priority",  "importance", "return-path", "delivered-to", "x-spam-flag", "lines",     "followup-to",
};

RookMime *
rook_mime_alloc (void)
{
  RookMime *mime = g_new0 (RookMime, 1);

  g_atomic_int_set (&mime->ref, 1);
  mime->nodes = g_array_new (FALSE, TRUE, sizeof (RookMimeNode));
  mime->children = g_array_new (FALSE, FALSE, sizeof (guint32));
  mime->fields = g_array_sized_new (FALSE, FALSE, sizeof (RookMimeField), 1); /* never without data */
  mime->strings = g_string_chunk_new (256);
  mime->headers = g_ptr_array_new_with_free_func (g_free);
  return mime;
}

RookMime *
rook_mime_ref (RookMime *mime)
{
  g_atomic_int_inc (&mime->ref);
  return mime;
}

void
rook_mime_unref (RookMime *mime)
{
  if (!g_atomic_int_dec_and_test (&mime->ref))
    return;
  g_array_unref (mime->nodes);
  g_array_unref (mime->children);
  g_array_unref (mime->fields);
  g_string_chunk_free (mime->strings);
  g_ptr_array_unref (mime->headers);
  g_clear_pointer (&mime->message, g_bytes_unref);
  g_clear_pointer (&mime->cache, g_bytes_unref);
  g_free (mime->envelope);
  g_free (mime->body);
  g_free (mime->bodystructure);
  g_free (mime);
}

void
rook_mime_link_children (RookMime *mime)
{
  for (guint i = 0; i < mime->nodes->len; i++)
    {
      RookMimeNode *node = rook_mime_node (mime, i);

      node->children = mime->children->len;
      for (guint32 child = i + 1; child < node->end; child = rook_mime_node (mime, child)->end)
        g_array_append_val (mime->children, child);
    }
}

static RookSpan
span_of (GBytes *bytes)
{
  RookSpan span;

  span.data = g_bytes_get_data (bytes, &span.length);
  if (span.data == NULL)
    span.data = "";
  return span;
}

static RookSpan
top_header (RookMime *mime, RookSpan message)
{
  const RookMimePart *part = &rook_mime_node (mime, 0)->part;

  return rook_span (message, part->header_offset, part->header_length);
}

static void
keep_headers (RookMime *mime, RookSpan header)
{
  gboolean seen[G_N_ELEMENTS (cached_fields)] = { FALSE };
  gsize position = 0;
  RookField field;

  while (rook_field_next (header, &position, &field))
    for (guint i = 0; i < G_N_ELEMENTS (cached_fields); i++)
      if (!seen[i] && rook_span_equal_nocase (field.name, cached_fields[i]))
        {
          seen[i] = TRUE;
          g_ptr_array_add (mime->headers, g_strdup (cached_fields[i]));
          g_ptr_array_add (mime->headers, rook_field_unfold (field.value));
        }
}

static void
keep_fields (RookMime *mime, RookSpan header)
{
  gsize position = 0;
  RookField field;

  while (rook_field_next (header, &position, &field))
    {
      char name[ROOK_MIME_MAX_FIELD_NAME + 1];
      RookMimeField kept = { .offset = (guint64) (field.raw.data - header.data), .length = field.raw.length };

      if (mime->fields->len == ROOK_MIME_MAX_FIELDS || field.name.length >= sizeof name || position > G_MAXUINT32
          || memchr (field.name.data, '\0', field.name.length) != NULL)
        {
          g_array_set_size (mime->fields, 0);
          return;
        }
      for (gsize i = 0; i < field.name.length; i++)
        name[i] = g_ascii_tolower (field.name.data[i]);
      name[field.name.length] = '\0';
      kept.name = g_string_chunk_insert_const (mime->strings, name);
      g_array_append_val (mime->fields, kept);
    }
  mime->all_fields = TRUE;
}

RookMime *
rook_mime_parse (GBytes *message)
{
  RookMime *mime = rook_mime_alloc ();
  RookSpan text = span_of (message);
  GString *out;

  mime->message = g_bytes_ref (message);
  mime->size = text.length;
  rook_mime_parse_structure (mime, text);
  rook_mime_link_children (mime);
  keep_headers (mime, top_header (mime, text));
  keep_fields (mime, top_header (mime, text));
  out = g_string_new (NULL);
  mime->addresses = ROOK_MIME_MAX_ADDRESSES;
  rook_mime_append_envelope (out, mime, top_header (mime, text));
  mime->envelope = g_string_free (out, FALSE);
  out = g_string_new (NULL);
  mime->addresses = ROOK_MIME_MAX_ADDRESSES;
  rook_mime_append_body (out, mime, text, 0, FALSE);
  mime->body = g_string_free (out, FALSE);
  out = g_string_new (NULL);
  mime->addresses = ROOK_MIME_MAX_ADDRESSES;
  rook_mime_append_body (out, mime, text, 0, TRUE);
  mime->bodystructure = g_string_free (out, FALSE);
  return mime;
}

guint64
rook_mime_get_size (RookMime *mime)
{
  return mime->size;
}

const char *
rook_mime_get_envelope (RookMime *mime)
{
  return mime->envelope;
}

const char *
rook_mime_get_body (RookMime *mime)
{
  return mime->body;
}

const char *
rook_mime_get_bodystructure (RookMime *mime)
{
  return mime->bodystructure;
}

/* --- parts ------------------------------------------------------------------------------------------------------ */

/* The index of child number @n (from 1) of part @index; 0: there is none. */
static guint
child_index (RookMime *mime, guint index, guint n)
{
  RookMimeNode *node = rook_mime_node (mime, index);

  if (n == 0 || n > node->part.n_parts)
    return 0;
  return g_array_index (mime->children, guint32, node->children + n - 1);
}

static gboolean
is_multipart (RookMime *mime, guint index)
{
  const RookMimePart *part = &rook_mime_node (mime, index)->part;

  return part->n_parts > 0 && g_str_equal (part->type, "MULTIPART");
}

/* One number of a section: into a multipart, through a message, or 1 for the body of what is neither. */
static gboolean
step_into (RookMime *mime, guint *index, guint n, gboolean first)
{
  guint inner = *index, child;

  if (!first && !is_multipart (mime, inner) && rook_mime_node (mime, inner)->part.n_parts > 0)
    inner++; /* the message inside */
  else if (!first && !is_multipart (mime, inner))
    return FALSE;
  if (!is_multipart (mime, inner))
    {
      *index = inner;
      return n == 1;
    }
  child = child_index (mime, inner, n);
  *index = child;
  return child != 0;
}

/* Reads a number without sign or leading zero. */
static gboolean
read_number (const char **text, guint *out_n)
{
  guint n = 0;

  if (**text < '1' || **text > '9')
    return FALSE;
  for (; g_ascii_isdigit (**text); ++*text)
    {
      n = n * 10 + (guint) (**text - '0');
      if (n > ROOK_MIME_MAX_PARTS)
        return FALSE;
    }
  *out_n = n;
  return TRUE;
}

const RookMimePart *
rook_mime_find_part (RookMime *mime, const char *section)
{
  guint index = 0, n;
  gboolean first = TRUE;

  while (*section != '\0')
    {
      if (!read_number (&section, &n) || !step_into (mime, &index, n, first))
        return NULL;
      first = FALSE;
      if (*section == '.' && section[1] != '\0')
        section++;
      else if (*section != '\0')
        return NULL;
    }
  return &rook_mime_node (mime, index)->part;
}

const RookMimePart *
rook_mime_get_child (RookMime *mime, const RookMimePart *part, guint n)
{
  guint index = (guint) ((const RookMimeNode *) part - rook_mime_node (mime, 0));
  guint child = child_index (mime, index, n + 1);

  return child != 0 ? &rook_mime_node (mime, child)->part : NULL;
}

const RookMimePart *
rook_mime_next_part (RookMime *mime, const RookMimePart *part)
{
  guint index = part != NULL ? (guint) ((const RookMimeNode *) part - rook_mime_node (mime, 0)) + 1 : 0;

  return index < mime->nodes->len ? &rook_mime_node (mime, index)->part : NULL;
}

/* --- fields ----------------------------------------------------------------------------------------------------- */

const RookMimeField *
rook_mime_get_fields (RookMime *mime, guint *out_n)
{
  if (!mime->all_fields)
    return NULL;
  *out_n = mime->fields->len;
  return (const RookMimeField *) mime->fields->data;
}

static char *
find_in_message (RookMime *mime, const char *name)
{
  RookSpan header = top_header (mime, span_of (mime->message));
  gsize position = 0;
  RookField field;

  while (rook_field_next (header, &position, &field))
    if (rook_span_equal_nocase (field.name, name))
      return rook_field_unfold (field.value);
  return NULL;
}

char *
rook_mime_get_header (RookMime *mime, const char *name)
{
  for (guint i = 0; i + 1 < mime->headers->len; i += 2)
    if (g_ascii_strcasecmp (g_ptr_array_index (mime->headers, i), name) == 0)
      return g_strdup (g_ptr_array_index (mime->headers, i + 1));
  return mime->message != NULL ? find_in_message (mime, name) : NULL;
}

gboolean
rook_mime_is_header_cached (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (cached_fields); i++)
    if (g_ascii_strcasecmp (name, cached_fields[i]) == 0)
      return TRUE;
  return FALSE;
}

GBytes *
rook_mime_filter_header (const char *header, gsize length, const char *const *fields, gboolean negate)
{
  g_autoptr (GHashTable) wanted = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GByteArray *out = g_byte_array_new ();
  gsize position = 0;
  RookField field;

  for (guint i = 0; fields[i] != NULL; i++)
    g_hash_table_add (wanted, g_ascii_strdown (fields[i], -1));
  while (rook_field_next ((RookSpan){ header, length }, &position, &field))
    {
      g_autofree char *name = g_ascii_strdown (field.name.data, field.name.length);

      if (g_hash_table_contains (wanted, name) == negate)
        continue;
      g_byte_array_append (out, (const guint8 *) field.raw.data, field.raw.length);
      if (field.raw.data[field.raw.length - 1] != '\n')
        g_byte_array_append (out, (const guint8 *) "\r\n", 2);
    }
  g_byte_array_append (out, (const guint8 *) "\r\n", 2);
  return g_byte_array_free_to_bytes (out);
}
