/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a section's numbers and words to offsets, by the structure that the mime service found.
 */
#include "imap/fetch-section.h"

#include "imap/write.h"

gboolean
imap_section_needs_mime (const ImapFetchItem *item)
{
  return item->kind == IMAP_FETCH_SECTION && (item->part[0] != '\0' || item->section != IMAP_SECTION_ALL);
}

/* HEADER and TEXT with numbers are those of the message inside the part; without, of the message itself. */
static const RookMimePart *
find_message (const ImapFetchItem *item, RookMime *mime)
{
  const RookMimePart *part = rook_mime_find_part (mime, item->part);

  if (part == NULL || item->part[0] == '\0')
    return part;
  if (!g_str_equal (part->type, "MESSAGE") || !g_str_equal (part->subtype, "RFC822"))
    return NULL;
  return rook_mime_get_child (mime, part, 0);
}

gboolean
imap_section_find (const ImapFetchItem *item, RookMime *mime, guint64 size, guint64 *out_offset, guint64 *out_length)
{
  const RookMimePart *part = NULL;
  gboolean header = item->section != IMAP_SECTION_ALL && item->section != IMAP_SECTION_TEXT;

  if (!imap_section_needs_mime (item))
    {
      *out_offset = 0;
      *out_length = size;
      return TRUE;
    }
  if (item->section == IMAP_SECTION_ALL || item->section == IMAP_SECTION_MIME)
    part = rook_mime_find_part (mime, item->part);
  else
    part = find_message (item, mime);
  if (part == NULL)
    return FALSE;
  *out_offset = header ? part->header_offset : part->body_offset;
  *out_length = header ? part->header_length : part->body_length;
  return TRUE;
}

void
imap_section_cut (const ImapFetchItem *item, guint64 *offset, guint64 *length)
{
  guint64 skip = MIN (item->offset, *length);

  *offset += skip;
  *length = MIN (item->length, *length - skip);
}

void
imap_section_write_fields (GString *out, const ImapFetchItem *item, GBytes *header)
{
  gsize length;
  const char *data = g_bytes_get_data (header, &length);
  g_autoptr (GBytes) fields = rook_mime_filter_header (data, length, (const char *const *) item->fields,
                                                       item->section == IMAP_SECTION_HEADER_FIELDS_NOT);
  guint64 offset = 0, left = g_bytes_get_size (fields);

  imap_section_cut (item, &offset, &left);
  imap_write_literal (out, (const char *) g_bytes_get_data (fields, NULL) + offset, left);
}
