/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The LMTP plugin without a session: envelopes, messages, replies.
 */
#include <string.h>

#include "lmtp/envelope.h"
#include "lmtp/message.h"

/* --- envelopes ---------------------------------------------------------------------------------------------------------- */

static void
assert_mail (const char *arguments, const char *address)
{
  g_auto (LmtpEnvelope) envelope = { 0 };
  g_autoptr (GError) error = NULL;

  if (address == NULL)
    {
      g_assert_false (lmtp_envelope_parse_mail (arguments, &envelope, &error));
      g_assert_true (error != NULL && error->domain == LMTP_ENVELOPE_ERROR);
      g_assert_null (envelope.address);
      return;
    }
  g_assert_true (lmtp_envelope_parse_mail (arguments, &envelope, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (envelope.address, ==, address);
}

static void
test_mail (void)
{
  assert_mail ("FROM:<a@b>", "a@b");
  assert_mail ("from: <a@b>", "a@b");
  assert_mail ("FROM:<>", "");
  assert_mail ("FROM:<@x,@y:a@b>", "a@b");
  assert_mail ("FROM:<\"a b>c\"@d>", "\"a b>c\"@d");
  assert_mail ("FROM:<a@b> SIZE=10 BODY=8BITMIME AUTH=<>", "a@b");
  assert_mail ("FROM:a@b", NULL);
  assert_mail ("FROM:<a@b", NULL);
  assert_mail ("FROM:<a b@c>", NULL);
  assert_mail ("FROM:<a@b>x", NULL);
  assert_mail ("TO:<a@b>", NULL);
  assert_mail ("", NULL);
  assert_mail ("FROM:<a@b> SIZE=-1", NULL);
  assert_mail ("FROM:<a@b> SIZE=99999999999999999999", NULL);
  assert_mail ("FROM:<a@b> BODY=9BIT", NULL);
  assert_mail ("FROM:<a@b> FOO", NULL);
  assert_mail ("FROM:<a@b> AUTH=a+zz", NULL);
  assert_mail ("FROM:<a@b> AUTH=a+00", NULL);
}

static void
test_mail_parameters (void)
{
  g_auto (LmtpEnvelope) envelope = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_true (lmtp_envelope_parse_mail ("FROM:<a@b> size=4711 body=8bitmime AUTH=e+3Dmc2@c", &envelope, &error));
  g_assert_cmpuint (envelope.size, ==, 4711);
  g_assert_true (envelope.eight_bit);
  g_assert_cmpstr (envelope.auth, ==, "e=mc2@c");
}

static void
test_rcpt (void)
{
  g_auto (LmtpEnvelope) envelope = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_true (lmtp_envelope_parse_rcpt ("TO:<user+detail> IGNOREQUOTA", &envelope, &error));
  g_assert_cmpstr (envelope.address, ==, "user+detail");
  g_assert_true (envelope.ignore_quota);
}

static void
test_rcpt_refuses (void)
{
  static const char *const cases[] = { "TO:<>", "TO:a", "FROM:<a>", "TO:<a> SIZE=1", "TO:<a> IGNOREQUOTA=1" };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (LmtpEnvelope) envelope = { 0 };
      g_autoptr (GError) error = NULL;

      g_assert_false (lmtp_envelope_parse_rcpt (cases[i], &envelope, &error));
      g_assert_true (error != NULL && error->domain == LMTP_ENVELOPE_ERROR);
    }
}

static void
test_path_limit (void)
{
  g_autofree char *name = g_strnfill (LMTP_PATH_MAX, 'a');
  g_autofree char *fits = g_strdup_printf ("FROM:<%s>", name);
  g_autofree char *too_long = g_strdup_printf ("FROM:<%sa>", name);

  assert_mail (fits, name);
  assert_mail (too_long, NULL);
}

/* --- messages ----------------------------------------------------------------------------------------------------------- */

#define TRACE "Return-Path: <s>\r\nReceived: x\r\n"

static void
assert_message (const char *text, gsize length, LmtpMessageFault fault, const char *expected)
{
  /* Whatever the pieces, the outcome is the same. */
  for (gsize piece = 1; piece <= length + 1; piece += length / 3 + 1)
    {
      LmtpMessage message;
      g_autoptr (GBytes) bytes = NULL;

      lmtp_message_init (&message, 200, TRACE);
      for (gsize i = 0; i < length; i += piece)
        lmtp_message_add (&message, (const guint8 *) text + i, MIN (piece, length - i));
      bytes = lmtp_message_end (&message);
      g_assert_cmpint (message.fault, ==, fault);
      if (fault == LMTP_MESSAGE_OK)
        g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), expected, strlen (expected));
      else
        g_assert_null (bytes);
      lmtp_message_clear (&message);
    }
}

static void
test_message_gets_trace (void)
{
  static const char text[] = "Subject: x\r\n\r\nbody\r\n";

  assert_message (text, strlen (text), LMTP_MESSAGE_OK, TRACE "Subject: x\r\n\r\nbody\r\n");
  assert_message ("\r\nbody\r\n", 8, LMTP_MESSAGE_OK, TRACE "\r\nbody\r\n");
  assert_message ("", 0, LMTP_MESSAGE_OK, TRACE);
}

