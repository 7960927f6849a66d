/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208). A quota root is named as the mailbox that it is. Storage is in units of 1024 bytes
 * on the wire, usage rounded down, as with Cyrus. By the root's name it is asked by administrators, and by those whose mailboxes it limits.
 */
#include "imap/commands.h"

#include "imap/locate.h"
#include "imap/write.h"

#define UNIT 1024

/* The name first that is answered; what Cyrus called it before RFC 9208 is taken too. */
static const struct {
  const char *name, *old_name;
  guint unit;
} resources[ROOK_QUOTA_N_RESOURCES] = {
  [ROOK_QUOTA_STORAGE] = { "STORAGE", NULL, UNIT },
  [ROOK_QUOTA_MESSAGE] = { "MESSAGE", NULL, 1 },
  [ROOK_QUOTA_MAILBOX] = { "MAILBOX", "X-NUM-FOLDERS", 1 },
  [ROOK_QUOTA_ANNOTATION_STORAGE] = { "ANNOTATION-STORAGE", "X-ANNOTATION-STORAGE", UNIT },
};

typedef struct {
  char *name;                            /* (owned) internal */
  gint64 limits[ROOK_QUOTA_N_RESOURCES]; /* of SETQUOTA */
} Quota;

static void
quota_free (gpointer data)
{
  Quota *quota = data;

  g_free (quota->name);
  g_free (quota);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Quota, quota_free)

/* --- answers ------------------------------------------------------------------------------------------------------------ */

static void
write_name (GString *out, ImapSession *session, const char *internal)
{
  g_autofree char *name = rook_namespace_to_external (session->ns, internal);

  imap_write_mailbox (out, name != NULL ? name : internal);
}

/* Resources without a limit are left out. */
static void
write_quota (GString *out, ImapSession *session, const RookQuota *quota)
{
  const char *separator = "";

  g_string_append (out, "* QUOTA ");
  write_name (out, session, quota->root);
  g_string_append (out, " (");
  for (guint i = 0; i < ROOK_QUOTA_N_RESOURCES; i++)
    if (quota->limits[i] >= 0)
      {
        g_string_append_printf (out, "%s%s %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT, separator, resources[i].name,
                                quota->usage[i] / resources[i].unit, quota->limits[i] / resources[i].unit);
        separator = " ";
      }
  g_string_append (out, ")\r\n");
}

static void
fail (ImapSession *session, const GError *error)
{
  if (g_error_matches (error, ROOK_MAIL_ERROR, ROOK_MAIL_ERROR_NOT_FOUND))
    imap_session_no (session, "NONEXISTENT", "Quota root does not exist");
  else
    imap_session_fail (session, error);
}

static void
on_quota (const RookQuota *quota, const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  g_autoptr (GString) out = g_string_new (NULL);

  if (imap_session_is_gone (session))
    return;
  if (error != NULL)
    {
      fail (session, error);
      return;
    }
  write_quota (out, session, quota);
  rook_connection_write (session->connection, out->str, out->len);
  imap_session_ok (session, NULL, "Completed");
}

static void
on_mailbox_quota (const RookQuota *quota, const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  const Quota *asked = session->call.data;
  g_autoptr (GString) out = g_string_new ("* QUOTAROOT ");

  if (imap_session_is_gone (session))
    return;
  if (error != NULL)
    {
      imap_session_fail (session, error);
      return;
    }
  write_name (out, session, asked->name);
  if (quota != NULL)
    {
      g_string_append_c (out, ' ');
      write_name (out, session, quota->root);
    }
  g_string_append (out, "\r\n");
  if (quota != NULL)
    write_quota (out, session, quota);
  rook_connection_write (session->connection, out->str, out->len);
  imap_session_ok (session, NULL, "Completed");
}

/* --- questions ---------------------------------------------------------------------------------------------------------- */

/* Ends the command if the mailbox is not here, or nobody waits any more. */
static gboolean
is_here (ImapSession *session, const GError *error)
{
  if (imap_session_is_gone (session))
    return FALSE;
  if (error != NULL)
    imap_session_fail (session, error);
  return error == NULL;
}

static void
ask_root (const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;

  if (is_here (session, error))
    rook_mail_get_quota (rook_server_get_mail (session->server), session->identity,
                         ((Quota *) session->call.data)->name, on_quota, imap_session_ref (session));
}

static void
ask_mailbox (const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;

  if (is_here (session, error))
    rook_mail_get_mailbox_quota (rook_server_get_mail (session->server), session->identity,
                                 ((Quota *) session->call.data)->name, on_mailbox_quota, imap_session_ref (session));
}

static void
begin (ImapSession *session, Quota *quota, RookMailCallback next)
{
  imap_session_set_call_data (session, quota, quota_free);
  imap_locate (session, quota->name, next, imap_session_ref (session));
}

