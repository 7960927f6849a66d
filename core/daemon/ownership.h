/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which directories and files the server trusts: its own, that others can't change, nor read where that matters.
 */
#pragma once

#include "daemon/privileges.h"

G_BEGIN_DECLS

/* Makes the state and run directories if they are missing. What is there already has been checked. */
gboolean rook_ownership_prepare (const RookPrivileges *self, RookConfig *config, GError **error);

/* Adds a mistake for each thing that others could change, or that is somebody else's, naming the path, what was expected
 * and what to do. Looked at are the state and run directories, the state store and the partitions with what lies at their
 * top, and the password file. No side effects; of a directory's files with the same fault one is named, and how many more
 * there are. */
void rook_ownership_check (RookConfig *config, GPtrArray *mistakes);

G_END_DECLS