static void
test_message_loses_an_old_return_path (void)
{
  static const char text[] =
      "A: 1\r\nreturn-path: <old>\r\n more\r\nReturn-Pathology: 2\r\nB: 3\r\n\r\nReturn-Path: x\r\n";

  assert_message (text, strlen (text), LMTP_MESSAGE_OK,
                  TRACE "A: 1\r\nReturn-Pathology: 2\r\nB: 3\r\n\r\nReturn-Path: x\r\n");
}

/* A header of nothing but fields to be taken out, and of one endless line: linear, or this takes hours. */
static void
test_message_of_a_hostile_header (void)
{
  const guint n = 400000;
  static const char field[] = "Return-Path: <x>\r\n", end[] = "\r\nReturn-Path: <x>\r\nB: 1\r\n";
  g_autofree char *line = g_strnfill (100, ' ');
  LmtpMessage message;
  g_autoptr (GBytes) dropped = NULL, endless = NULL;

  lmtp_message_init (&message, G_MAXINT32, TRACE);
  for (guint i = 0; i < n; i++)
    lmtp_message_add (&message, (const guint8 *) field, strlen (field));
  g_assert_cmpuint (message.bytes->len, ==, strlen (TRACE)); /* gone before the end */
  message.limit = message.received + 10;
  lmtp_message_add (&message, (const guint8 *) "B: 1\r\n", 6);
  g_assert_cmpint (message.fault, ==, LMTP_MESSAGE_OK);
  dropped = lmtp_message_end (&message);
  g_assert_cmpuint (g_bytes_get_size (dropped), ==, strlen (TRACE) + 6);
  lmtp_message_init (&message, G_MAXINT32, TRACE);
  lmtp_message_add (&message, (const guint8 *) "A:", 2);
  for (guint i = 0; i < n; i++)
    lmtp_message_add (&message, (const guint8 *) line, 100);
  lmtp_message_add (&message, (const guint8 *) end, strlen (end));
  endless = lmtp_message_end (&message);
  g_assert_cmpuint (g_bytes_get_size (endless), ==, strlen (TRACE) + 2 + 100 * (gsize) n + 2 + 6);
}

static void
test_message_faults (void)
{
  g_autofree char *big = g_strnfill (201, 'x');

  assert_message ("A: 1\n\r\n", 7, LMTP_MESSAGE_BARE_LINE_END, NULL);
  assert_message ("A: 1\r\r\n", 7, LMTP_MESSAGE_BARE_LINE_END, NULL);
  assert_message ("A: 1\r", 6, LMTP_MESSAGE_BARE_LINE_END, NULL);
  assert_message ("A: \0\r\n", 6, LMTP_MESSAGE_NUL, NULL);
  assert_message ("no colon\r\n\r\n", 12, LMTP_MESSAGE_BAD_HEADER, NULL);
  assert_message ("no colon", 8, LMTP_MESSAGE_BAD_HEADER, NULL);
  assert_message ("no colon\r\n\r\nx\n", 15, LMTP_MESSAGE_BARE_LINE_END, NULL);
  assert_message (": no name\r\n\r\n", 13, LMTP_MESSAGE_BAD_HEADER, NULL);
  assert_message (big, 201, LMTP_MESSAGE_TOO_BIG, NULL);
}

static void
test_message_limit_is_the_clients_bytes (void)
{
  g_autoptr (GString) text = g_string_new ("A: ");
  g_autofree char *expected = NULL;

  while (text->len < 198)
    g_string_append_c (text, 'x');
  g_string_append (text, "\r\n");
  expected = g_strconcat (TRACE, text->str, NULL);
  assert_message (text->str, text->len, LMTP_MESSAGE_OK, expected);
}

static void
test_trace (void)
{
  LmtpTrace trace = {
    .sender = "a@b",
    .lhlo = "evil\"); (x",
    .address = "192.0.2.1",
    .hostname = "mail.example.org",
    .version = "1.0",
    .protocol = "LMTPS",
    .id = "c1",
    .time = 837596665,
  };
  g_autofree char *text = NULL;

  text = lmtp_message_make_trace (&trace);
  g_assert_cmpstr (text, ==,
                   "Return-Path: <a@b>\r\nReceived: from evil?????x ([192.0.2.1])\r\n"
                   "\tby mail.example.org (Rookery 1.0) with LMTPS id c1;\r\n\tWed, 17 Jul 1996 09:44:25 +0000\r\n");
}

int
main (int argc, char **argv)
{
  g_setenv ("TZ", "UTC", TRUE);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/lmtp/envelope/mail", test_mail);
  g_test_add_func ("/lmtp/envelope/mail-parameters", test_mail_parameters);
  g_test_add_func ("/lmtp/envelope/rcpt", test_rcpt);
  g_test_add_func ("/lmtp/envelope/rcpt-refuses", test_rcpt_refuses);
  g_test_add_func ("/lmtp/envelope/path-limit", test_path_limit);
  g_test_add_func ("/lmtp/message/gets-trace", test_message_gets_trace);
  g_test_add_func ("/lmtp/message/loses-an-old-return-path", test_message_loses_an_old_return_path);
  g_test_add_func ("/lmtp/message/hostile-header", test_message_of_a_hostile_header);
  g_test_add_func ("/lmtp/message/faults", test_message_faults);
  g_test_add_func ("/lmtp/message/limit-is-the-clients-bytes", test_message_limit_is_the_clients_bytes);
  g_test_add_func ("/lmtp/message/trace", test_trace);
  return g_test_run ();
}
