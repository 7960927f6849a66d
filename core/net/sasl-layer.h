/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The border to the authentication service: how a negotiated security layer becomes a filter.
 */
#pragma once

#include "net/filter.h"

G_BEGIN_DECLS

/* Returns: %FALSE if @exchange negotiated none; else *@out_layer is filled and stays good when @exchange is freed. */
gboolean rook_sasl_layer_take (RookAuthExchange *exchange, RookSaslLayer *out_layer);

G_END_DECLS
