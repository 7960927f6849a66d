/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a FETCH asks for: the items of RFC 3501 6.4.5, parsed.
 */
#pragma once

#include "imap/parse.h"

typedef enum {
  IMAP_FETCH_FLAGS,
  IMAP_FETCH_UID,
  IMAP_FETCH_INTERNALDATE,
  IMAP_FETCH_SIZE,
  IMAP_FETCH_ENVELOPE,
  IMAP_FETCH_BODY, /* the structure, without extension data */
  IMAP_FETCH_BODYSTRUCTURE,
  IMAP_FETCH_SECTION /* bytes: BODY[...], RFC822, RFC822.HEADER, RFC822.TEXT */
} ImapFetchKind;

typedef enum {
  IMAP_SECTION_ALL, /* BODY[] and BODY[1.2] */
  IMAP_SECTION_HEADER,
  IMAP_SECTION_HEADER_FIELDS,
  IMAP_SECTION_HEADER_FIELDS_NOT,
  IMAP_SECTION_TEXT,
  IMAP_SECTION_MIME
} ImapSectionKind;

typedef struct {
  ImapFetchKind kind;
  /* Of sections: */
  ImapSectionKind section;
  char *part;    /* (owned) "1.2", or "" for the message */
  char **fields; /* (owned) (nullable) */
  gboolean peek; /* does not set \Seen */
  gboolean partial;
  guint64 offset, length; /* of the partial; all: 0, G_MAXUINT64 */
  char *label;            /* (owned) how the answer names it: "BODY[1.MIME]<0>" */
} ImapFetchItem;

typedef struct {
  GArray *items;       /* (owned) (element-type ImapFetchItem) */
  gboolean flags, uid; /* asked for */
  gboolean needs_mime; /* structure or envelope */
  gboolean sets_seen;
} ImapFetchItems;

void imap_fetch_items_clear (ImapFetchItems *items);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ImapFetchItems, imap_fetch_items_clear)

/* A macro, one item, or a list of items. */
gboolean imap_parse_fetch_items (ImapParser *parser, ImapFetchItems *out_items, GError **error);
/* Adds UID in front if it was not asked for: UID FETCH. */
void imap_fetch_items_require_uid (ImapFetchItems *items);
