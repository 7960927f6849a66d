# SPDX-License-Identifier: LGPL-2.1-or-later

rookinclude_HEADERS += \
	%D%/macros.h
