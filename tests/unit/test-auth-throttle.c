/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The growing delay, on a clock of the test's own.
 */
#include "auth/auth-internal.h"

static const RookAuthDelays delays = {
  .first_ms = 1000, .growth = 200, .cap_ms = 30000, .memory_ms = 600000, .table = 1000, .tolerance = 3
};

typedef struct {
  RookThrottle *throttle;
  gint64 now_ms;
} Clock;

/* Each attempt a minute apart but for the memory: far enough that no answer waits for one before. */
static guint
attempt (Clock *clock, const char *address, const char *user, RookGuess guess)
{
  clock->now_ms += 31000;
  return rook_throttle_settle (clock->throttle, &delays, address, address, user, guess, clock->now_ms);
}

static void
clock_clear (Clock *clock)
{
  rook_throttle_free (clock->throttle);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Clock, clock_clear)

static void
test_grows_to_the_cap (void)
{
  g_auto (Clock) clock = { rook_throttle_new (), 0 };
  static const guint wanted[] = { 0, 1000, 2000, 4000, 8000, 16000, 30000, 30000 };

  for (guint i = 0; i < G_N_ELEMENTS (wanted); i++)
    g_assert_cmpuint (attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_WRONG), ==, wanted[i]);
}

static void
test_success_is_late_too_and_resets (void)
{
  g_auto (Clock) clock = { rook_throttle_new (), 0 };

  attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_WRONG);
  attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_WRONG);
  g_assert_cmpuint (attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_RIGHT), ==, 2000);
  g_assert_cmpuint (attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_RIGHT), ==, 0);
  g_assert_cmpuint (rook_throttle_get_size (clock.throttle), ==, 0);
}

/* As late as others, so that a right password can't be told from how fast it is refused; and no way to be forgiven. */
static void
test_no_guess_is_late_too_and_changes_nothing (void)
{
  g_auto (Clock) clock = { rook_throttle_new (), 0 };

  g_assert_cmpuint (attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_NONE), ==, 0);
  g_assert_cmpuint (rook_throttle_get_size (clock.throttle), ==, 0);
  attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_WRONG);
  attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_WRONG);
  g_assert_cmpuint (attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_NONE), ==, 2000);
  g_assert_cmpuint (attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_NONE), ==, 2000);
  g_assert_cmpuint (attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_WRONG), ==, 2000);
}

static void
test_nobody_locks_out_another (void)
{
  g_auto (Clock) clock = { rook_throttle_new (), 0 };

  for (guint i = 0; i < 100; i++)
    attempt (&clock, "192.0.2.66", "alice", ROOK_GUESS_WRONG);
  g_assert_cmpuint (attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_RIGHT), ==, 0);
}

static void
test_address_after_its_tolerance (void)
{
  g_auto (Clock) clock = { rook_throttle_new (), 0 };

  g_assert_cmpuint (attempt (&clock, "192.0.2.1", "a", ROOK_GUESS_WRONG), ==, 0);
  g_assert_cmpuint (attempt (&clock, "192.0.2.1", "b", ROOK_GUESS_WRONG), ==, 0);
  g_assert_cmpuint (attempt (&clock, "192.0.2.1", "c", ROOK_GUESS_WRONG), ==, 0);
  g_assert_cmpuint (attempt (&clock, "192.0.2.1", "d", ROOK_GUESS_WRONG), ==, 0);
  g_assert_cmpuint (attempt (&clock, "192.0.2.1", "e", ROOK_GUESS_WRONG), ==, 1000);
  g_assert_cmpuint (attempt (&clock, "192.0.2.1", "f", ROOK_GUESS_WRONG), ==, 2000);
  g_assert_cmpuint (attempt (&clock, "192.0.2.2", "g", ROOK_GUESS_WRONG), ==, 0);
}

