/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parameters in pieces and in charsets (RFC 2231).
 *
 * Pieces are put together when a field is read, since everything is better off with whole ones: a boundary, a charset, and
 * BODYSTRUCTURE (RFC 2231 6). Charset and percent signs are undone for those who want text. Of one field at most 64
 * parameters are read, so pieces are looked for one by one.
 */
#include <string.h>

#include "mime/mime-text-private.h"

/* --- pieces ----------------------------------------------------------------------------------------------------------- */

/* What stands behind the name in "name*0" and "name*0*"; "name*" is no piece. */
typedef struct {
  const RookParam *param;
  gsize name_length; /* 0: no piece */
  guint number;
  gboolean extended; /* a "*" at the end: percent signs, and a charset in the first */
} Piece;

typedef struct {
  Piece pieces[ROOK_MIME_MAX_PARAMS]; /* one for each parameter */
  guint n;
} Pieces;

static void
read_piece (const RookParam *param, Piece *out)
{
  const char *star = strchr (param->name, '*'), *at;
  guint number = 0;

  *out = (Piece){ .param = param };
  if (star == NULL)
    return;
  for (at = star + 1; g_ascii_isdigit (*at) && number < ROOK_MIME_MAX_PARAMS; at++)
    number = number * 10 + (guint) (*at - '0');
  if (at == star + 1 || (star[1] == '0' && at > star + 2) || number >= ROOK_MIME_MAX_PARAMS)
    return;
  out->number = number;
  out->extended = *at == '*';
  if (at[out->extended] == '\0')
    out->name_length = (gsize) (star - param->name);
}

static gboolean
is_same_name (const Piece *a, const Piece *b)
{
  return a->name_length == b->name_length && strncmp (a->param->name, b->param->name, a->name_length) == 0;
}

/* Piece @number of what @like is one of: the first, or the first extended one. (nullable) */
static const Piece *
find_piece (const Pieces *all, const Piece *like, guint number)
{
  const Piece *found = NULL;

  for (guint i = 0; i < all->n; i++)
    {
      const Piece *piece = &all->pieces[i];

      if (piece->number != number || !is_same_name (piece, like))
        continue;
      if (piece->extended)
        return piece;
      if (found == NULL)
        found = piece;
    }
  return found;
}

/* As it would stand in an extended value. */
static void
append_escaped (GString *out, const char *text)
{
  for (; *text != '\0'; text++)
    if (g_ascii_isalnum (*text) || strchr ("-._~!", *text) != NULL)
      g_string_append_c (out, *text);
    else
      g_string_append_printf (out, "%%%02X", (guint) (guchar) *text);
}

/* Puts the pieces together that @like is one of; they are extended if one of them is. */
static RookParam *
join_pieces (const Pieces *all, const Piece *like)
{
  GString *plain = g_string_new (NULL), *escaped = g_string_new (NULL);
  gboolean extended = FALSE;
  RookParam *joined = g_new0 (RookParam, 1);
  const Piece *piece;

  for (guint n = 0; (piece = find_piece (all, like, n)) != NULL; n++)
    {
      extended |= piece->extended;
      if (n == 0 && !piece->extended)
        g_string_append (escaped, "''"); /* no charset, no language */
      g_string_append (plain, piece->param->value);
      if (piece->extended)
        g_string_append (escaped, piece->param->value);
      else
        append_escaped (escaped, piece->param->value);
    }
  joined->joined = TRUE;
  joined->name = g_strdup_printf ("%.*s%s", (int) like->name_length, like->param->name, extended ? "*" : "");
  joined->value = g_string_free (extended ? escaped : plain, FALSE);
  g_string_free (extended ? plain : escaped, TRUE);
  return joined;
}

/* Whether @piece is the first of its name that is met. */
static gboolean
is_first (const Pieces *all, const Piece *piece)
{
  for (const Piece *other = all->pieces; other < piece; other++)
    if (is_same_name (other, piece))
      return FALSE;
  return TRUE;
}

