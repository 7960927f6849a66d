/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the mailbox service reads back from a store: pages, headers, entries, seen sets; and addresses of deliveries. The
 * first byte says which.
 */
#include "delivery/delivery-private.h"
#include "mailbox/box.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static void
read_page (GBytes *bytes, guint n)
{
  g_autoptr (RookPage) page = rook_page_from_bytes (bytes, n);
  RookRecord record;

  for (guint i = 0; page != NULL && i < page->n; i++)
    {
      rook_record_decode (rook_page_record (page, i), &record);
      g_assert (rook_page_find (page, record.uid) == (gint) i);
    }
}

static void
read_entry (GBytes *bytes)
{
  g_autoptr (GBytes) key = g_bytes_new_static ("id", 2);
  g_autoptr (RookEntry) entry = rook_entry_decode (key, bytes);
  g_autoptr (GBytes) again = entry != NULL ? rook_entry_encode (entry) : NULL;
  g_autoptr (RookEntry) back = again != NULL ? rook_entry_decode (key, again) : NULL;

  g_assert ((entry == NULL) == (back == NULL));
  if (entry != NULL)
    {
      g_autoptr (RookIdentity) identity = rook_identity_new ("joe", "joe", NULL, FALSE);

      g_assert (g_str_equal (entry->name, back->name));
      g_assert (rook_entry_get_rights (entry, identity) == rook_entry_get_rights (back, identity));
    }
}

static void
read_seen (GBytes *bytes)
{
  RookSeenSet *set = rook_seen_set_decode ("joe", bytes), *changed;

  if (set == NULL)
    return;
  changed = rook_seen_set_change (set, (guint32[]){ 1, 5, 7 }, 3, TRUE, 1);
  g_assert (rook_seen_set_contains (changed, 5));
  rook_seen_set_unref (changed);
  rook_seen_set_unref (set);
}

static void
read_address (const guint8 *data, gsize size)
{
  g_autofree char *text = g_strndup ((const char *) data, size);
  RookAddress address = { NULL, NULL };

  if (rook_address_split (text, &address))
    g_assert (*address.local != '\0' && g_utf8_validate (address.local, -1, NULL));
  rook_address_clear (&address);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (GBytes) bytes = NULL;
  RookHeader header;

  if (size < 2)
    return 0;
  bytes = g_bytes_new (data + 2, size - 2);
  switch (data[0] % 5)
    {
    case 0:
      read_page (bytes, data[1]);
      break;
    case 1:
      (void) rook_header_decode (bytes, &header);
      break;
    case 2:
      read_entry (bytes);
      break;
    case 3:
      read_seen (bytes);
      break;
    default:
      read_address (data + 2, size - 2);
      break;
    }
  return 0;
}
