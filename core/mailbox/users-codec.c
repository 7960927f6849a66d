/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes of what is kept for users: ids, the rows that name them, the keys of subscriptions. doc/format.md describes them.
 */
#include <string.h>
#include <sys/random.h>

#include "mailbox/codec.h"
#include "mailbox/users.h"

#define ROW_VERSION 1
#define KEY_HEAD 9 /* NUL, which no name begins with, and an id */

enum {
  TAG_ID = 1,
  TAG_SINCE = 2,
  TAG_NAME = 3,
};

/* --- ids ---------------------------------------------------------------------------------------------------------------- */

guint64
rook_user_make_id (void)
{
  guint64 id = 0;

  while (id == 0)
    g_assert (getrandom (&id, sizeof id, 0) == sizeof id);
  return id;
}

void
rook_user_key_print (guint64 id, char *out_key)
{
  g_snprintf (out_key, ROOK_USER_KEY_SIZE, "%016" G_GINT64_MODIFIER "x", id);
}

guint64
rook_user_key_parse (const char *key)
{
  char *end = NULL;
  guint64 id = strlen (key) == ROOK_USER_KEY_SIZE - 1 ? g_ascii_strtoull (key, &end, 16) : 0;

  return end != NULL && *end == '\0' ? id : 0;
}

GBytes *
rook_user_id_bytes (guint64 id)
{
  guint8 bytes[8];

  rook_put64 (bytes, id);
  return g_bytes_new (bytes, sizeof bytes);
}

guint64
rook_user_id_of_bytes (GBytes *key)
{
  return g_bytes_get_size (key) == 8 ? rook_get64 (g_bytes_get_data (key, NULL)) : 0;
}

/* --- rows --------------------------------------------------------------------------------------------------------------- */

void
rook_user_name_free (RookUserName *named)
{
  g_free (named->name);
  g_free (named);
}

GBytes *
rook_user_row_encode (const RookUserName *named)
{
  GByteArray *out = rook_tags_new (ROW_VERSION);

  rook_tags_add_number (out, TAG_ID, named->id);
  rook_tags_add_number (out, TAG_SINCE, named->since);
  rook_tags_add_text (out, TAG_NAME, named->name);
  return g_byte_array_free_to_bytes (out);
}

RookUserName *
rook_user_row_decode (GBytes *value)
{
  g_autoptr (RookUserName) named = g_new0 (RookUserName, 1);
  RookTagReader reader;

  if (!rook_tag_reader_init (&reader, value, ROW_VERSION))
    return NULL;
  while (rook_tag_reader_next (&reader))
    switch (reader.tag)
      {
      case TAG_ID:
        named->id = rook_tag_reader_get_number (&reader);
        break;
      case TAG_SINCE:
        named->since = rook_tag_reader_get_number (&reader);
        break;
      case TAG_NAME:
        g_free (named->name);
        named->name = rook_tag_reader_dup_text (&reader);
        break;
      }
  if (!rook_tag_reader_is_whole (&reader) || named->id == 0 || named->name == NULL || *named->name == '\0')
    return NULL;
  return g_steal_pointer (&named);
}

/* --- subscriptions ------------------------------------------------------------------------------------------------------ */

char *
rook_subscription_pack (const char *user, const char *mailbox)
{
  gsize length = strlen (user);

  if (g_str_has_prefix (mailbox, "user/") && strncmp (mailbox + 5, user, length) == 0
      && (mailbox[5 + length] == '/' || mailbox[5 + length] == '\0'))
    return g_strconcat ("user/", mailbox + 5 + length, NULL);
  return g_strdup (mailbox);
}

char *
rook_subscription_unpack (const char *user, const char *packed)
{
  if (g_str_has_prefix (packed, "user/") && (packed[5] == '/' || packed[5] == '\0'))
    return g_strconcat ("user/", user, packed + 5, NULL);
  return g_strdup (packed);
}

GBytes *
rook_subscription_key (guint64 id, const char *packed)
{
  gsize length = strlen (packed);
  guint8 *key = g_malloc (KEY_HEAD + length);

  key[0] = 0;
  rook_put64 (key + 1, id);
  memcpy (key + KEY_HEAD, packed, length);
  return g_bytes_new_take (key, KEY_HEAD + length);
}

gboolean
rook_subscription_key_parse (GBytes *key, guint64 *out_id, char **out_user, char **out_name)
{
  gsize length;
  const char *bytes = g_bytes_get_data (key, &length);
  gsize user = strnlen (bytes, length);

  if (user == 0)
    {
      if (length <= KEY_HEAD || rook_get64 ((const guint8 *) bytes + 1) == 0)
        return FALSE;
      *out_id = rook_get64 ((const guint8 *) bytes + 1);
      *out_name = g_strndup (bytes + KEY_HEAD, length - KEY_HEAD);
      return TRUE;
    }
  if (user >= length)
    return FALSE;
  *out_id = 0;
  *out_user = g_strndup (bytes, user);
  *out_name = g_strndup (bytes + user + 1, length - user - 1);
  return TRUE;
}
