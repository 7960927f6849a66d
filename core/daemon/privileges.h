/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who the process is: what it does as root, and how it stops being root.
 */
#pragma once

#include "rookery/config.h"

G_BEGIN_DECLS

typedef struct {
  gboolean root; /* started as root: will be somebody else */
  char *user;    /* (owned) */
  uid_t uid;
  gid_t gid;
} RookPrivileges;

void rook_privileges_clear (RookPrivileges *self);

/* Finds out who to be. @config: validated. Errors: no such user, or the user is root. */
gboolean rook_privileges_init (RookPrivileges *self, RookConfig *config, GError **error);

/* Descriptor and core limits, no new privileges for whatever is executed. Call before any thread is made. */
void rook_privileges_set_limits (RookConfig *config);

/* Works as the user, but can be root again: whatever is made meanwhile is the user's. */
gboolean rook_privileges_lower (const RookPrivileges *self, GError **error);
/* Only while this is the one thread there is. @files: whether to reach files as root too; else what is made (a socket's
 * file) is the user's. */
gboolean rook_privileges_raise (const RookPrivileges *self, gboolean files, GError **error);
/* The user from here on, for good; keeps the right to bind low ports, so that a listener can come back at a reload.
 * Verifies that nothing else is left. */
gboolean rook_privileges_drop (const RookPrivileges *self, GError **error);

G_END_DECLS
