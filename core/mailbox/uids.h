/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arrays of uids that many hold: each holder knows how many of them are its own, and those never change. So one more
 * message costs nothing to the views that have not been told of it, and a thousand views share one array.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  gint ref; /* atomic */
  guint capacity;
  guint32 data[];
} RookUids;

RookUids *rook_uids_new (guint capacity);
RookUids *rook_uids_ref (RookUids *uids);
void rook_uids_unref (RookUids *uids);
/* Writes @uid behind the first @n: in place if there is room (nobody else may write), else into a copy that replaces *@uids. */
void rook_uids_append (RookUids **uids, guint n, guint32 uid);
/* The index of the first that is >= @uid; @n if there is none. */
guint rook_uids_find (const RookUids *uids, guint n, guint32 uid);
gboolean rook_uids_contain (const RookUids *uids, guint n, guint32 uid);
/* A new array without @drop (sorted). *@out_n: what is left. */
RookUids *rook_uids_without (const RookUids *uids, guint n, const guint32 *drop, guint n_drop, guint *out_n);

G_END_DECLS
