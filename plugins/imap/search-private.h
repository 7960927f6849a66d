/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tree of a SEARCH program.
 */
#pragma once

#include "imap/search.h"

typedef enum {
  IMAP_KEY_AND,
  IMAP_KEY_OR,
  IMAP_KEY_NOT,
  IMAP_KEY_SET,     /* set */
  IMAP_KEY_FLAGS,   /* flags_set and flags_unset; ALL has none */
  IMAP_KEY_KEYWORD, /* name */
  IMAP_KEY_LARGER,
  IMAP_KEY_SMALLER,
  IMAP_KEY_DATE,   /* order, day: of the internal date */
  IMAP_KEY_SENT,   /* of the Date field */
  IMAP_KEY_HEADER, /* name, text */
  IMAP_KEY_BODY,
  IMAP_KEY_TEXT
} ImapSearchKind;

typedef struct {
  ImapSearchKind kind;
  GPtrArray *children; /* (owned) (nullable) (element-type ImapSearchNode) */
  GArray *set;         /* (owned) (nullable) (element-type ImapRange) as written; once bound, of sequence numbers */
  gboolean uids;       /* the set was written in UIDs */
  RookFlags flags_set, flags_unset;
  char *name;       /* (owned) (nullable) */
  char *text;       /* (owned) (nullable) folded */
  guint text_index; /* among the keys that need a message's text; set by imap_search_scan_new() */
  enum { IMAP_BEFORE, IMAP_ON, IMAP_SINCE } order;
  gint32 day;
  guint64 size;
} ImapSearchNode;

void imap_search_node_free (ImapSearchNode *node);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ImapSearchNode, imap_search_node_free)

struct ImapSearch {
  char *charset;        /* (owned) (nullable) */
  ImapSearchNode *root; /* (owned) an AND */
};
