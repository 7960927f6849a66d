/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes what only the mailbox service knows: flags with keywords, mailbox names.
 */
#include "imap/names.h"
#include "imap/write.h"

void
imap_write_flags (GString *out, RookMailbox *mailbox, const RookMessage *message)
{
  const char *gap = "(";

  for (const ImapFlagName *flag = imap_flag_names; flag->name != NULL; flag++)
    if ((message->flags & flag->flag) != 0)
      {
        g_string_append_printf (out, "%s%s", gap, flag->name);
        gap = " ";
      }
  for (guint bit = 0; bit < 64 * G_N_ELEMENTS (message->keywords); bit++)
    if ((message->keywords[bit / 64] >> (bit % 64) & 1) != 0)
      {
        const char *keyword = rook_mailbox_get_keyword (mailbox, bit);

        if (keyword == NULL)
          continue;
        g_string_append_printf (out, "%s%s", gap, keyword);
        gap = " ";
      }
  g_string_append (out, *gap == '(' ? "()" : ")");
}

void
imap_write_mailbox (GString *out, const char *utf8_name)
{
  g_autofree char *encoded = rook_utf7_from_utf8 (utf8_name);

  imap_write_astring (out, encoded != NULL ? encoded : utf8_name);
}
