/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A command's way: from the input that is whole to its tagged answer.
 */
#pragma once

#include "imap/session.h"

/* The session's input is one whole command: carries it out, or refuses it. */
void imap_call_begin (ImapSession *session);
void imap_call_clear (ImapSession *session);
