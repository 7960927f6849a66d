/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of commands.
 */
#include "imap/commands.h"

#define ROW(name_, states_, flags_, run_)                  \
  {                                                        \
    sizeof (RookImapCommand), name_, states_, flags_, run_ \
  }

/* clang-format off */
const RookImapCommand imap_commands[] = {
  ROW ("APPEND",       ROOK_IMAP_LOGGED_IN,         ROOK_IMAP_COMMAND_MESSAGE,    imap_cmd_append),
  ROW ("AUTHENTICATE", ROOK_IMAP_NOT_AUTHENTICATED, 0,                            imap_cmd_authenticate),
  ROW ("CAPABILITY",   ROOK_IMAP_ANY,               0,                            imap_cmd_capability),
  ROW ("CHECK",        ROOK_IMAP_SELECTED,          0,                            imap_cmd_check),
  ROW ("CLOSE",        ROOK_IMAP_SELECTED,          ROOK_IMAP_COMMAND_NO_UPDATES, imap_cmd_close),
  ROW ("COPY",         ROOK_IMAP_SELECTED,          ROOK_IMAP_COMMAND_UID,        imap_cmd_copy),
  ROW ("CREATE",       ROOK_IMAP_LOGGED_IN,         0,                            imap_cmd_create),
  ROW ("DELETE",       ROOK_IMAP_LOGGED_IN,         0,                            imap_cmd_delete),
  ROW ("ENABLE",       ROOK_IMAP_LOGGED_IN,         0,                            imap_cmd_enable),
  ROW ("EXAMINE",      ROOK_IMAP_LOGGED_IN,         ROOK_IMAP_COMMAND_NO_UPDATES, imap_cmd_examine),
  ROW ("EXPUNGE",      ROOK_IMAP_SELECTED,          ROOK_IMAP_COMMAND_UID,        imap_cmd_expunge),
  ROW ("FETCH",        ROOK_IMAP_SELECTED,          ROOK_IMAP_COMMAND_UID | ROOK_IMAP_COMMAND_NO_EXPUNGE, imap_cmd_fetch),
  ROW ("GETQUOTA",     ROOK_IMAP_LOGGED_IN,         0,                            imap_cmd_getquota),
  ROW ("GETQUOTAROOT", ROOK_IMAP_LOGGED_IN,         0,                            imap_cmd_getquotaroot),
  ROW ("ID",           ROOK_IMAP_ANY,               0,                            imap_cmd_id),
  ROW ("IDLE",         ROOK_IMAP_LOGGED_IN,         0,                            imap_cmd_idle),
  ROW ("LIST",         ROOK_IMAP_LOGGED_IN,         0,                            imap_cmd_list),
  ROW ("LOGIN",        ROOK_IMAP_NOT_AUTHENTICATED, 0,                            imap_cmd_login),
  ROW ("LOGOUT",       ROOK_IMAP_ANY,               ROOK_IMAP_COMMAND_NO_UPDATES, imap_cmd_logout),
  ROW ("LSUB",         ROOK_IMAP_LOGGED_IN,         0,                            imap_cmd_lsub),
  ROW ("MOVE",         ROOK_IMAP_SELECTED,          ROOK_IMAP_COMMAND_UID,        imap_cmd_move),
  ROW ("NAMESPACE",    ROOK_IMAP_LOGGED_IN,         0,                            imap_cmd_namespace),
  ROW ("NOOP",         ROOK_IMAP_ANY,               0,                            imap_cmd_noop),
  ROW ("RENAME",       ROOK_IMAP_LOGGED_IN,         0,                            imap_cmd_rename),
  ROW ("SEARCH",       ROOK_IMAP_SELECTED,          ROOK_IMAP_COMMAND_UID | ROOK_IMAP_COMMAND_NO_EXPUNGE, imap_cmd_search),
  ROW ("SELECT",       ROOK_IMAP_LOGGED_IN,         ROOK_IMAP_COMMAND_NO_UPDATES, imap_cmd_select),
  ROW ("SETQUOTA",     ROOK_IMAP_LOGGED_IN,         0,                            imap_cmd_setquota),
  ROW ("STARTTLS",     ROOK_IMAP_NOT_AUTHENTICATED, 0,                            imap_cmd_starttls),
  ROW ("STATUS",       ROOK_IMAP_LOGGED_IN,         0,                            imap_cmd_status),
  ROW ("STORE",        ROOK_IMAP_SELECTED,          ROOK_IMAP_COMMAND_UID | ROOK_IMAP_COMMAND_NO_EXPUNGE, imap_cmd_store),
  ROW ("SUBSCRIBE",    ROOK_IMAP_LOGGED_IN,         0,                            imap_cmd_subscribe),
  ROW ("UNSELECT",     ROOK_IMAP_SELECTED,          ROOK_IMAP_COMMAND_NO_UPDATES, imap_cmd_unselect),
  ROW ("UNSUBSCRIBE",  ROOK_IMAP_LOGGED_IN,         0,                            imap_cmd_unsubscribe),
  { 0 },
};
/* clang-format on */
