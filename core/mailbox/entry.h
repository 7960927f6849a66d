/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the state store says of one mailbox: name, id, where it lives, who may use it. Immutable; reference counted; any
 * thread. A change is a new entry in place of the old.
 */
#pragma once

#include "rookery/mailbox.h"

G_BEGIN_DECLS

typedef struct {
  gint ref; /* atomic */
  char *id;
  char *name; /* of a tombstone: its last */
  char *partition;
  char *acl;         /* "identifier TAB rights TAB" repeated */
  char *special_use; /* (nullable) */
  gint64 *quota;     /* (nullable) it is a quota root: its limits, by RookQuotaResource */
  GStrv history;     /* (nullable) earlier names, the latest last */
  guint32 uidvalidity;
  gint64 created, changed; /* seconds since 1970 */
  guint64 change;          /* position of the last change, for durable subscribers */
  gboolean deleted;        /* a tombstone */
  gboolean cleared;        /* and nothing of its contents is left on the partition */
  GStrv left;              /* (nullable) partitions that it does not lie on, where something of it may be left */
  GStrv earlier;           /* (nullable) partitions that it lay on before, whose marks of deliveries may still count, */
  gint64 moved;            /* since then; 0: never */
  char *owner;             /* (nullable) derived from the name */
  gboolean for_others;     /* derived: somebody but the owner may have rights */
} RookEntry;

/* With a reference; the caller fills in the rest, then calls rook_entry_derive(). @base: (nullable) copied */
RookEntry *rook_entry_new (const RookEntry *base);
void rook_entry_derive (RookEntry *entry);
RookEntry *rook_entry_ref (RookEntry *entry);
void rook_entry_unref (RookEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookEntry, rook_entry_unref)
void rook_entry_set (char **slot, const char *value);
#define ROOK_ENTRY_MAX_HISTORY 20
/* Another name; the present one goes to the history. */
void rook_entry_rename (RookEntry *entry, const char *name);

/* For sets of partitions. (nullable) */
gboolean rook_entry_set_contains (GStrv set, const char *name);
void rook_entry_set_add (GStrv *set, const char *name);
void rook_entry_set_remove (GStrv *set, const char *name);

GBytes *rook_entry_encode (const RookEntry *entry);
/* (nullable) */
RookEntry *rook_entry_decode (GBytes *key, GBytes *value);

/* A fresh id, 24 characters. */
char *rook_entry_make_id (void);

/* --- names (name.c) ------------------------------------------------------------------------------------------------- */

#define ROOK_NAME_MAX_BYTES 1000
#define ROOK_NAME_MAX_DEPTH 50

/* Order of names: "/" before everything else, so that what is below a mailbox comes right behind it. */
gint rook_name_compare (gconstpointer a, gconstpointer b, gpointer unused);
gboolean rook_name_is_below (const char *name, const char *ancestor);
char *rook_name_dup_parent (const char *name); /* (nullable) */
/* "user/NAME" or the first component: what changes of names lock. */
char *rook_name_dup_root (const char *name);
gboolean rook_name_is_inbox (const char *name);
/* Why no new mailbox may have this valid name, as a sentence for clients; %NULL: it may. Names that are there already, or
 * come by replication, are not asked. */
const char *rook_name_get_fault (const char *internal);
/* The INBOX of @user. */
char *rook_name_of_user (const char *user);

/* --- rights (acl.c) ------------------------------------------------------------------------------------------------- */

typedef enum {
  ROOK_RIGHT_LOOKUP = 1 << 0,     /* l */
  ROOK_RIGHT_READ = 1 << 1,       /* r */
  ROOK_RIGHT_SEEN = 1 << 2,       /* s */
  ROOK_RIGHT_WRITE = 1 << 3,      /* w */
  ROOK_RIGHT_INSERT = 1 << 4,     /* i */
  ROOK_RIGHT_POST = 1 << 5,       /* p */
  ROOK_RIGHT_CREATE = 1 << 6,     /* k */
  ROOK_RIGHT_DELETE_BOX = 1 << 7, /* x */
  ROOK_RIGHT_DELETE_MSG = 1 << 8, /* t */
  ROOK_RIGHT_EXPUNGE = 1 << 9,    /* e */
  ROOK_RIGHT_ADMIN = 1 << 10,     /* a */
  ROOK_RIGHT_ANNOTATE = 1 << 11,  /* n */
  ROOK_RIGHTS_ALL = (1 << 12) - 1
} RookRights;
#define ROOK_RIGHTS_USE                                                                                               \
  (ROOK_RIGHT_READ | ROOK_RIGHT_SEEN | ROOK_RIGHT_WRITE | ROOK_RIGHT_INSERT | ROOK_RIGHT_POST | ROOK_RIGHT_DELETE_MSG \
   | ROOK_RIGHT_EXPUNGE)

/* %FALSE: a letter that is no right. `c` means k and x, `d` means t, e and x (RFC 4314 2.1.1). */
gboolean rook_rights_parse (const char *text, RookRights *out_rights);
char *rook_rights_to_text (RookRights rights);
/* @identity %NULL: everything. */
RookRights rook_entry_get_rights (const RookEntry *entry, RookIdentity *identity);
/* What anybody has who is not known. */
RookRights rook_entry_get_anonymous_rights (const RookEntry *entry);
/* @acl with @identifier's rights changed as SETACL says. (transfer full); %NULL: bad rights or identifier. */
char *rook_acl_change (const char *acl, const char *identifier, const char *rights);
/* "@identifier TAB all rights TAB" */
char *rook_acl_for_owner (const char *owner);
/* From the config's form, "anyone lrs;group:staff lrswip". (nullable) */
char *rook_acl_from_list (const char *const *list);

G_END_DECLS
