/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The plugin's own object: its settings, and the tables of commands and capabilities with what others added.
 */
#pragma once

#include "rookery/metrics.h"

#include "imap/imap-1.h"
#include "imap/limits.h"

/* A command as it is known to sessions. */
typedef struct ImapEntry ImapEntry;
struct ImapEntry {
  gatomicrefcount references;
  const RookImapCommand *command;
  gpointer data;
  RookPlugin *plugin; /* (owned) (nullable) NULL: one of our own */
  RookHistogram *latency;
};

/* @plugin: (nullable) %NULL in tests: no metrics, no other plugins. */
RookImap *imap_new (RookPlugin *plugin, RookConfigGroup *config);
RookImap *imap_ref (RookImap *self);
void imap_unref (RookImap *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RookImap, imap_unref)

/* The keys of [plugin imap]. */
extern const RookConfigKey imap_keys[];
/* Applies the live keys. */
void imap_reconfigure (RookImap *self, RookConfigGroup *config);
/* What is in force now: a copy. Any thread. */
void imap_get_limits (RookImap *self, ImapLimits *out_limits);
RookPlugin *imap_get_plugin (RookImap *self);
RookCounter *imap_get_bad_counter (RookImap *self);

/* @name: upper case. (transfer full) (nullable) */
ImapEntry *imap_find_command (RookImap *self, const char *name);
void imap_entry_unref (ImapEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ImapEntry, imap_entry_unref)

/* "IMAP4rev1 IDLE ...": what is offered to @session now. (transfer full) */
char *imap_list_capabilities (RookImap *self, RookImapSession *session);

/* What other plugins register; see imap-1.h. */
gboolean imap_add_command (RookImap *self, RookPlugin *plugin, const RookImapCommand *command, gpointer data,
                           GError **error);
gboolean imap_add_capability (RookImap *self, RookPlugin *plugin, const RookImapCapability *capability, gpointer data,
                              GError **error);
extern const RookImapInterface imap_interface;

/* commands.c and capabilities.c: our own, each table ended by a NULL name. */
extern const RookImapCommand imap_commands[];
extern const RookImapCapability imap_capabilities[];
