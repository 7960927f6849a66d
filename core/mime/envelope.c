/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ENVELOPE (RFC 3501 7.4.2) of a header block, ready to be sent.
 *
 * The first field of a name counts, but address fields that come several times are one list. Nothing is decoded.
 */
#include "mime/mime-private.h"

enum { DATE, SUBJECT, IN_REPLY_TO, MESSAGE_ID, N_TEXTS };
static const char *const text_names[N_TEXTS] = { "date", "subject", "in-reply-to", "message-id" };
enum { FROM, SENDER, REPLY_TO, TO, CC, BCC, N_LISTS };
static const char *const list_names[N_LISTS] = { "from", "sender", "reply-to", "to", "cc", "bcc" };

typedef struct {
  char *texts[N_TEXTS];    /* (nullable) */
  GString *lists[N_LISTS]; /* (nullable) values, joined by "," */
} Fields;

static void
take_field (Fields *fields, const RookField *field)
{
  for (guint i = 0; i < N_TEXTS; i++)
    if (fields->texts[i] == NULL && rook_span_equal_nocase (field->name, text_names[i]))
      fields->texts[i] = rook_field_unfold (field->value);
  for (guint i = 0; i < N_LISTS; i++)
    if (rook_span_equal_nocase (field->name, list_names[i]))
      {
        if (fields->lists[i] == NULL)
          fields->lists[i] = g_string_new (NULL);
        else
          g_string_append_c (fields->lists[i], ',');
        g_string_append_len (fields->lists[i], field->value.data, field->value.length);
      }
}

/* The list as ENVELOPE has it; NIL if there is no such field, or nothing in it. (transfer full) */
static char *
write_list (RookMime *mime, GString *value)
{
  GString *out = g_string_new (NULL);

  rook_address_append_list (out, value != NULL ? (RookSpan){ value->str, value->len } : (RookSpan){ "", 0 },
                            &mime->addresses);
  return g_string_free (out, FALSE);
}

void
rook_mime_append_envelope (GString *out, RookMime *mime, RookSpan header)
{
  Fields fields = { .texts = { NULL } };
  g_autofree char *from = NULL;
  gsize position = 0;
  RookField field;

  while (rook_field_next (header, &position, &field))
    take_field (&fields, &field);
  from = write_list (mime, fields.lists[FROM]);
  g_string_append_c (out, '(');
  rook_imap_append_nstring (out, fields.texts[DATE]);
  g_string_append_c (out, ' ');
  rook_imap_append_nstring (out, fields.texts[SUBJECT]);
  g_string_append_c (out, ' ');
  g_string_append (out, from);
  for (guint i = SENDER; i < N_LISTS; i++)
    {
      g_autofree char *list = write_list (mime, fields.lists[i]);
      gboolean empty = g_str_equal (list, "NIL");

      g_string_append_c (out, ' ');
      g_string_append (out, empty && (i == SENDER || i == REPLY_TO) ? from : list);
    }
  g_string_append_c (out, ' ');
  rook_imap_append_nstring (out, fields.texts[IN_REPLY_TO]);
  g_string_append_c (out, ' ');
  rook_imap_append_nstring (out, fields.texts[MESSAGE_ID]);
  g_string_append_c (out, ')');
  for (guint i = 0; i < N_TEXTS; i++)
    g_free (fields.texts[i]);
  for (guint i = 0; i < N_LISTS; i++)
    if (fields.lists[i] != NULL)
      g_string_free (fields.lists[i], TRUE);
}
