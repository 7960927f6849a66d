/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Base64 as SASL wants it: anything but one right spelling of the bytes is an error. GLib's decoder skips what it does
 * not know, so it won't do. What it decodes may be a password, so the bytes are wiped when they go.
 */
#include "auth/auth-internal.h"

#include <string.h>

typedef struct {
  gsize length;
  guint8 data[];
} Secret;

static void
secret_free (gpointer data)
{
  Secret *secret = data;

  explicit_bzero (secret->data, secret->length);
  g_free (secret);
}

static GBytes *
secret_to_bytes (Secret *secret)
{
  return g_bytes_new_with_free_func (secret->data, secret->length, secret_free, secret);
}

static Secret *
secret_new (gsize length)
{
  Secret *secret = g_malloc (sizeof (Secret) + length);

  secret->length = length;
  return secret;
}

GBytes *
rook_auth_secret_bytes (gconstpointer data, gsize length)
{
  Secret *secret = secret_new (length);

  if (length > 0)
    memcpy (secret->data, data, length);
  return secret_to_bytes (secret);
}

void
rook_auth_wipe_free (char *secret)
{
  if (secret != NULL)
    explicit_bzero (secret, strlen (secret));
  g_free (secret);
}

static int
value_of (char c)
{
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters, of which the last @padding are "=". */
static gboolean
decode_group (const char *text, guint padding, guint8 *out)
{
  guint32 bits = 0;

  for (guint i = 0; i < 4; i++)
    {
      int value = i < 4 - padding ? value_of (text[i]) : 0;

      if (value < 0)
        return FALSE;
      bits = bits << 6 | (guint32) value;
    }
  if ((padding == 1 && (bits & 0xff) != 0) || (padding == 2 && (bits & 0xffff) != 0))
    return FALSE;
  out[0] = (guint8) (bits >> 16);
  if (padding < 2)
    out[1] = (guint8) (bits >> 8);
  if (padding < 1)
    out[2] = (guint8) bits;
  return TRUE;
}

GBytes *
rook_auth_base64_decode (const char *text, gsize length)
{
  guint padding = 0;
  Secret *secret;

  if (length % 4 != 0)
    return NULL;
  if (length > 0 && text[length - 1] == '=')
    padding = text[length - 2] == '=' ? 2 : 1;
  secret = secret_new (length / 4 * 3 - padding);
  for (gsize i = 0; i < length; i += 4)
    if (!decode_group (text + i, i + 4 == length ? padding : 0, secret->data + i / 4 * 3))
      {
        secret_free (secret);
        return NULL;
      }
  return secret_to_bytes (secret);
}
