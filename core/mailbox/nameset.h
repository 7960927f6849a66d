/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A set of mailbox names in their order (rook_name_compare()), packed: the bytes of a name, its NUL, and four bytes for its place.
 * All users' subscriptions are in memory, so that is what one costs. Adding and taking away moves the places behind it.
 */
#pragma once

#include "rookery/macros.h"

G_BEGIN_DECLS

typedef struct {
  char *text;    /* (owned) (nullable) names with their NULs, in any order, and between them what was taken away */
  guint32 *at;   /* (owned) (nullable) where each begins, in the order of the names */
  guint32 n;     /* names */
  guint32 room;  /* for which @at has room */
  guint32 size;  /* bytes of @text that are used, */
  guint32 space; /* and those that are there */
  guint32 dead;  /* bytes of what was taken away */
} RookNameSet;

void rook_name_set_clear (RookNameSet *set);
static inline const char *
rook_name_set_get (const RookNameSet *set, guint i)
{
  return set->text + set->at[i];
}
gboolean rook_name_set_contains (const RookNameSet *set, const char *name);
/* The first that is not below @name in the order; @after: nor @name itself. @set->n: there is none. */
guint rook_name_set_bound (const RookNameSet *set, const char *name, gboolean after);
/* %FALSE: nothing has changed. */
gboolean rook_name_set_add (RookNameSet *set, const char *name);
gboolean rook_name_set_remove (RookNameSet *set, const char *name);
/* For reading many: as they come, then in order, none twice, and no more memory than they need. */
void rook_name_set_append (RookNameSet *set, const char *name);
void rook_name_set_sort (RookNameSet *set);
/* Bytes of memory, the set itself included. */
gsize rook_name_set_get_memory (const RookNameSet *set);

G_END_DECLS
