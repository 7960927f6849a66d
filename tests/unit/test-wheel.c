/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The timer wheel against a clock that the test turns by hand.
 */
#include "../lib/test-budget.h"
#include "loop/loop-private.h"

typedef struct {
  RookWheel wheel;
  gint64 now_ms;
} Clock;

typedef struct {
  RookTimer timer;
  Clock *clock; /* (unowned) */
  gint64 started_ms;
  guint ms;
  guint n_calls;
  RookTimer *stops; /* (nullable) (unowned) another one, which it stops */
} Alarm;

static guint
allowed_lateness (guint ms)
{
  return MAX (20, ms / 100);
}

static void
alarm_rings (gpointer data)
{
  Alarm *alarm = data;
  gint64 late_ms = alarm->clock->now_ms - alarm->started_ms - alarm->ms;

  alarm->n_calls++;
  g_assert_cmpint (late_ms, >=, 0);
  g_assert_cmpint (late_ms, <=, allowed_lateness (alarm->ms));
  if (alarm->stops != NULL && alarm->stops->link != NULL)
    rook_wheel_remove (&alarm->clock->wheel, alarm->stops);
}

static void
alarm_set (Alarm *alarm, Clock *clock, guint ms)
{
  *alarm = (Alarm){ .clock = clock, .started_ms = clock->now_ms, .ms = ms };
  alarm->timer.func = alarm_rings;
  alarm->timer.data = alarm;
  alarm->timer.due_ms = clock->now_ms + ms;
  rook_wheel_add (&clock->wheel, &alarm->timer, clock->now_ms);
}

static void
clock_init (Clock *clock)
{
  clock->now_ms = 123456789;
  rook_wheel_init (&clock->wheel, clock->now_ms);
}

/* Sleeps as a worker does: to the next slot. Returns: the number of wake-ups. */
static guint
clock_run (Clock *clock, gint64 until_ms)
{
  guint n = 0;

  while (rook_wheel_next (&clock->wheel) <= until_ms)
    {
      clock->now_ms = MAX (clock->now_ms, rook_wheel_next (&clock->wheel));
      rook_wheel_run (&clock->wheel, clock->now_ms);
      n++;
    }
  clock->now_ms = MAX (clock->now_ms, until_ms);
  return n;
}

static void
test_every_length_in_time (void)
{
  Clock clock;
  Alarm alarm;

  clock_init (&clock);
  for (guint64 ms = 0; ms < G_MAXUINT / 2; ms = ms * 21 / 20 + 1)
    {
      alarm_set (&alarm, &clock, ms);
      g_assert_cmpuint (clock_run (&clock, clock.now_ms + ms + allowed_lateness (ms)), ==, 1);
      g_assert_cmpuint (alarm.n_calls, ==, 1);
    }
  g_assert_cmpint (rook_wheel_next (&clock.wheel), ==, G_MAXINT64);
}

static void
many_at_random (void)
{
  g_autofree Alarm *alarms = g_new0 (Alarm, 5000);
  Clock clock;
  guint n_rung = 0;

  clock_init (&clock);
  for (guint i = 0; i < 5000; i++)
    {
      alarm_set (&alarms[i], &clock, g_test_rand_int_range (0, 1 << g_test_rand_int_range (1, 24)));
      clock_run (&clock, clock.now_ms + g_test_rand_int_range (0, 50));
    }
  clock_run (&clock, clock.now_ms + (1 << 25));
  for (guint i = 0; i < 5000; i++)
    n_rung += alarms[i].n_calls;
  g_assert_cmpuint (n_rung, ==, 5000);
}

static void
test_many_at_random (void)
{
  gint64 end = test_budget_end (0.1);

  do
    many_at_random ();
  while (g_get_monotonic_time () < end);
}

static void
test_stopped_is_not_called (void)
{
  Clock clock;
  Alarm first, second;

  clock_init (&clock);
  alarm_set (&first, &clock, 1000);
  alarm_set (&second, &clock, 1000);
  first.stops = &second.timer;
  second.stops = &first.timer;
  clock_run (&clock, clock.now_ms + 5000);
  g_assert_cmpuint (first.n_calls + second.n_calls, ==, 1);
  g_assert_cmpuint (clock.wheel.n_timers, ==, 0);
}

static void
test_no_wakeup_for_stopped (void)
{
  Clock clock;
  Alarm alarm;

  clock_init (&clock);
  alarm_set (&alarm, &clock, 1000);
  rook_wheel_remove (&clock.wheel, &alarm.timer);
  g_assert_cmpint (rook_wheel_next (&clock.wheel), ==, G_MAXINT64);
}

static void
test_after_a_standstill (void)
{
  g_autofree Alarm *alarms = g_new0 (Alarm, 1000);
  Alarm far;
  Clock clock;

  clock_init (&clock);
  alarm_set (&far, &clock, 1000 * 3600 * 24);
  clock.now_ms += 3600 * 1000; /* an hour of sleep with nothing due */
  for (guint i = 0; i < 1000; i++)
    alarm_set (&alarms[i], &clock, i * 10);
  clock_run (&clock, clock.now_ms + 20000);
  for (guint i = 0; i < 1000; i++)
    g_assert_cmpuint (alarms[i].n_calls, ==, 1);
  clock_run (&clock, clock.now_ms + 1000 * 3600 * 24);
  g_assert_cmpuint (far.n_calls, ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/loop/wheel/never-early-and-late-by-20-ms-or-a-hundredth", test_every_length_in_time);
  g_test_add_func ("/loop/wheel/each-of-many-fires-once", test_many_at_random);
  g_test_add_func ("/loop/wheel/a-stopped-timer-is-not-called", test_stopped_is_not_called);
  g_test_add_func ("/loop/wheel/a-stopped-timer-wakes-nobody", test_no_wakeup_for_stopped);
  g_test_add_func ("/loop/wheel/right-after-a-standstill", test_after_a_standstill);
  return g_test_run ();
}
