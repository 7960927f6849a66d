/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The example plugin's parts: what it knows as a whole, and the sessions of its protocol.
 *
 * One #Notify a life of the plugin, made in init and freed after fini; it is nobody's file-scope state. Workers read it
 * without a lock: what changes in it is atomic.
 */
#pragma once

#include "rookery/control.h"
#include "rookery/event.h"
#include "rookery/metrics.h"
#include "rookery/net.h"
#include "rookery/plugin.h"
#include "rookery/server.h"

G_BEGIN_DECLS

typedef struct {
  RookServer *server;   /* (unowned) outlives us */
  RookCounter *arrived; /* (unowned) the metric */
  guint64 seen;         /* messages since the plugin was started; main worker */
  gint watchers;        /* atomic: sessions that watch now */
  gint idle_ms;         /* atomic: a live setting */
  char **allow_from;    /* (owned) networks that may connect */
} Notify;

Notify *notify_new (RookPlugin *self, RookConfigGroup *config);
void notify_free (gpointer notify);
void notify_set_live (Notify *notify, RookConfigGroup *config);

extern const RookConfigKey notify_keys[];
extern const RookProtocol notify_protocol;     /* its data is the #Notify, in session.c */
extern const RookSubscriber notify_subscriber; /* counts what arrives */
extern const RookControlVerb notify_verb;      /* `rookctl notify status` */

G_END_DECLS
