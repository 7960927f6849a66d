/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The label beside a message's body: what it takes to rebuild mailboxes if every table were lost.
 */
#include "mailbox/box.h"
#include "mailbox/codec.h"

#define LABEL_VERSION 1

enum {
  TAG_MAILBOX = 1,
  TAG_NAME = 2,
  TAG_UID = 3,
  TAG_UIDVALIDITY = 4,
  TAG_INTERNAL_DATE = 5,
  TAG_ZONE = 6,
  TAG_FLAGS = 7,
  TAG_GUID = 8,
  TAG_SAVE_DATE = 9,
};

GBytes *
rook_make_label (const RookEntry *entry, guint32 uidvalidity, const RookRecord *record)
{
  GByteArray *out = rook_tags_new (LABEL_VERSION);

  rook_tags_add_text (out, TAG_MAILBOX, entry->id);
  rook_tags_add_text (out, TAG_NAME, entry->name);
  rook_tags_add_number (out, TAG_UID, record->uid);
  rook_tags_add_number (out, TAG_UIDVALIDITY, uidvalidity);
  rook_tags_add_number (out, TAG_INTERNAL_DATE, (guint64) record->internal_date);
  rook_tags_add_number (out, TAG_ZONE, (guint64) (gint64) record->zone_minutes);
  rook_tags_add_number (out, TAG_FLAGS, record->flags);
  rook_tags_add (out, TAG_GUID, record->guid, sizeof record->guid);
  rook_tags_add_number (out, TAG_SAVE_DATE, (guint64) record->save_date);
  return g_byte_array_free_to_bytes (out);
}

static void
read_tag (RookLabel *label, RookTagReader *reader)
{
  char **text = reader->tag == TAG_MAILBOX ? &label->mailbox : reader->tag == TAG_NAME ? &label->name : NULL;
  guint64 number = text == NULL && reader->length == 8 ? rook_tag_reader_get_number (reader) : 0;

  if (text != NULL)
    {
      g_free (*text);
      *text = rook_tag_reader_dup_text (reader);
    }
  else if (reader->tag == TAG_UID)
    label->uid = (guint32) number;
  else if (reader->tag == TAG_UIDVALIDITY)
    label->uidvalidity = (guint32) number;
  else if (reader->tag == TAG_INTERNAL_DATE)
    label->internal_date = (gint64) number;
  else if (reader->tag == TAG_ZONE)
    label->zone_minutes = (gint16) number;
  else if (reader->tag == TAG_FLAGS)
    label->flags = (guint32) number;
  else if (reader->tag == TAG_SAVE_DATE)
    label->save_date = (gint64) number;
  else if (reader->tag == TAG_GUID && reader->length == sizeof label->guid)
    memcpy (label->guid, reader->data, sizeof label->guid);
}

gboolean
rook_label_decode (GBytes *bytes, RookLabel *out)
{
  g_auto (RookLabel) label = { 0 };
  RookTagReader reader;

  if (!rook_tag_reader_init (&reader, bytes, LABEL_VERSION))
    return FALSE;
  while (rook_tag_reader_next (&reader))
    read_tag (&label, &reader);
  if (!rook_tag_reader_is_whole (&reader) || label.mailbox == NULL || label.name == NULL || label.uid == 0)
    return FALSE;
  *out = label;
  label.mailbox = label.name = NULL;
  return TRUE;
}

void
rook_label_clear (RookLabel *label)
{
  g_clear_pointer (&label->mailbox, g_free);
  g_clear_pointer (&label->name, g_free);
}

GBytes *
rook_content_key (const guint8 *guid, char kind)
{
  guint8 key[21];

  key[0] = (guint8) kind;
  memcpy (key + 1, guid, sizeof key - 1);
  return g_bytes_new (key, sizeof key);
}
