/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory service as the daemon sees it, and the directory that says "here".
 */
#pragma once

#include "rookery/config.h"
#include "rookery/directory.h"
#include "rookery/log.h"

G_BEGIN_DECLS

extern const RookConfigSchema rook_directory_schemas[];
RookDirectoryService *rook_directory_new (RookServer *server);
void rook_directory_free (RookDirectoryService *service);
/* @config is in force now: "here" is the answer again once it has dropped whoever answered otherwise. Main worker. */
void rook_directory_reconfigure (RookDirectoryService *service, RookConfig *config);

/* A plugin that provides the directory is about to start: until it does, nobody can be asked. Main worker. */
void rook_directory_expect (RookDirectoryService *service, const char *plugin);

/* Every mailbox is here, and nobody else need agree. */
extern const RookDirectory rook_local_directory;
/* Nobody can be asked. */
extern const RookDirectory rook_absent_directory;

/* Which plugins have provided the directory, as a file remembers it. Main worker; blocks (disk) when that changes. */
typedef struct RookDirectoryOwners RookDirectoryOwners;

RookDirectoryOwners *rook_directory_owners_new (const char *path, RookLog *log);
void rook_directory_owners_free (RookDirectoryOwners *owners);
void rook_directory_owners_add (RookDirectoryOwners *owners, const char *name);
/* Forgets those that @config has not, or has switched off. */
void rook_directory_owners_keep_wanted (RookDirectoryOwners *owners, RookConfig *config);
gboolean rook_directory_owners_is_empty (RookDirectoryOwners *owners);

G_END_DECLS
