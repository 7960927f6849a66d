/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * BODY and BODYSTRUCTURE (RFC 3501 7.4.2) of a parsed message, ready to be sent.
 *
 * Reads the fields that the structure left aside (id, description, disposition, language ...) from the parts' headers.
 */
#include <string.h>

#include "mime/mime-private.h"

/* What a part's header says beside what RookMimePart has. */
typedef struct {
  RookValue *type;                                    /* (owned) (nullable) */
  RookValue *disposition;                             /* (owned) (nullable) */
  char *id, *description, *md5, *language, *location; /* (owned) (nullable) */
} Details;

static void
take_text (char **slot, const RookField *field, const char *name)
{
  if (*slot == NULL && rook_span_equal_nocase (field->name, name))
    *slot = rook_field_unfold (field->value);
}

static void
read_details (RookSpan header, Details *out)
{
  gsize position = 0;
  RookField field;

  memset (out, 0, sizeof *out);
  while (rook_field_next (header, &position, &field))
    {
      if (field.name.length < 8 || g_ascii_strncasecmp (field.name.data, "content-", 8) != 0)
        continue;
      if (out->type == NULL && rook_span_equal_nocase (field.name, "content-type"))
        out->type = rook_value_parse (field.value, TRUE);
      else if (out->disposition == NULL && rook_span_equal_nocase (field.name, "content-disposition"))
        out->disposition = rook_value_parse (field.value, FALSE);
      take_text (&out->id, &field, "content-id");
      take_text (&out->description, &field, "content-description");
      take_text (&out->md5, &field, "content-md5");
      take_text (&out->language, &field, "content-language");
      take_text (&out->location, &field, "content-location");
    }
}

static void
clear_details (Details *details)
{
  g_clear_pointer (&details->type, rook_value_free);
  g_clear_pointer (&details->disposition, rook_value_free);
  g_free (details->id);
  g_free (details->description);
  g_free (details->md5);
  g_free (details->language);
  g_free (details->location);
}

static void
append_params (GString *out, const RookValue *value)
{
  if (value == NULL || value->params->len == 0)
    {
      g_string_append (out, "NIL");
      return;
    }
  for (guint i = 0; i < value->params->len; i++)
    {
      RookParam *param = g_ptr_array_index (value->params, i);

      g_string_append_c (out, i == 0 ? '(' : ' ');
      rook_imap_append_nstring (out, param->name);
      g_string_append_c (out, ' ');
      rook_imap_append_nstring (out, param->value);
    }
  g_string_append_c (out, ')');
}

static void
append_disposition (GString *out, const RookValue *disposition)
{
  if (disposition == NULL || disposition->type == NULL)
    {
      g_string_append (out, "NIL");
      return;
    }
  g_string_append_c (out, '(');
  rook_imap_append_nstring (out, disposition->type);
  g_string_append_c (out, ' ');
  append_params (out, disposition);
  g_string_append_c (out, ')');
}

/* One language is a string, several are a list. */
static void
append_language (GString *out, const char *text)
{
  g_auto (GStrv) tags = text != NULL ? g_strsplit (text, ",", 100) : NULL;
  guint n = tags != NULL ? g_strv_length (tags) : 0;

  if (n <= 1)
    {
      rook_imap_append_nstring (out, text);
      return;
    }
  for (guint i = 0; i < n; i++)
    {
      g_string_append_c (out, i == 0 ? '(' : ' ');
      rook_imap_append_nstring (out, g_strstrip (tags[i]));
    }
  g_string_append_c (out, ')');
}

/* " disposition language location" */
static void
append_last_extensions (GString *out, const Details *details)
{
  g_string_append_c (out, ' ');
  append_disposition (out, details->disposition);
  g_string_append_c (out, ' ');
  append_language (out, details->language);
  g_string_append_c (out, ' ');
  rook_imap_append_nstring (out, details->location);
}

static void
append_multipart (GString *out, RookMime *mime, RookSpan message, guint index, const Details *details,
                  gboolean extended)
{
  RookMimeNode *node = rook_mime_node (mime, index);

  for (guint child = index + 1; child < node->end; child = rook_mime_node (mime, child)->end)
    rook_mime_append_body (out, mime, message, child, extended);
  g_string_append_c (out, ' ');
  rook_imap_append_nstring (out, node->part.subtype);
  if (extended)
    {
      g_string_append_c (out, ' ');
      append_params (out, details->type);
      append_last_extensions (out, details);
    }
}

/* "type subtype params id description encoding size" */
static void
append_basic (GString *out, const RookMimePart *part, const Details *details)
{
  gboolean as_declared = details->type != NULL && details->type->type != NULL && details->type->subtype != NULL
                         && g_str_equal (details->type->type, part->type);

  rook_imap_append_nstring (out, part->type);
  g_string_append_c (out, ' ');
  rook_imap_append_nstring (out, part->subtype);
  g_string_append_c (out, ' ');
  if (as_declared && details->type->params->len > 0)
    append_params (out, details->type);
  else if (!as_declared && g_str_equal (part->type, "TEXT"))
    g_string_append (out, "(\"CHARSET\" \"us-ascii\")");
  else
    g_string_append (out, "NIL");
  g_string_append_c (out, ' ');
  rook_imap_append_nstring (out, details->id);
  g_string_append_c (out, ' ');
  rook_imap_append_nstring (out, details->description);
  g_string_append_c (out, ' ');
  rook_imap_append_nstring (out, part->encoding);
  g_string_append_printf (out, " %" G_GUINT64_FORMAT, part->body_length);
}

static void
append_single (GString *out, RookMime *mime, RookSpan message, guint index, const Details *details, gboolean extended)
{
  const RookMimePart *part = &rook_mime_node (mime, index)->part;

  append_basic (out, part, details);
  if (part->n_parts > 0)
    {
      const RookMimePart *inner = &rook_mime_node (mime, index + 1)->part;

      g_string_append_c (out, ' ');
      rook_mime_append_envelope (out, mime, rook_span (message, inner->header_offset, inner->header_length));
      g_string_append_c (out, ' ');
      rook_mime_append_body (out, mime, message, index + 1, extended);
    }
  if (part->n_parts > 0 || g_str_equal (part->type, "TEXT"))
    g_string_append_printf (out, " %u", part->body_lines);
  if (extended)
    {
      g_string_append_c (out, ' ');
      rook_imap_append_nstring (out, details->md5);
      append_last_extensions (out, details);
    }
}

void
rook_mime_append_body (GString *out, RookMime *mime, RookSpan message, guint index, gboolean extended)
{
  const RookMimePart *part = &rook_mime_node (mime, index)->part;
  Details details;

  read_details (rook_span (message, part->header_offset, part->header_length), &details);
  g_string_append_c (out, '(');
  if (part->n_parts > 0 && g_str_equal (part->type, "MULTIPART"))
    append_multipart (out, mime, message, index, &details, extended);
  else
    append_single (out, mime, message, index, &details, extended);
  g_string_append_c (out, ')');
  clear_details (&details);
}
