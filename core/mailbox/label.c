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
rook_make_label (RookMailbox *mailbox, const RookRecord *record)
{
  GByteArray *out = rook_tags_new (LABEL_VERSION);

  rook_tags_add_text (out, TAG_MAILBOX, mailbox->id);
  rook_tags_add_text (out, TAG_NAME, mailbox->entry->name);
  rook_tags_add_number (out, TAG_UID, record->uid);
  rook_tags_add_number (out, TAG_UIDVALIDITY, mailbox->pending.header.uidvalidity);
  rook_tags_add_number (out, TAG_INTERNAL_DATE, (guint64) record->internal_date);
  rook_tags_add_number (out, TAG_ZONE, (guint64) (gint64) record->zone_minutes);
  rook_tags_add_number (out, TAG_FLAGS, record->flags);
  rook_tags_add (out, TAG_GUID, record->guid, sizeof record->guid);
  rook_tags_add_number (out, TAG_SAVE_DATE, (guint64) record->save_date);
  return g_byte_array_free_to_bytes (out);
}
