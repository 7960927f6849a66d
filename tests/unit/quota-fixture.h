/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls of quota made to wait, for tests alone.
 */
#pragma once

#include "mail-fixture.h"

G_BEGIN_DECLS

/* "1000/2000 3/- 1/- 0/-": usage and limit of each resource. The error's code: "code 3"; none: "none". */
char *quota_text (Fixture *f, RookIdentity *identity, const char *root);
/* The same by a mailbox below, with the root's name before it. */
char *mailbox_quota_text (Fixture *f, RookIdentity *identity, const char *name);
void assert_quota (Fixture *f, const char *root, const char *expected);
/* Returns: the code. A limit of -1: none. */
int try_set_quota (Fixture *f, RookIdentity *identity, const char *root, gint64 storage, gint64 messages,
                   gint64 mailboxes);
/* It must succeed, and all of it is written. */
void must_set_quota (Fixture *f, const char *root, gint64 storage, gint64 messages, gint64 mailboxes);
int try_remove_quota (Fixture *f, const char *root);
/* A message of @size bytes, at least 100; the code. */
int try_append (Fixture *f, const char *name, gsize size);
int try_append_as (Fixture *f, const char *name, gsize size, gboolean ignore, gboolean overshoot);
GBytes *message_of_size (gsize size);
int try_create (Fixture *f, RookIdentity *identity, const char *name);
int try_delete (Fixture *f, RookIdentity *identity, const char *name);
/* The first @n messages of @name. */
int try_copy (Fixture *f, const char *name, guint n, const char *destination, gboolean move);
/* Expunges the first @n. */
int try_expunge (Fixture *f, const char *name, guint n);

G_END_DECLS
