/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Content: a message checked, hashed and taken apart, once for all the mailboxes it goes to. Small messages at once,
 * large ones on the pool, so that no worker is held up.
 */
#include <string.h>

#include "mailbox/mail.h"

#define SMALL (128 * 1024) /* bytes: well under a millisecond of work */

typedef struct {
  RookMail *mail;
  GBytes *message;
  RookContentCallback callback;
  gpointer data;
  RookContent *content; /* (nullable) */
  GError *error;
} Preparing;

RookContent *
rook_content_ref (RookContent *content)
{
  g_atomic_int_inc (&content->ref);
  return content;
}

void
rook_content_unref (RookContent *content)
{
  if (!g_atomic_int_dec_and_test (&content->ref))
    return;
  g_bytes_unref (content->message);
  g_bytes_unref (content->cache);
  g_free (content->message_id);
  g_free (content->date);
  g_free (content);
}

static RookContent *
content_new (GBytes *message)
{
  RookContent *content = g_new0 (RookContent, 1);
  g_autoptr (GChecksum) sha1 = g_checksum_new (G_CHECKSUM_SHA1);
  g_autoptr (RookMime) mime = rook_mime_parse (message);
  gsize length, digest_length = sizeof content->guid;
  const guchar *data = g_bytes_get_data (message, &length);

  g_atomic_int_set (&content->ref, 1);
  content->message = g_bytes_ref (message);
  g_checksum_update (sha1, data, (gssize) length);
  g_checksum_get_digest (sha1, content->guid, &digest_length);
  content->cache = rook_mime_to_cache (mime);
  content->message_id = rook_mime_get_header (mime, "message-id");
  content->date = rook_mime_get_header (mime, "date");
  return content;
}

/* A CR that no LF follows, or an LF that follows no CR. */
static gboolean
has_bare_line_end (const char *bytes, gsize length)
{
  const char *end = bytes + length;

  for (const char *at = bytes; (at = memchr (at, '\n', (gsize) (end - at))) != NULL; at++)
    if (at == bytes || at[-1] != '\r')
      return TRUE;
  for (const char *at = bytes; (at = memchr (at, '\r', (gsize) (end - at))) != NULL; at++)
    if (at + 1 == end || at[1] != '\n')
      return TRUE;
  return FALSE;
}

/* What is stored has CRLF line ends, whoever brings it: so what is read by one protocol and found by another is the
 * same, byte for byte, and nothing is changed in what somebody may have signed. (nullable) */
static const char *
fault_of (const char *bytes, gsize length)
{
  if (length == 0)
    return "Message is empty";
  if (memchr (bytes, '\0', length) != NULL)
    return "Message contains NUL characters";
  return has_bare_line_end (bytes, length) ? "Message contains bare newlines" : NULL;
}

static void
prepare (gpointer data)
{
  Preparing *p = data;
  gsize length;
  const char *bytes = g_bytes_get_data (p->message, &length);
  const char *fault = fault_of (bytes, length);

  if (fault != NULL)
    p->error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_BAD_MESSAGE, fault);
  else
    p->content = content_new (p->message);
}

static void
answer (gpointer data)
{
  Preparing *p = data;

  p->callback (p->content, p->error, p->data);
}

static void
preparing_free (gpointer data)
{
  Preparing *p = data;

  g_bytes_unref (p->message);
  g_clear_pointer (&p->content, rook_content_unref);
  g_clear_error (&p->error);
  g_free (p);
}

static void
set_busy (Preparing *p)
{
  p->error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TEMPORARY, "too busy, try again later");
}

static void
prepared (RookPoolOutcome outcome, gpointer data)
{
  Preparing *p = data;

  if (outcome != ROOK_POOL_RAN)
    set_busy (p);
  answer (p);
  preparing_free (p);
}

void
rook_content_prepare (RookMail *mail, GBytes *message, RookContentCallback callback, gpointer data)
{
  g_autoptr (RookMailSettings) settings = rook_mail_ref_settings (mail);
  Preparing *p = g_new0 (Preparing, 1);
  gsize length = g_bytes_get_size (message);

  *p = (Preparing){ .mail = mail, .message = g_bytes_ref (message), .callback = callback, .data = data };
  if (length > settings->max_message_size)
    p->error = g_error_new_literal (ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_TOO_BIG, "the message is too big");
  else if (length > SMALL)
    {
      if (rook_pool_run (rook_server_get_pool (mail->server), 0, prepare, prepared, p))
        return;
      set_busy (p);
    }
  else
    prepare (p);
  rook_worker_invoke (rook_worker_current (), answer, p, preparing_free);
}
