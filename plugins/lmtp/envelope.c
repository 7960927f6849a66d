/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parses paths and parameters. What a path means is the delivery service's business; here it is only taken apart.
 */
#include "lmtp/envelope.h"

#include <string.h>

G_DEFINE_QUARK (lmtp - envelope - error - quark, lmtp_envelope_error)

void
lmtp_envelope_clear (LmtpEnvelope *envelope)
{
  g_clear_pointer (&envelope->address, g_free);
  g_clear_pointer (&envelope->auth, g_free);
}

static gboolean
fail (GError **error, LmtpEnvelopeError code, const char *text)
{
  g_set_error_literal (error, LMTP_ENVELOPE_ERROR, code, text);
  return FALSE;
}

/* The end of a path's inside: the ">" outside of quotes. NULL: there is none. */
static const char *
find_close (const char *pos)
{
  gboolean quoted = FALSE;

  for (; *pos != '\0'; pos++)
    {
      if (*pos == '\\' && pos[1] != '\0')
        pos++;
      else if (*pos == '"')
        quoted = !quoted;
      else if (*pos == '>' && !quoted)
        return pos;
      else if (*pos == '<' && !quoted)
        return NULL;
    }
  return NULL;
}

static gboolean
has_bad_characters (const char *address)
{
  gboolean quoted = FALSE;

  for (; *address != '\0'; address++)
    {
      if (*address == '"')
        quoted = !quoted;
      if (g_ascii_iscntrl (*address) || (*address == ' ' && !quoted))
        return TRUE;
    }
  return quoted;
}

/* "<@a,@b:local@domain>": the route is dropped (RFC 5321 C). */
static gboolean
parse_path (const char **pos, char **out_address, GError **error)
{
  const char *start, *end, *colon;
  g_autofree char *address = NULL;

  while (**pos == ' ')
    (*pos)++;
  if (**pos != '<' || (end = find_close (*pos + 1)) == NULL)
    return fail (error, LMTP_ENVELOPE_ERROR_SYNTAX, "Address must be in <>");
  start = *pos + 1;
  if (*start == '@' && (colon = memchr (start, ':', (gsize) (end - start))) != NULL)
    start = colon + 1;
  if (end - start > LMTP_PATH_MAX)
    return fail (error, LMTP_ENVELOPE_ERROR_SYNTAX, "Address too long");
  address = g_strndup (start, (gsize) (end - start));
  if (has_bad_characters (address))
    return fail (error, LMTP_ENVELOPE_ERROR_SYNTAX, "Invalid address");
  *pos = end + 1;
  *out_address = g_steal_pointer (&address);
  return TRUE;
}

/* --- parameters --------------------------------------------------------------------------------------------------------- */

typedef gboolean (*ParameterFunc) (LmtpEnvelope *envelope, const char *name, const char *value, GError **error);

/* xtext (RFC 3461 4): "+" and two hexadecimal digits stand for a byte. */
static char *
decode_xtext (const char *text)
{
  g_autoptr (GString) out = g_string_new (NULL);

  for (; *text != '\0'; text++)
    {
      if (*text != '+')
        {
          g_string_append_c (out, *text);
          continue;
        }
      if (!g_ascii_isxdigit (text[1]) || !g_ascii_isxdigit (text[2]))
        return NULL;
      g_string_append_c (out, (char) (g_ascii_xdigit_value (text[1]) * 16 + g_ascii_xdigit_value (text[2])));
      text += 2;
    }
  return strlen (out->str) == out->len ? g_string_free (g_steal_pointer (&out), FALSE) : NULL;
}

static gboolean
mail_parameter (LmtpEnvelope *envelope, const char *name, const char *value, GError **error)
{
  if (g_ascii_strcasecmp (name, "SIZE") == 0)
    {
      if (value != NULL && g_ascii_string_to_unsigned (value, 10, 0, G_MAXINT64, &envelope->size, NULL))
        return TRUE;
    }
  else if (g_ascii_strcasecmp (name, "BODY") == 0)
    {
      envelope->eight_bit = value != NULL && g_ascii_strcasecmp (value, "8BITMIME") == 0;
      if (envelope->eight_bit || (value != NULL && g_ascii_strcasecmp (value, "7BIT") == 0))
        return TRUE;
    }
  else if (g_ascii_strcasecmp (name, "AUTH") == 0 && value != NULL)
    {
      g_clear_pointer (&envelope->auth, g_free);
      if (g_str_equal (value, "<>") || (envelope->auth = decode_xtext (value)) != NULL)
        return TRUE;
    }
  g_set_error (error, LMTP_ENVELOPE_ERROR, LMTP_ENVELOPE_ERROR_PARAMETER, "Unsupported parameter");
  return FALSE;
}

static gboolean
rcpt_parameter (LmtpEnvelope *envelope, const char *name, const char *value, GError **error)
{
  if (g_ascii_strcasecmp (name, "IGNOREQUOTA") != 0 || value != NULL)
    return fail (error, LMTP_ENVELOPE_ERROR_PARAMETER, "Unsupported parameter");
  envelope->ignore_quota = TRUE;
  return TRUE;
}

static gboolean
parse_parameters (const char *pos, LmtpEnvelope *envelope, ParameterFunc parameter, GError **error)
{
  g_auto (GStrv) words = NULL;

  if (*pos != '\0' && *pos != ' ')
    return fail (error, LMTP_ENVELOPE_ERROR_SYNTAX, "Unexpected text after the address");
  words = g_strsplit (pos, " ", -1);
  for (guint i = 0; words[i] != NULL; i++)
    {
      char *value = strchr (words[i], '=');

      if (words[i][0] == '\0')
        continue;
      if (value != NULL)
        *value++ = '\0';
      if (!parameter (envelope, words[i], value, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
parse (const char *arguments, const char *word, ParameterFunc parameter, LmtpEnvelope *out_envelope, GError **error)
{
  g_auto (LmtpEnvelope) envelope = { 0 };
  gsize length = strlen (word);

  if (g_ascii_strncasecmp (arguments, word, length) != 0)
    return fail (error, LMTP_ENVELOPE_ERROR_SYNTAX, "Invalid arguments");
  arguments += length;
  if (!parse_path (&arguments, &envelope.address, error) || !parse_parameters (arguments, &envelope, parameter, error))
    return FALSE;
  *out_envelope = envelope;
  envelope = (LmtpEnvelope){ 0 };
  return TRUE;
}

gboolean
lmtp_envelope_parse_mail (const char *arguments, LmtpEnvelope *out_envelope, GError **error)
{
  return parse (arguments, "FROM:", mail_parameter, out_envelope, error);
}

gboolean
lmtp_envelope_parse_rcpt (const char *arguments, LmtpEnvelope *out_envelope, GError **error)
{
  g_auto (LmtpEnvelope) envelope = { 0 };

  if (!parse (arguments, "TO:", rcpt_parameter, &envelope, error))
    return FALSE;
  if (envelope.address[0] == '\0')
    return fail (error, LMTP_ENVELOPE_ERROR_SYNTAX, "Empty address");
  *out_envelope = envelope;
  envelope = (LmtpEnvelope){ 0 };
  return TRUE;
}
