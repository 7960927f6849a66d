/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The argument parser: a cursor over one whole command, its lines and its literals.
 *
 * Each function reads one thing of RFC 3501's grammar at the cursor and moves it, or fails with %IMAP_PARSE_ERROR and a
 * text fit for the client, leaving its out-parameters alone. Nothing here knows a session.
 */
#pragma once

#include "rookery/mailbox.h"

#include "imap/limits.h"

#define IMAP_PARSE_ERROR (imap_parse_error_quark ())
GQuark imap_parse_error_quark (void);
typedef enum {
  IMAP_PARSE_ERROR_SYNTAX, /* not what the grammar says */
  IMAP_PARSE_ERROR_LIMIT,  /* a limit crossed */
  IMAP_PARSE_ERROR_CHARSET /* a charset that nobody here knows */
} ImapParseError;

typedef struct RookImapParser ImapParser;
struct RookImapParser {
  const ImapLimits *limits; /* (unowned) */
  GPtrArray *parts;         /* (unowned) (element-type GBytes): text, literal, text, literal ... text */
  guint part;               /* the text that the cursor is in */
  const char *pos, *end;
  guint n_arguments; /* so far */
  guint depth;       /* of open lists */
};

/* @parts must outlive the parser. */
void imap_parser_init (ImapParser *self, const ImapLimits *limits, GPtrArray *parts);

/* The next byte, or 0 at the end of the command. A literal begins with '{'. */
char imap_parser_peek (const ImapParser *self);
gboolean imap_parse_space (ImapParser *self, GError **error);
gboolean imap_parse_end (ImapParser *self, GError **error);
/* Exactly this byte. */
gboolean imap_parse_char (ImapParser *self, char c, GError **error);
/* Whether the cursor was at @c, which it then has passed. */
gboolean imap_parse_try_char (ImapParser *self, char c);
/* Whether the word @word (in any case) stood there, ended by something that is no atom character; it is then passed. */
gboolean imap_parse_try_word (ImapParser *self, const char *word);

/* Lists: count the nesting. */
gboolean imap_parse_open (ImapParser *self, GError **error);
gboolean imap_parse_close (ImapParser *self, GError **error);
/* One more level without a parenthesis (NOT, OR), and its end. */
gboolean imap_parse_enter (ImapParser *self, GError **error);
void imap_parse_leave (ImapParser *self);

/* All strings: (transfer full), NUL-terminated, without NUL inside. */
gboolean imap_parse_tag (ImapParser *self, char **out_tag, GError **error);
gboolean imap_parse_atom (ImapParser *self, char **out_atom, GError **error);
gboolean imap_parse_string (ImapParser *self, char **out_string, GError **error);
gboolean imap_parse_astring (ImapParser *self, char **out_string, GError **error);
gboolean imap_parse_nstring (ImapParser *self, char **out_string, GError **error); /* NIL: NULL */
gboolean imap_parse_list_mailbox (ImapParser *self, char **out_pattern, GError **error);
/* A literal with whatever bytes it holds. */
gboolean imap_parse_literal (ImapParser *self, GBytes **out_bytes, GError **error);

gboolean imap_parse_number (ImapParser *self, guint32 *out_number, GError **error);
gboolean imap_parse_number64 (ImapParser *self, guint64 *out_number, GError **error);
gboolean imap_parse_nz_number (ImapParser *self, guint32 *out_number, GError **error);

/* Flags: a list in parentheses, or (for STORE) without. */
typedef struct {
  RookFlags flags;
  GPtrArray *keywords; /* (owned) (element-type utf8), NULL-terminated; never NULL */
} ImapFlags;
void imap_flags_clear (ImapFlags *flags);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ImapFlags, imap_flags_clear)
gboolean imap_parse_flag_list (ImapParser *self, ImapFlags *out_flags, GError **error);
gboolean imap_parse_flags (ImapParser *self, ImapFlags *out_flags, GError **error);
/* One keyword, as in SEARCH KEYWORD. */
gboolean imap_parse_keyword (ImapParser *self, char **out_keyword, GError **error);

/* date-time of APPEND: seconds since 1970 and the zone in minutes east. */
gboolean imap_parse_date_time (ImapParser *self, gint64 *out_time, gint16 *out_zone, GError **error);
/* date of SEARCH: the day's number (days since 1970-01-01, in no zone). */
gboolean imap_parse_date (ImapParser *self, gint32 *out_day, GError **error);
