/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parameters as people read them (RFC 2231 3 and 4): joined from their pieces, charset and percent signs undone.
 *
 * What a parser reads of one field are 64 parameters, so pieces are looked for one by one.
 */
#include <string.h>

#include "mime/mime-text-private.h"

/* What stands behind the name in "name", "name*", "name*0", "name*0*". */
typedef struct {
  gint number;       /* -1: none */
  gboolean extended; /* a "*" at the end: percent signs, and a charset in the first */
} Suffix;

static gboolean
read_suffix (const char *text, Suffix *out)
{
  *out = (Suffix){ .number = -1 };
  if (*text != '*')
    return *text == '\0';
  text++;
  if (g_ascii_isdigit (*text))
    {
      char *end;
      guint64 number = g_ascii_strtoull (text, &end, 10);

      if (number >= ROOK_MIME_MAX_PARAMS || (text[0] == '0' && end > text + 1))
        return FALSE;
      out->number = (gint) number;
      text = end;
      if (*text == '\0')
        return TRUE;
      if (*text++ != '*')
        return FALSE;
    }
  out->extended = TRUE;
  return *text == '\0';
}

/* The first piece of that number, extended if there are both. */
static const RookParam *
find_piece (const RookValue *value, const char *name, gint number, gboolean *out_extended)
{
  const RookParam *found = NULL;
  gsize length = strlen (name);

  *out_extended = FALSE;
  for (guint i = 0; i < value->params->len && !*out_extended; i++)
    {
      const RookParam *param = g_ptr_array_index (value->params, i);
      Suffix suffix;

      if (!g_str_has_prefix (param->name, name) || !read_suffix (param->name + length, &suffix)
          || suffix.number != number || (found != NULL && !suffix.extended))
        continue;
      found = param;
      *out_extended = suffix.extended;
    }
  return found;
}

static void
append_percent (GString *out, const char *text)
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

/* "charset'language'" at the beginning: the charset. (nullable) (transfer full) */
static char *
take_charset (const char **text)
{
  const char *first = strchr (*text, '\''), *second = first != NULL ? strchr (first + 1, '\'') : NULL;
  char *charset;

  if (second == NULL)
    return NULL;
  charset = g_strndup (*text, (gsize) (first - *text));
  *text = second + 1;
  return charset;
}

/* From piece @number on: -1 is one by itself. */
static char *
decode_pieces (RookCharsets *charsets, const RookValue *value, const char *name, gint number)
{
  g_autoptr (GString) bytes = g_string_new (NULL);
  g_autofree char *charset = NULL;
  gboolean extended, any = FALSE, first = TRUE;
  const RookParam *piece;

  while ((piece = find_piece (value, name, number, &extended)) != NULL)
    {
      const char *text = piece->value;

      any |= extended;
      if (extended && first)
        charset = take_charset (&text);
      if (extended)
        append_percent (bytes, text);
      else
        g_string_append (bytes, text);
      first = FALSE;
      if (number++ < 0)
        break;
    }
  if (first)
    return NULL;
  if (!any)
    return rook_mime_decode_header (charsets, bytes->str, bytes->len);
  {
    g_autofree char *text = rook_charset_to_utf8 (charsets, charset, bytes->str, bytes->len);

    return rook_text_to_line (g_string_new (text));
  }
}

char *
rook_value_decode_param (RookCharsets *charsets, const RookValue *value, const char *name)
{
  gboolean extended;
  const RookParam *whole = find_piece (value, name, -1, &extended);
  char *text = whole != NULL && extended ? NULL : decode_pieces (charsets, value, name, 0);

  return text != NULL ? text : decode_pieces (charsets, value, name, -1);
}

char *
rook_mime_decode_param (RookCharsets *charsets, const char *value, gsize length, const char *name)
{
  g_autoptr (RookValue) parsed = NULL;
  g_autofree char *upper = g_ascii_strup (name, -1);

  g_return_val_if_fail (charsets != NULL, NULL);
  parsed = rook_value_parse ((RookSpan){ value, length }, TRUE);
  return rook_value_decode_param (charsets, parsed, upper);
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