static void
parse_and_begin (ImapSession *session, ImapParser *arguments, RookMailCallback next)
{
  g_autoptr (Quota) quota = g_new0 (Quota, 1);
  g_autoptr (GError) error = NULL;

  if (!imap_parse_space (arguments, &error) || !imap_parse_mailbox (session, arguments, &quota->name, &error)
      || !imap_parse_end (arguments, &error))
    imap_session_fail (session, error);
  else
    begin (session, g_steal_pointer (&quota), next);
}

void
imap_cmd_getquota (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  parse_and_begin (session, arguments, ask_root);
}

void
imap_cmd_getquotaroot (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  parse_and_begin (session, arguments, ask_mailbox);
}

/* --- SETQUOTA ----------------------------------------------------------------------------------------------------------- */

/* The limits are set, whatever can be told of the usage. */
static void
on_quota_set (const RookQuota *quota, const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  g_autoptr (GString) out = g_string_new (NULL);

  if (imap_session_is_gone (session))
    return;
  if (error == NULL)
    {
      write_quota (out, session, quota);
      rook_connection_write (session->connection, out->str, out->len);
    }
  imap_session_ok (session, NULL, "Completed");
}

static void
quota_set (const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;

  if (is_here (session, error))
    rook_mail_get_quota (rook_server_get_mail (session->server), session->identity,
                         ((Quota *) session->call.data)->name, on_quota_set, imap_session_ref (session));
}

static void
set (const GError *error, gpointer data)
{
  g_autoptr (RookImapSession) session = data;
  const Quota *quota = session->call.data;

  if (is_here (session, error))
    rook_mail_set_quota (rook_server_get_mail (session->server), session->identity, quota->name, quota->limits,
                         quota_set, imap_session_ref (session));
}

/* -1: no such resource. */
static gint
find_resource (const char *name)
{
  for (guint i = 0; i < ROOK_QUOTA_N_RESOURCES; i++)
    if (g_ascii_strcasecmp (name, resources[i].name) == 0
        || (resources[i].old_name != NULL && g_ascii_strcasecmp (name, resources[i].old_name) == 0))
      return (gint) i;
  return -1;
}

/* A number, or -1: none. */
static gboolean
parse_limit (ImapParser *arguments, guint unit, gint64 *out_limit, GError **error)
{
  gboolean is_none = imap_parse_try_char (arguments, '-');
  guint64 number;

  if (!imap_parse_number64 (arguments, &number, error))
    return FALSE;
  if (is_none && number != 1)
    {
      g_set_error_literal (error, IMAP_PARSE_ERROR, IMAP_PARSE_ERROR_SYNTAX, "Limits are not negative");
      return FALSE;
    }
  *out_limit = is_none ? -1 : (gint64) MIN (number, G_MAXINT64 / unit) * unit;
  return TRUE;
}

/* "STORAGE 512 MESSAGE 10". cyradm leaves out the space between two, and has one at the end. */
static gboolean
parse_limits (ImapParser *arguments, Quota *quota, gboolean *out_unknown, GError **error)
{
  while (imap_parser_peek (arguments) != ')')
    {
      g_autofree char *name = NULL;
      gint64 limit;
      gint resource;

      if (!imap_parse_atom (arguments, &name, error) || !imap_parse_space (arguments, error))
        return FALSE;
      resource = find_resource (name);
      if (!parse_limit (arguments, resource >= 0 ? resources[resource].unit : 1, &limit, error))
        return FALSE;
      if (resource >= 0)
        quota->limits[resource] = limit;
      else
        *out_unknown = TRUE;
      imap_parse_try_char (arguments, ' ');
    }
  return TRUE;
}

/* What is not named has no limit afterwards. */
void
imap_cmd_setquota (ImapSession *session, ImapParser *arguments, gpointer data G_GNUC_UNUSED)
{
  g_autoptr (Quota) quota = g_new0 (Quota, 1);
  g_autoptr (GError) error = NULL;
  gboolean unknown = FALSE;

  for (guint i = 0; i < ROOK_QUOTA_N_RESOURCES; i++)
    quota->limits[i] = -1;
  if (!imap_parse_space (arguments, &error) || !imap_parse_mailbox (session, arguments, &quota->name, &error)
      || !imap_parse_space (arguments, &error) || !imap_parse_open (arguments, &error)
      || !parse_limits (arguments, quota, &unknown, &error) || !imap_parse_close (arguments, &error)
      || !imap_parse_end (arguments, &error))
    imap_session_fail (session, error);
  else if (unknown)
    imap_session_no (session, "CANNOT", "Unsupported quota resource");
  else
    begin (session, g_steal_pointer (&quota), set);
}
