/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The mailbox service on storage-gdbm, all its stores below one directory and with settings under which upkeep never ends; what
 * mail-script.h does there, and whether it is all there afterwards.
 */
#pragma once

#include "../unit/mail-script.h"
#include "storage-gdbm/gs-store.h"

G_BEGIN_DECLS

typedef struct {
  const char *path; /* (unowned) the stores are its folders */
  GsSettings settings;
} MailDisk;

/* Its data is a MailDisk. */
const RookStorageBackend *mail_disk_get_backend (void);

/* Progress through the script, counted from a disk without anything: two steps that make INBOXes, then its parts. */
typedef struct {
  GPtrArray *states; /* (element-type utf8) (owned) what is there, by progress */
} MailScript;

void mail_script_init (MailScript *script);
void mail_script_clear (MailScript *script);
guint mail_script_end (const MailScript *script);
/* Parts from @progress to the end of their step. @out_progress: where that is, or if it failed how far it came for certain.
 * Returns: -1, or the error's code. */
int mail_script_perform (const MailScript *script, Run *run, guint progress, guint *out_progress);
/* How far perform() may come. */
guint mail_script_next (const MailScript *script, guint progress);

/* How far it is. Aborts unless it is one of @least to @most. */
guint mail_disk_find (const MailScript *script, Run *run, guint least, guint most);
/* Aborts unless stores and mailboxes verify without a fault, once what was deleted is cleared away. */
void mail_disk_verify (Run *run);

/* Waits until all stores take batches, after a failure. */
void mail_disk_await (Run *run);

/* A checkpoint and some compaction of all stores, whether it can be done or not. */
void mail_disk_keep_up (RookMail *mail);
/* A thread that does so all the time. */
typedef struct MailUpkeep MailUpkeep;
MailUpkeep *mail_upkeep_start (Run *run);
void mail_upkeep_stop (MailUpkeep *upkeep);

G_END_DECLS
