/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A session: one LMTP client (RFC 2033), from its greeting to its end. Lives on its connection's worker.
 *
 * Each line is a command; while one is being carried out the connection is paused. A transaction is MAIL, RCPT ..., DATA;
 * its message is delivered and answered with one reply a recipient, in their order.
 */
#pragma once

#include "rookery/delivery.h"
#include "rookery/net.h"

#include "lmtp/envelope.h"
#include "lmtp/lmtp.h"
#include "lmtp/message.h"

typedef struct LmtpSession LmtpSession;

typedef struct {
  RookRecipient *recipient; /* (owned) */
  gboolean ignore_quota;
  char *reply; /* (owned) (nullable) after DATA, once it is known */
} LmtpRecipient;

struct LmtpSession {
  guint references;
  Lmtp *lmtp;                 /* (owned) */
  RookServer *server;         /* (unowned) outlives us */
  RookConnection *connection; /* (unowned) (nullable) NULL once it is closed */
  LmtpLimits limits;
  char *lhlo;                 /* (owned) (nullable) before LHLO */
  RookIdentity *identity;     /* (owned) (nullable) who has authenticated */
  RookAuthExchange *exchange; /* (owned) (nullable) */
  RookIdentity *proven;       /* (owned) (nullable) by an exchange whose last word the client has yet to answer */
  /* The transaction: */
  gboolean in_mail;
  LmtpEnvelope mail;     /* (owned) */
  RookIdentity *sender;  /* (owned) (nullable) by MAIL AUTH= */
  GPtrArray *recipients; /* (owned) (element-type LmtpRecipient) */
  gboolean ignore_quota; /* of the RCPT being resolved */
  LmtpMessage message;   /* (owned) being received */
  guint answered;        /* recipients whose reply was written */
  /* The command being carried out: */
  gint command; /* index in lmtp_commands; -1: none */
  gint64 started_us;
  void (*line) (LmtpSession *session, char *line); /* (nullable) takes a line that is no command: AUTH */
  guint bad_commands;
  gboolean ending, draining;
};

typedef struct {
  const char *name; /* upper case */
  gboolean needs_lhlo;
  /* @arguments: what follows the name and spaces; "" if nothing does */
  void (*run) (LmtpSession *session, char *arguments);
} LmtpCommand;
/* LMTP_N_COMMANDS of them. */
extern const LmtpCommand lmtp_commands[];
extern const RookProtocol lmtp_protocol;

LmtpSession *lmtp_session_ref (LmtpSession *self);
void lmtp_session_unref (LmtpSession *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (LmtpSession, lmtp_session_unref)

/* Ends the command in hand with a reply line (without line end), or one of printf's. */
void lmtp_session_reply (LmtpSession *self, const char *reply);
void lmtp_session_replyf (LmtpSession *self, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* The same for the client's mistakes: counted. */
void lmtp_session_bad (LmtpSession *self, const char *reply);
/* The command has been answered. */
void lmtp_session_done (LmtpSession *self);
/* Says this and closes. */
void lmtp_session_close (LmtpSession *self, const char *reply);
/* The same when the connection is drained. */
void lmtp_session_leave (LmtpSession *self);
/* Forgets the transaction. */
void lmtp_session_reset (LmtpSession *self);
/* Whether the client may send mail. */
gboolean lmtp_session_may_send (LmtpSession *self);
void lmtp_recipient_free (gpointer recipient);

void lmtp_cmd_auth (LmtpSession *session, char *arguments);
void lmtp_cmd_data (LmtpSession *session, char *arguments);
void lmtp_cmd_lhlo (LmtpSession *session, char *arguments);
void lmtp_cmd_mail (LmtpSession *session, char *arguments);
void lmtp_cmd_noop (LmtpSession *session, char *arguments);
void lmtp_cmd_quit (LmtpSession *session, char *arguments);
void lmtp_cmd_rcpt (LmtpSession *session, char *arguments);
void lmtp_cmd_rset (LmtpSession *session, char *arguments);
void lmtp_cmd_starttls (LmtpSession *session, char *arguments);
void lmtp_cmd_vrfy (LmtpSession *session, char *arguments);
/* cmd-data.c: the message comes in. */
void lmtp_data_add (LmtpSession *session, const guint8 *data, gsize length, gboolean last);
