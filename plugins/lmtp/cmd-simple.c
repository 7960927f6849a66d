/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The commands that are one reply: RSET, NOOP, VRFY, QUIT.
 */
#include "lmtp/session.h"

void
lmtp_cmd_rset (LmtpSession *session, char *arguments G_GNUC_UNUSED)
{
  lmtp_session_reset (session);
  lmtp_session_reply (session, "250 2.0.0 Ok");
}

void
lmtp_cmd_noop (LmtpSession *session, char *arguments G_GNUC_UNUSED)
{
  lmtp_session_reply (session, "250 2.0.0 Ok");
}

void
lmtp_cmd_vrfy (LmtpSession *session, char *arguments)
{
  if (arguments[0] == '\0')
    lmtp_session_bad (session, "501 5.5.4 VRFY needs an address");
  else
    lmtp_session_reply (session, "252 2.5.2 Try RCPT");
}

void
lmtp_cmd_quit (LmtpSession *session, char *arguments G_GNUC_UNUSED)
{
  lmtp_session_close (session, "221 2.0.0 Bye");
  lmtp_session_done (session);
}