static void
test_own_account_buys_no_guesses (void)
{
  g_auto (Clock) clock = { rook_throttle_new (), 0 };

  for (guint i = 0; i < 6; i++)
    {
      g_autofree char *victim = g_strdup_printf ("victim%u", i);

      attempt (&clock, "192.0.2.1", victim, ROOK_GUESS_WRONG);
      attempt (&clock, "192.0.2.1", "mallory", ROOK_GUESS_RIGHT);
    }
  g_assert_cmpuint (attempt (&clock, "192.0.2.1", "next", ROOK_GUESS_WRONG), >=, 4000);
}

static void
test_own_mistakes_are_forgiven_to_the_address (void)
{
  g_auto (Clock) clock = { rook_throttle_new (), 0 };

  attempt (&clock, "192.0.2.1", "other", ROOK_GUESS_WRONG);
  for (guint i = 0; i < 5; i++)
    attempt (&clock, "192.0.2.1", "clumsy", ROOK_GUESS_WRONG);
  attempt (&clock, "192.0.2.1", "clumsy", ROOK_GUESS_RIGHT);
  g_assert_cmpuint (attempt (&clock, "192.0.2.1", "third", ROOK_GUESS_WRONG), ==, 0);
}

static void
test_shared_address_counts_users_only (void)
{
  g_auto (Clock) clock = { rook_throttle_new (), 1 };
  guint delay = 0;

  for (guint i = 0; i < 20; i++)
    {
      g_autofree char *user = g_strdup_printf ("user%u", i);

      delay = rook_throttle_settle (clock.throttle, &delays, NULL, "127.0.0.1", user, ROOK_GUESS_WRONG, clock.now_ms);
      g_assert_cmpuint (delay, ==, 0);
    }
  delay = rook_throttle_settle (clock.throttle, &delays, NULL, "127.0.0.1", "user1", ROOK_GUESS_WRONG, clock.now_ms);
  g_assert_cmpuint (delay, ==, 1000);
}

static void
test_many_at_once_stand_in_line (void)
{
  g_auto (Clock) clock = { rook_throttle_new (), 0 };
  guint last = 0;

  attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_WRONG);
  for (guint i = 0; i < 4; i++)
    {
      guint delay = rook_throttle_settle (clock.throttle, &delays, "192.0.2.1", "192.0.2.1", "alice", ROOK_GUESS_WRONG,
                                          clock.now_ms);

      g_assert_cmpuint (delay, >, last);
      last = delay;
    }
}

/* Not right, not wrong, and nothing that the next one could tell it from. */
static void
test_no_more_are_told_than_the_line_has_places (void)
{
  g_auto (Clock) clock = { rook_throttle_new (), 0 };
  guint told = 0;

  attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_WRONG);
  for (guint i = 0; i < 100; i++)
    {
      RookGuess guess = i % 10 == 9 ? ROOK_GUESS_RIGHT : ROOK_GUESS_WRONG;
      guint delay =
          rook_throttle_settle (clock.throttle, &delays, "192.0.2.1", "192.0.2.1", "alice", guess, clock.now_ms);

      g_assert_true (delay <= delays.cap_ms || delay == ROOK_THROTTLE_FULL);
      told += delay != ROOK_THROTTLE_FULL;
    }
  g_assert_cmpuint (told, ==, 4); /* 1 + 2 + 4 + 8 seconds; the next would be beyond the cap */
  clock.now_ms += delays.cap_ms;
  g_assert_cmpuint (
      rook_throttle_settle (clock.throttle, &delays, "192.0.2.1", "192.0.2.1", "alice", ROOK_GUESS_WRONG, clock.now_ms),
      ==, 16000);
  /* Others from there have their own line. */
  g_assert_cmpuint (
      rook_throttle_settle (clock.throttle, &delays, NULL, "192.0.2.1", "bob", ROOK_GUESS_RIGHT, clock.now_ms), ==, 0);
}

static void
test_forgets_in_time (void)
{
  g_auto (Clock) clock = { rook_throttle_new (), 0 };

  attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_WRONG);
  attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_WRONG);
  clock.now_ms += delays.memory_ms;
  g_assert_cmpuint (attempt (&clock, "192.0.2.1", "alice", ROOK_GUESS_WRONG), ==, 0);
}