void
rook_value_join_params (RookValue *value)
{
  g_autoptr (GPtrArray) params = value->params;
  Pieces all = { .n = params->len };

  for (guint i = 0; i < all.n; i++)
    read_piece (g_ptr_array_index (params, i), &all.pieces[i]);
  value->params = g_ptr_array_new_with_free_func (rook_param_free);
  for (const Piece *piece = all.pieces; piece < all.pieces + all.n; piece++)
    if (piece->name_length == 0 || find_piece (&all, piece, 0) == NULL)
      g_ptr_array_add (value->params, rook_param_copy (piece->param));
    else if (is_first (&all, piece))
      g_ptr_array_add (value->params, join_pieces (&all, piece));
}

/* --- text ------------------------------------------------------------------------------------------------------------- */

static void
append_unescaped (GString *out, const char *text)
{
  for (; *text != '\0'; text++)
    if (text[0] == '%' && g_ascii_isxdigit (text[1]) && g_ascii_isxdigit (text[2]))
      {
        g_string_append_c (out, (char) (g_ascii_xdigit_value (text[1]) * 16 + g_ascii_xdigit_value (text[2])));
        text += 2;
      }
    else
      g_string_append_c (out, *text);
}

/* "charset'language'text", or text alone. */
static char *
decode_extended (RookCharsets *charsets, const char *text)
{
  const char *first = strchr (text, '\''), *second = first != NULL ? strchr (first + 1, '\'') : NULL;
  g_autofree char *charset = second != NULL ? g_strndup (text, (gsize) (first - text)) : NULL;
  g_autofree char *decoded = NULL;
  g_autoptr (GString) bytes = g_string_new (NULL);

  append_unescaped (bytes, second != NULL ? second + 1 : text);
  decoded = rook_charset_to_utf8 (charsets, charset, bytes->str, bytes->len);
  return rook_text_to_line (g_string_new (decoded));
}

/* What RFC 2231 wrote comes first: extended, then in pieces. (nullable) */
static char *
decode_param (RookCharsets *charsets, const RookValue *value, const char *name)
{
  const RookParam *found = NULL;
  gsize length = strlen (name);

  for (guint i = 0; i < value->params->len; i++)
    {
      const RookParam *param = g_ptr_array_index (value->params, i);

      if (strncmp (param->name, name, length) != 0)
        continue;
      if (g_str_equal (param->name + length, "*"))
        return decode_extended (charsets, param->value);
      if (param->name[length] == '\0' && (found == NULL || (param->joined && !found->joined)))
        found = param;
    }
  return found != NULL ? rook_mime_decode_header (charsets, found->value, strlen (found->value)) : NULL;
}

char *
rook_mime_decode_param (RookCharsets *charsets, const char *value, gsize length, const char *name)
{
  g_autoptr (RookValue) parsed = NULL;
  g_autofree char *upper = g_ascii_strup (name, -1);

  g_return_val_if_fail (charsets != NULL, NULL);
  parsed = rook_value_parse ((RookSpan){ value, length }, TRUE);
  return decode_param (charsets, parsed, upper);
}

char *
rook_mime_decode_filename (RookCharsets *charsets, const char *header, gsize length)
{
  RookSpan block = { header, length };
  char *filename = NULL, *name = NULL;
  gboolean typed = FALSE, disposed = FALSE;
  gsize position = 0;
  RookField field;

  g_return_val_if_fail (charsets != NULL, NULL);
  while (rook_field_next (block, &position, &field))
    if (!disposed && rook_span_equal_nocase (field.name, "content-disposition"))
      {
        disposed = TRUE;
        filename = rook_mime_decode_param (charsets, field.value.data, field.value.length, "filename");
      }
    else if (!typed && rook_span_equal_nocase (field.name, "content-type"))
      {
        typed = TRUE;
        name = rook_mime_decode_param (charsets, field.value.data, field.value.length, "name");
      }
  if (filename == NULL)
    return name;
  g_free (name);
  return filename;
}
