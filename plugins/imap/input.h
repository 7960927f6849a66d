/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Input: lines and literals as they come, gathered into one whole command.
 *
 * The session feeds it; it says what must be read next. Limits are watched here: what crosses one is swallowed, not kept,
 * until the command is over, and then refused as a whole.
 */
#pragma once

#include "imap/parse.h"

typedef struct {
  GPtrArray *parts;  /* (owned) (element-type GBytes) text, literal, text ...: what ImapParser reads */
  GByteArray *bytes; /* (owned) (nullable) of the literal being read */
  guint64 total;     /* bytes of all parts but a message's */
  guint64 expected;  /* of the literal being read */
  gboolean message;  /* a message is among the parts, or being read */
  gboolean dropping; /* the literal being read is thrown away */
  GError *error;     /* (owned) (nullable) why the command will be refused */
  const char *code;  /* (nullable) response code that goes with it, "TOOBIG" */
} ImapInput;

typedef enum {
  IMAP_INPUT_COMPLETE,     /* parse it (or refuse it, if there is an error) */
  IMAP_INPUT_LITERAL,      /* read `expected` bytes */
  IMAP_INPUT_LITERAL_SYNC, /* the same after a continuation request */
  IMAP_INPUT_HOPELESS      /* a literal so large that not even throwing it away makes sense: say BYE */
} ImapInputResult;

/* A LITERAL+ beyond this is not swallowed: 4 GiB. */
#define IMAP_INPUT_SWALLOW_MAX (G_GUINT64_CONSTANT (1) << 32)

void imap_input_init (ImapInput *self);
void imap_input_clear (ImapInput *self);
/* Makes it ready for the next command. */
void imap_input_reset (ImapInput *self);
gboolean imap_input_is_empty (const ImapInput *self);

/* A line without its line end. @message: the command takes a message, held to limits->message and not counted otherwise.
 * It is one literal, the first that may be it: a word of its own behind the first argument. All others are held to the
 * limits of literals. */
ImapInputResult imap_input_line (ImapInput *self, const ImapLimits *limits, const char *line, gsize length,
                                 gboolean message);
/* A piece of the literal; the next line follows when all of it has come. */
void imap_input_data (ImapInput *self, const guint8 *data, gsize length);

/* The first words of a command's first line: the tag, its name in upper case, after UID the name of that. Whatever is not
 * there is %NULL. @out_name: (out) (transfer full) (nullable) "FETCH"; @out_uid: it was "UID FETCH" */
void imap_input_peek (const char *line, gsize length, char **out_tag, char **out_name, gboolean *out_uid);