static void
test_table_is_bounded (void)
{
  g_auto (Clock) clock = { rook_throttle_new (), 1 };

  for (guint i = 0; i < 5000; i++)
    {
      g_autofree char *address = g_strdup_printf ("198.51.%u.%u", i / 250, i % 250);

      rook_throttle_settle (clock.throttle, &delays, address, address, "alice", ROOK_GUESS_WRONG, clock.now_ms);
      g_assert_cmpuint (rook_throttle_get_size (clock.throttle), <=, delays.table);
    }
  /* The newest are the ones that are still known. */
  g_assert_cmpuint (
      rook_throttle_settle (clock.throttle, &delays, NULL, "198.51.19.249", "alice", ROOK_GUESS_WRONG, clock.now_ms),
      ==, 1000);
}

static void
test_ipv6_by_network (void)
{
  g_autofree char *one = rook_throttle_network ("2001:db8:1:2:3:4:5:6");
  g_autofree char *two = rook_throttle_network ("2001:db8:1:2::1");
  g_autofree char *other = rook_throttle_network ("2001:db8:1:3::1");
  g_autofree char *mapped = rook_throttle_network ("::ffff:192.0.2.1");
  g_autofree char *v4 = rook_throttle_network ("192.0.2.1");
  g_autofree char *path = rook_throttle_network ("unix");

  g_assert_cmpstr (one, ==, "2001:db8:1:2::/64");
  g_assert_cmpstr (one, ==, two);
  g_assert_cmpstr (one, !=, other);
  g_assert_cmpstr (mapped, ==, "192.0.2.1");
  g_assert_cmpstr (v4, ==, "192.0.2.1");
  g_assert_cmpstr (path, ==, "unix");
}

static void
test_none_if_so_configured (void)
{
  g_auto (Clock) clock = { rook_throttle_new (), 1 };
  RookAuthDelays none = delays;

  none.first_ms = 0;
  for (guint i = 0; i < 20; i++)
    g_assert_cmpuint (
        rook_throttle_settle (clock.throttle, &none, "192.0.2.1", "192.0.2.1", "alice", ROOK_GUESS_WRONG, clock.now_ms),
        ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/auth/throttle/grows-to-the-cap", test_grows_to_the_cap);
  g_test_add_func ("/auth/throttle/success-is-late-too-and-resets", test_success_is_late_too_and_resets);
  g_test_add_func ("/auth/throttle/no-guess-is-late-too-and-changes-nothing",
                   test_no_guess_is_late_too_and_changes_nothing);
  g_test_add_func ("/auth/throttle/nobody-locks-out-another", test_nobody_locks_out_another);
  g_test_add_func ("/auth/throttle/address-after-its-tolerance", test_address_after_its_tolerance);
  g_test_add_func ("/auth/throttle/own-account-buys-no-guesses", test_own_account_buys_no_guesses);
  g_test_add_func ("/auth/throttle/own-mistakes-are-forgiven", test_own_mistakes_are_forgiven_to_the_address);
  g_test_add_func ("/auth/throttle/shared-address-counts-users-only", test_shared_address_counts_users_only);
  g_test_add_func ("/auth/throttle/many-at-once-stand-in-line", test_many_at_once_stand_in_line);
  g_test_add_func ("/auth/throttle/no-more-are-told-than-the-line-has-places",
                   test_no_more_are_told_than_the_line_has_places);
  g_test_add_func ("/auth/throttle/forgets-in-time", test_forgets_in_time);
  g_test_add_func ("/auth/throttle/table-is-bounded", test_table_is_bounded);
  g_test_add_func ("/auth/throttle/ipv6-by-network", test_ipv6_by_network);
  g_test_add_func ("/auth/throttle/none-if-so-configured", test_none_if_so_configured);
  return g_test_run ();
}
